package gate

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

// endlessly repeats a byte.
type endlessly byte

// Read implements io.Reader.
func (b endlessly) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(b)
	}
	return len(p), nil
}

func TestProxy_ALargeAnswerPassesWithoutBeingHeld(t *testing.T) {
	const size = 256 << 20
	w := newWorld(t, nil)
	w.upstream.answer = func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "application/json")
		_, _ = io.CopyN(rw, endlessly('x'), size)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url+"/mcp", strings.NewReader(callBody(1, "read_data")))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+w.token("data:read"))
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	before := heap()
	if n, err := io.CopyN(io.Discard, resp.Body, size/2); err != nil {
		t.Fatal(n, err)
	}
	if grown := heap() - before; grown > size/16 {
		t.Errorf("%d MiB are held in the middle of an answer of %d", grown>>20, size>>20)
	}
	if n, err := io.Copy(io.Discard, resp.Body); n != size/2 || err != nil {
		t.Errorf("then %d bytes, %v", n, err)
	}
}

// A client that reads slowly slows the server down; what it has not read is not kept.
func TestProxy_ASlowClientHoldsTheServerBack(t *testing.T) {
	w := newWorld(t, nil)
	const clients, most = 16, 64 << 20
	var written atomic.Int64
	w.upstream.answer = func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Type", "text/event-stream")
		event := []byte("data: " + strings.Repeat("x", 64<<10) + "\n\n")
		for r.Context().Err() == nil && written.Load() < clients*most {
			n, err := rw.Write(event)
			written.Add(int64(n))
			if err != nil {
				return
			}
		}
	}
	before := heap()
	var streams []*bufio.Reader
	for range clients {
		streams = append(streams, w.openAs(t, w.token("data:read"), http.MethodGet, ""))
	}
	for _, r := range streams {
		readBlock(t, r)
	}
	// Nobody reads on. What is written settles, at what sockets and buffers hold.
	var last int64
	var still int
	eventually(t, "the server is held back", func() bool {
		if now := written.Load(); now != last {
			last, still = now, 0
		}
		still++
		return still > 50
	})
	if last >= clients*most {
		t.Fatal("everything was taken from the server")
	}
	if grown := heap() - before; grown > clients*(1<<20) {
		t.Errorf("%d KiB are held for each client who does not read, %d KiB were written", grown/clients>>10, last/clients>>10)
	}
	// And goes on when they do.
	for range 200 {
		readBlock(t, streams[0])
	}
}

func TestProxy_AServerThatBreaksOffIsNotMistakenForOneThatEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	for _, body := range []string{callBody(1, "read_data"), listBody} {
		w.upstream.answer = func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(rw, "data: 1\n\n")
			_ = http.NewResponseController(rw).Flush()
			panic(http.ErrAbortHandler)
		}
		r := w.openAs(t, w.token("data:read"), http.MethodPost, body)
		if rest, err := io.ReadAll(r); !errors.Is(err, io.ErrUnexpectedEOF) || string(rest) != "data: 1\n\n" {
			t.Errorf("%q, %v", rest, err)
		}
		eventually(t, "it is over", func() bool { return w.gate.streams.count() == 0 })
	}
}

func TestProxy_SessionsFromBeginningToEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	token := w.token("data:read")
	w.upstream.answer = func(rw http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case http.MethodDelete:
			rw.WriteHeader(http.StatusNoContent)
		case http.MethodGet:
			rw.Header().Set("Content-Type", "text/event-stream")
			_, _ = fmt.Fprintf(rw, "id: %s-1\ndata: {}\n\n", r.Header.Get("Last-Event-ID"))
		default:
			rw.Header().Set("Mcp-Session-Id", "s-1")
			rw.WriteHeader(http.StatusAccepted)
		}
	}
	const session = "Mcp-Session-Id: s-1"
	w.call(t, http.MethodPost, "/mcp", token, `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}`).want(t, http.StatusAccepted)
	// A cancellation is a message like any other.
	cancelled := `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1,"reason":"enough"}}`
	w.call(t, http.MethodPost, "/mcp", token, cancelled, session).want(t, http.StatusAccepted)
	if r, body := w.upstream.last(t); body != cancelled || r.Header.Get("Mcp-Session-Id") != "s-1" {
		t.Errorf("the server got %q", body)
	}
	// A stream that broke is taken up where it did.
	a := w.call(t, http.MethodGet, "/mcp", token, "", session, "Last-Event-ID: 41").want(t, http.StatusOK)
	if a.body != "id: 41-1\ndata: {}\n\n" {
		t.Errorf("resumed with %q", a.body)
	}
	w.call(t, http.MethodDelete, "/mcp", token, "", session).want(t, http.StatusNoContent)
	if r, _ := w.upstream.last(t); r.Method != http.MethodDelete || r.Header.Get("Mcp-Session-Id") != "s-1" {
		t.Errorf("the server got %s %v", r.Method, r.Header)
	}
}

func TestProxy_ALargeRequestArrivesWhole(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	for _, size := range []int{trustedLength - 200, trustedLength, 3 * trustedLength, defaultMaxBody - 200} {
		body := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read_data","arguments":{"x":%q}}}`,
			strings.Repeat("x", size))
		w.call(t, http.MethodPost, "/mcp", w.token("data:read"), body).want(t, http.StatusOK)
		if _, got := w.upstream.last(t); got != body {
			t.Errorf("of %d bytes %d arrived", len(body), len(got))
		}
	}
	if held := maxHeld - w.gate.memory.left.Load(); held != 0 {
		t.Errorf("%d bytes are held by nobody", held)
	}
}

// A stream whose client goes away ends at the server, too.
func TestProxy_AClientThatLeavesAStreamIsNoticed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ended := make(chan string, 2)
	w.upstream.answer = streaming(ended)
	for method, body := range map[string]string{http.MethodGet: "", http.MethodPost: callBody(1, "read_data")} {
		ctx, cancel := context.WithCancel(t.Context())
		resp := w.open(ctx, t, method, body, nil)
		cancel()
		_ = resp.Body.Close()
		if got := <-ended; got != method {
			t.Errorf("%s ended", got)
		}
	}
}
