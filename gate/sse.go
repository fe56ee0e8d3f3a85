package gate

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// eventReader reads server-sent events (HTML Living Standard §9.2) of bounded size.
type eventReader struct {
	r     *bufio.Reader
	limit int // of one event, its comments and unknown fields included
	begun bool
	cr    bool // the last line ended with a carriage return; a line feed may still belong to it
}

// serverEvent is one event. Fields nobody reads here are left out.
type serverEvent struct {
	name string // "" means "message"
	data []byte
}

var errEventSize = errors.New("an event of the stream is too large")

func newEventReader(r io.Reader, limit int) *eventReader {
	return &eventReader{r: bufio.NewReader(r), limit: limit}
}

// next returns the next event that carries data. An event that the stream does not finish is none.
func (e *eventReader) next() (serverEvent, error) {
	var event serverEvent
	var carries bool
	for room := e.limit; ; {
		line, err := e.line(room)
		if err != nil {
			return serverEvent{}, err
		}
		room -= len(line) + 1
		if len(line) == 0 {
			if carries {
				return event, nil
			}
			event, room = serverEvent{}, e.limit
			continue
		}
		field, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(field) {
		case "event":
			event.name = string(value)
		case "data":
			if carries {
				event.data = append(event.data, '\n')
			}
			event.data, carries = append(event.data, value...), true
		}
	}
}

// line reads up to the next line end, at most room bytes.
func (e *eventReader) line(room int) ([]byte, error) {
	if !e.begun {
		e.begun = true
		if mark, err := e.r.Peek(3); err == nil && string(mark) == "\ufeff" {
			_, _ = e.r.Discard(3) // they were peeked at
		}
	}
	var line []byte
	for {
		c, err := e.r.ReadByte()
		if err != nil {
			return nil, err
		}
		second := c == '\n' && e.cr
		e.cr = false
		switch {
		case second: // of a line end that the carriage return was the first half of
			continue
		case c == '\n':
			return line, nil
		case c == '\r':
			e.cr = true
			return line, nil
		case len(line) >= room:
			return nil, errEventSize
		}
		line = append(line, c)
	}
}
