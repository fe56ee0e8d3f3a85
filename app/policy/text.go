package policy

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// textRules says what a text people read may look like.
type textRules struct {
	max      int // characters
	required bool
	lines    bool // line feeds are welcome
}

// checkText refuses what could make a consent page say something else than it seems to: control characters, characters
// nobody sees, text that runs backwards.
func checkText(p problems, place, text string, rules textRules) {
	switch {
	case !utf8.ValidString(text):
		p.add(place, "This text is not valid UTF-8.")
	case rules.required && strings.TrimSpace(text) == "":
		p.add(place, "This text is missing.")
	case utf8.RuneCountInString(text) > rules.max:
		p.add(place, "This text has at most %d characters.", rules.max)
	case !rules.lines && strings.Contains(text, "\n"):
		p.add(place, "This text fits on one line.")
	case hasHidden(strings.ReplaceAll(text, "\n", " ")):
		p.add(place, "This text contains control or invisible characters.")
	}
}

// HasHidden reports whether a text of any number of lines contains a character that is not seen where it stands: a control or
// format character, one that turns the direction of text, a filler, or bytes that are not UTF-8.
func HasHidden(s string) bool {
	return !utf8.ValidString(s) || hasHidden(strings.NewReplacer("\n", " ", "\r", " ", "\t", " ").Replace(s))
}

// hasHidden is HasHidden for one line.
func hasHidden(s string) bool {
	var before rune
	for _, r := range s {
		joiner := r == zeroWidthNonJoiner || r == zeroWidthJoiner
		if joiner && unicode.In(before, joiningScripts()...) {
			before = r
			continue
		}
		if hidden(r) {
			return true
		}
		before = r
	}
	return false
}

const (
	zeroWidthNonJoiner = '\u200c'
	zeroWidthJoiner    = '\u200d'
)

// joiningScripts are those whose orthography needs the zero-width joiners (compare RFC 5892 appendix A).
func joiningScripts() []*unicode.RangeTable {
	return []*unicode.RangeTable{
		unicode.Arabic, unicode.Syriac, unicode.Devanagari, unicode.Bengali, unicode.Gurmukhi, unicode.Gujarati,
		unicode.Oriya, unicode.Tamil, unicode.Telugu, unicode.Kannada, unicode.Malayalam, unicode.Sinhala, unicode.Khmer,
		unicode.Myanmar, unicode.Mongolian,
	}
}

func hidden(r rune) bool {
	switch r {
	case '\u034f', '\u115f', '\u1160', '\u17b4', '\u17b5', '\u2800', '\u3164', '\uffa0', '\ufffc', '\ufffd':
		return true // fillers and placeholders that print as nothing, though Unicode calls them letters or symbols
	}
	if unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs, unicode.Zl, unicode.Zp) {
		return true
	}
	// Variation selectors and noncharacters. U+FE0F asks for the coloured form of an emoji and is seen.
	return r != '\ufe0f' && unicode.Is(unicode.Variation_Selector, r) || unicode.Is(unicode.Noncharacter_Code_Point, r)
}
