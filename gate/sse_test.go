package gate

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

func readEvents(in io.Reader, limit int) (events []string, err error) {
	r := newEventReader(in, limit)
	for {
		e, err := r.next()
		if err != nil {
			return events, err
		}
		events = append(events, e.name+"="+string(e.data))
	}
}

func TestEventReader_ReadsWhatTheStandardSays(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		in   string
		want []string
	}{
		"one":                  {"event: feed\nid: 7\ndata: abc\n\n", []string{"feed=abc"}},
		"several lines":        {"data: a\ndata:b\ndata:  c\ndata\n\n", []string{"=a\nb\n c\n"}},
		"comments and retry":   {": hi\n\nretry: 1000\n\n:\ndata: x\n:\n\n", []string{"=x"}},
		"no data, no event":    {"event: feed\n\ndata: x\n\n", []string{"=x"}},
		"empty data":           {"data\n\n", []string{"="}},
		"carriage returns":     {"data: a\r\rdata: b\r\r", []string{"=a", "=b"}},
		"both":                 {"data: a\r\ndata: b\r\n\r\ndata: c\r\n\r\n", []string{"=a\nb", "=c"}},
		"byte order mark":      {"\ufeffdata: a\n\n", []string{"=a"}},
		"mark later":           {"data: a\n\n\ufeffdata: b\n\n", []string{"=a"}},
		"unknown field":        {"date: a\n\nDATA: b\n\n data: c\n\n", nil},
		"unfinished":           {"data: a\n\ndata: b\n", []string{"=a"}},
		"colon in the value":   {"data: a:b: c\n\n", []string{"=a:b: c"}},
		"name of the last one": {"event: a\nevent: b\ndata: x\n\n", []string{"b=x"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, in := range []io.Reader{strings.NewReader(tc.in), iotest.OneByteReader(strings.NewReader(tc.in))} {
				if got, err := readEvents(in, 1000); !slices.Equal(got, tc.want) || !errors.Is(err, io.EOF) {
					t.Errorf("%q, %v, want %q", got, err, tc.want)
				}
			}
		})
	}
}

func TestEventReader_HoldsNoMoreThanItsLimit(t *testing.T) {
	t.Parallel()
	for name, in := range map[string]string{
		"one line":       "data: " + strings.Repeat("x", 200),
		"a comment":      ": " + strings.Repeat("x", 200),
		"many lines":     strings.Repeat("data: x\n", 50),
		"empty lines of": strings.Repeat("data\n", 50),
		"unknown fields": strings.Repeat("a: b\n", 50),
	} {
		if got, err := readEvents(strings.NewReader("data: ok\n\n"+in+"\n\n"), 100); !errors.Is(err, errEventSize) || len(got) != 1 {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	// Its limit is that of an event, not of a stream.
	if got, err := readEvents(strings.NewReader(strings.Repeat(": keep alive\n\ndata: x\n\n", 1000)), 100); len(got) != 1000 {
		t.Errorf("%d events, %v", len(got), err)
	}
}

// FuzzEventReader holds the reader to a plain reading of the standard, whole and byte by byte.
func FuzzEventReader(f *testing.F) {
	for _, s := range []string{"event: feed\ndata: a\n\n", "\ufeffdata\r\rdata: \r\n\r\n", ": x\ndata:a\n\ndata", "data: a\n\r\n\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		const limit = 300
		got, err := readEvents(bytes.NewReader(in), limit)
		again, err2 := readEvents(iotest.OneByteReader(bytes.NewReader(in)), limit)
		if !slices.Equal(got, again) || err.Error() != err2.Error() {
			t.Fatalf("%q: %q %v, byte by byte %q %v", in, got, err, again, err2)
		}
		for _, e := range got {
			if len(e) > 2*limit {
				t.Fatalf("an event of %d bytes", len(e))
			}
		}
		if !errors.Is(err, io.EOF) {
			return
		}
		var data []string
		for _, e := range got {
			_, text, _ := strings.Cut(e, "=")
			data = append(data, text)
		}
		if want := plainEvents(string(in)); !slices.Equal(data, want) && !strings.Contains(string(in), "event") {
			t.Fatalf("%q: read %q, want %q", in, data, want)
		}
	})
}

// plainEvents reads the data of the finished events of a whole stream.
func plainEvents(s string) []string {
	s = strings.TrimPrefix(s, "\ufeff")
	s = strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
	var out, data []string
	lines := strings.Split(s, "\n")
	for _, line := range lines[:len(lines)-1] {
		if line == "" {
			if data != nil {
				out = append(out, strings.Join(data, "\n"))
			}
			data = nil
			continue
		}
		field, value, _ := strings.Cut(line, ":")
		if field == "data" {
			data = append(data, strings.TrimPrefix(value, " "))
		}
	}
	return out
}

// FuzzFeed gives signed text of any kind to a feed: nothing may come in force that the issuer of the feed could not
// have meant.
func FuzzFeed(f *testing.F) {
	is := newIssuer(f)
	g := is.newGate(f, nil)
	feed := g.feed.(*issuerFeed)
	g.Close()
	compact, _, _ := is.signedFeed()
	f.Add(compact)
	f.Add(compact[:len(compact)-2])
	f.Add(is.token("data:read"))
	f.Add("..")
	is.srv.Close() // nothing of the issuer runs while f belongs to the fuzzer
	held := feed.current.Load()
	f.Fuzz(func(t *testing.T, text string) {
		_ = feed.take(t.Context(), text) // whatever it says, it must not end or go back
		if now := feed.current.Load(); now.feed.Sequence < held.feed.Sequence || now.signed.Before(held.signed) {
			t.Fatalf("%q went back", text)
		}
	})
}
