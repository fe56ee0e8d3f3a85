package host

import (
	"bufio"
	"context"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Stream is an open stream of server-sent events.
type Stream struct {
	Status int
	Header http.Header

	events chan Event
	close  context.CancelFunc
}

// Event is one server-sent event.
type Event struct{ ID, Name, Data string }

// streamPatience is for what must come; only a failing test waits that long.
const streamPatience = 45 * time.Second

// OpenStream opens a stream; change may alter the request.
func OpenStream(t testing.TB, target string, change func(*http.Request)) *Stream {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", "text/event-stream")
	if change != nil {
		change(r)
	}
	answer, err := transport().RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	s := &Stream{Status: answer.StatusCode, Header: answer.Header, events: make(chan Event, 1000), close: cancel}
	go func() {
		defer answer.Body.Close() //nolint:errcheck // read to its end
		defer close(s.events)
		var e Event
		for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
			switch name, value, _ := strings.Cut(lines.Text(), ": "); name {
			case "id":
				e.ID = value
			case "event":
				e.Name = value
			case "data":
				e.Data = value
			case "":
				if e.Name != "" {
					s.events <- e
				}
				e = Event{}
			}
		}
	}()
	return s
}

// Next returns the next event; ok is false when the stream has ended.
func (s *Stream) Next(t testing.TB) (e Event, ok bool) {
	t.Helper()
	select {
	case e, ok = <-s.events:
		return e, ok
	case <-time.After(streamPatience):
		t.Fatal("no event came")
		return Event{}, false
	}
}

// Waiting returns how many events have come and were not taken.
func (s *Stream) Waiting() int { return len(s.events) }

// Close ends the stream.
func (s *Stream) Close() { s.close() }
