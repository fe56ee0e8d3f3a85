package check

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxMarks bounds combining marks in a row: more than written languages need is drawn over the lines above and below.
const maxMarks = 3

// Text returns what is wrong with a required line of text of at most limit characters, or "".
func Text(s string, limit int) string {
	if strings.TrimSpace(s) == "" {
		return "Write something here."
	}
	return OptionalText(s, limit)
}

// OptionalText is Text for what may be left empty.
func OptionalText(s string, limit int) string {
	if !utf8.ValidString(s) {
		return "This is not valid text (UTF-8)."
	}
	if n := utf8.RuneCountInString(s); n > limit {
		return fmt.Sprintf("Use at most %d characters; this has %d.", limit, n)
	}
	if s != strings.TrimSpace(s) {
		return "Remove the spaces at the start or end."
	}
	return unreadable(s)
}

// unreadable says which character of s a reader would not see, or would see in the wrong place.
func unreadable(s string) string {
	marks := 0
	runes := []rune(s)
	for i, r := range runes {
		if unicode.In(r, unicode.Mn, unicode.Me) {
			if marks++; marks > maxMarks {
				return "Too many accents are stacked on one letter."
			}
			continue
		}
		marks = 0
		switch {
		case r == '\n' || r == '\r' || r == '\t' || r == '\u2028' || r == '\u2029':
			return "Write this in one line, without line breaks or tabs."
		case unicode.IsControl(r) || r == utf8.RuneError:
			return fmt.Sprintf("Remove the control character (U+%04X).", r)
		case isJoiner(r) && joins(runes, i): // Persian, Indic scripts and emoji need them inside words
		case invisible(r):
			return fmt.Sprintf("Remove the invisible character (U+%04X): readers could be misled by it.", r)
		}
	}
	return ""
}

func isJoiner(r rune) bool { return r == '\u200c' || r == '\u200d' }

func joins(runes []rune, i int) bool {
	return i > 0 && i < len(runes)-1 && runes[i-1] > unicode.MaxASCII && runes[i+1] > unicode.MaxASCII &&
		!invisible(runes[i-1]) && !invisible(runes[i+1])
}

// invisible reports format characters (bidirectional controls and zero-width ones among them), private use, surrogates,
// and the letters that are drawn as nothing.
func invisible(r rune) bool {
	switch r {
	case '\u115f', '\u1160', '\u3164', '\uffa0', '\u2800': // Hangul fillers, blank Braille pattern
		return true
	}
	return unicode.In(r, unicode.Cf, unicode.Co, unicode.Cs)
}
