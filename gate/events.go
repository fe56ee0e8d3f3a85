package gate

import (
	"bytes"
	"errors"
)

// maxEvent bounds what is held in memory of one event.
const maxEvent = 16 << 20

var errEventTooLarge = errors.New("an event is too large to filter")

// eventFilter filters lists in a stream of server-sent events. Complete events go on at once; those without a list
// exactly as they came, comments that keep the connection alive among them.
type eventFilter struct {
	list  *listFilter
	event []byte // the event so far, as it came
	line  int    // where its current line begins
	cr    bool   // the last byte was a carriage return that ended a line; a line feed may still belong to it
	sent  bool   // that line has already gone on
	drop  bool   // and in another form, so the line feed must not follow it
}

func newEventFilter(list *listFilter) *eventFilter { return &eventFilter{list: list} }

// feed takes the next bytes of the stream and returns what can go on.
func (f *eventFilter) feed(p []byte) ([]byte, error) {
	var out []byte
	for _, c := range p {
		if c == '\n' && f.cr {
			// The second half of a line end: part of the line that the carriage return ended.
			f.cr = false
			switch {
			case f.drop:
			case f.sent:
				out = append(out, c)
			default:
				f.event = append(f.event, c)
				f.line++
			}
			continue
		}
		f.cr, f.sent, f.drop = c == '\r', false, false
		if len(f.event) >= maxEvent {
			return out, errEventTooLarge
		}
		f.event = append(f.event, c)
		if c != '\n' && c != '\r' {
			continue
		}
		blank, comment := f.endLine()
		if blank || comment {
			done, changed, err := f.take()
			if err != nil {
				return out, err
			}
			out = append(out, done...)
			f.sent, f.drop = true, changed
		}
	}
	return out, nil
}

// endLine closes the current line. blank says that it ends the event, comment that it is all there is so far.
func (f *eventFilter) endLine() (blank, comment bool) {
	text := f.event[f.line : len(f.event)-1]
	comment = f.line == 0 && len(text) > 0 && text[0] == ':'
	f.line = len(f.event)
	return len(text) == 0, comment
}

// end returns what is left when the stream ends in the middle of an event. Some clients read it, so it is filtered too.
func (f *eventFilter) end() ([]byte, error) {
	rest, _, err := f.take()
	return rest, err
}

// take returns the event so far, filtered, and whether that changed it.
func (f *eventFilter) take() (out []byte, changed bool, err error) {
	event := f.event
	f.event, f.line = nil, 0
	if !mayList(event) {
		return event, false, nil
	}
	lines := splitLines(event)
	var data []byte
	for _, l := range lines {
		if value, ok := dataOf(l); ok {
			data = append(append(data, value...), '\n')
		}
	}
	data = bytes.TrimSpace(data)
	if len(data) == 0 || data[0] != '{' && data[0] != '[' {
		return event, false, nil
	}
	filtered, err := f.list.json(data)
	if err != nil {
		return nil, false, err
	}
	if bytes.Equal(filtered, data) {
		return event, false, nil
	}
	return rewritten(lines, filtered), true, nil
}

// mayList reports whether an event could be a list, without reading it.
func mayList(event []byte) bool {
	for _, word := range [...]string{"tools", "prompts", "resource", `\u`} {
		if bytes.Contains(event, []byte(word)) {
			return true
		}
	}
	return false
}

// rewritten builds the event again with other data, in the place of the first data line.
func rewritten(lines [][]byte, data []byte) []byte {
	var out []byte
	placed := false
	for _, l := range lines {
		if _, ok := dataOf(l); !ok {
			out = append(append(out, l...), '\n')
			continue
		}
		if placed {
			continue
		}
		placed = true
		for part := range bytes.SplitSeq(data, []byte{'\n'}) {
			out = append(append(append(out, "data: "...), part...), '\n')
		}
	}
	return append(out, '\n')
}

// splitLines returns the non-empty lines of an event without their ends.
func splitLines(event []byte) [][]byte {
	event = bytes.TrimPrefix(event, []byte("\ufeff")) // the stream may begin with one
	return bytes.FieldsFunc(event, func(r rune) bool { return r == '\n' || r == '\r' })
}

// dataOf returns the value of a data line.
func dataOf(line []byte) ([]byte, bool) {
	rest, ok := bytes.CutPrefix(line, []byte("data"))
	if !ok || len(rest) > 0 && rest[0] != ':' {
		return nil, false
	}
	return bytes.TrimPrefix(bytes.TrimPrefix(rest, []byte(":")), []byte(" ")), true
}
