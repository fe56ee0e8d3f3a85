package gate

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"
)

// raw answers with bytes of its own instead of HTTP.
func raw(t *testing.T, answer func(conn net.Conn, r *http.Request)) string {
	t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close() //nolint:errcheck // it is over
				r, err := http.ReadRequest(bufio.NewReader(conn))
				if err != nil {
					return
				}
				_, _ = io.Copy(io.Discard, r.Body)
				answer(conn, r)
			}()
		}
	}()
	return "http://" + ln.Addr().String() + "/mcp"
}

// endless writes the same until the other end has enough.
func endless(to io.Writer, text string) {
	for chunk := []byte(strings.Repeat(text, 1+(64<<10)/len(text))); ; {
		if _, err := to.Write(chunk); err != nil {
			return
		}
	}
}

func TestHostileServer_ListsWithoutEndAreNotCollected(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]http.HandlerFunc{
		"endless list": func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(rw, `{"jsonrpc":"2.0","id":1,"result":{"tools":[`)
			endless(rw, `{"name":"read_data"},`)
		},
		"endless and compressed": func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Type", "application/json")
			rw.Header().Set("Content-Encoding", "gzip")
			endless(rw, "\x1f\x8b")
		},
		"endless white space": func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Type", "application/json")
			endless(rw, " ")
		},
		"a length that is no limit": func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Type", "application/json")
			rw.Header().Set("Content-Length", fmt.Sprint(int64(1)<<50))
			endless(rw, " ")
		},
		"two types": func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header()["Content-Type"] = []string{"text/event-stream", "application/json"}
			_, _ = io.WriteString(rw, `{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"delete_data"}]}}`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			ended := make(chan struct{})
			w.upstream.answer = func(rw http.ResponseWriter, r *http.Request) { defer close(ended); answer(rw, r) }
			a := w.call(t, http.MethodPost, "/mcp", w.token("data:read"), listBody).want(t, http.StatusBadGateway)
			var got rpcAnswer
			if err := json.Unmarshal([]byte(a.body), &got); err != nil || string(got.ID) != "1" || got.Error.Code != rpcUpstreamFailed {
				t.Errorf("%s", a.body)
			}
			<-ended // the server is not left writing
			eventually(t, "it is over", func() bool { return w.gate.streams.count() == 0 })
			w.upstream.answer = nil
			w.tool(t, w.token("data:read"), "read_data").want(t, http.StatusOK)
		})
	}
}

func TestHostileServer_AGiantEventEndsTheStreamBeforeIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ended := make(chan struct{})
	w.upstream.answer = func(rw http.ResponseWriter, _ *http.Request) {
		defer close(ended)
		rw.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(rw, "data: first\n\ndata: ")
		endless(rw, "x")
	}
	r := w.openAs(t, w.token("data:read"), http.MethodGet, "")
	if got := readBlock(t, r); got != "data: first\n" {
		t.Errorf("%q", got)
	}
	if rest, err := io.ReadAll(r); len(rest) > 0 || err == nil {
		t.Errorf("%d bytes of the giant came, %v", len(rest), err)
	}
	<-ended
}

func TestHostileServer_HeadersThatLieOrNeverEnd(t *testing.T) {
	t.Parallel()
	const head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
	list := `{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"read_data"},{"name":"delete_data"}]}}`
	for name, tc := range map[string]struct {
		answer func(net.Conn)
		status int // 0: the connection breaks
	}{
		"headers without end": {func(c net.Conn) {
			_, _ = io.WriteString(c, head)
			endless(c, "X-More: "+strings.Repeat("y", 1000)+"\r\n")
		}, http.StatusBadGateway},
		"one header without end": {func(c net.Conn) {
			_, _ = io.WriteString(c, head+"X-Long: ")
			endless(c, "y")
		}, http.StatusBadGateway},
		"a first answer without end": {func(c net.Conn) {
			endless(c, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nWWW-Authenticate: Basic\r\n\r\n")
		}, http.StatusBadGateway},
		"two lengths": {func(c net.Conn) {
			_, _ = fmt.Fprintf(c, "%sContent-Length: 5\r\nContent-Length: %d\r\n\r\n%s", head, len(list), list)
		}, http.StatusBadGateway},
		"length and chunks": {func(c net.Conn) {
			_, _ = fmt.Fprintf(c, "%sContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", head, len(list), list)
		}, http.StatusOK},
		"too short a length": {func(c net.Conn) {
			_, _ = fmt.Fprintf(c, "%sContent-Length: 9\r\n\r\n%s", head, list)
		}, http.StatusBadGateway},
		"too long a length": {func(c net.Conn) {
			_, _ = fmt.Fprintf(c, "%sContent-Length: 999\r\n\r\n%s", head, list)
		}, 0},
		"a switch of protocol": {func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"+list)
		}, http.StatusBadGateway},
		"another charset": {func(c net.Conn) {
			_, _ = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-16\r\nContent-Length: %d\r\n\r\n%s",
				len(list), list)
		}, http.StatusOK},
		"plain text": {func(c net.Conn) {
			_, _ = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s", len(list), list)
		}, http.StatusOK},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := raw(t, func(c net.Conn, _ *http.Request) { tc.answer(c) })
			w := newWorld(t, func(o *Options) { o.Upstream = address })
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url+"/mcp", strings.NewReader(listBody))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", "Bearer "+w.token("data:read"))
			req.Header.Set("Content-Type", "application/json")
			resp, err := http.DefaultClient.Do(req)
			if tc.status == 0 && err != nil {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if tc.status == 0 && err == nil || tc.status != 0 && resp.StatusCode != tc.status {
				t.Errorf("answered %d %s, %v", resp.StatusCode, body, err)
			}
			if bytes.Contains(body, []byte("delete_data")) || resp.Header.Get("WWW-Authenticate") != "" || resp.Header.Get("Link") != "" {
				t.Errorf("it came through: %v %s", resp.Header, body)
			}
		})
	}
}

func TestHostileServer_SlowBodiesLastNoLongerThanTheirClient(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	gone := make(chan struct{})
	w.upstream.answer = func(rw http.ResponseWriter, r *http.Request) {
		defer close(gone)
		rw.Header().Set("Content-Type", "application/json")
		for r.Context().Err() == nil {
			if _, err := io.WriteString(rw, " "); err != nil {
				return
			}
			_ = http.NewResponseController(rw).Flush()
			runtime.Gosched()
		}
	}
	client := &http.Client{Timeout: 200 * time.Millisecond}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url+"/mcp", strings.NewReader(callBody(1, "read_data")))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+w.token("data:read"))
	req.Header.Set("Content-Type", "application/json")
	if resp, err := client.Do(req); err == nil {
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
	}
	<-gone
}

func TestHostileClient_HeadersAreBounded(t *testing.T) {
	t.Parallel()
	is := newIssuer(t)
	address, _ := serving(t, is, new(recorder), nil)
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(address, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	go endless(conn, "X-More: "+strings.Repeat("y", 1000)+"\r\n")
	_, _ = io.WriteString(conn, "POST /mcp HTTP/1.1\r\nHost: x\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err == nil && resp.StatusCode < 400 {
		t.Errorf("answered %s", resp.Status)
	}
}

// Announcing much costs nothing before it comes.
func TestHostileClient_AnAnnouncedBodyTakesNoMemory(t *testing.T) {
	w := newWorld(t, nil)
	head := fmt.Sprintf("POST /mcp HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\n"+
		"Content-Length: %d\r\n\r\n{", w.token("data:read"), defaultMaxBody)
	before := heap()
	const clients = 100
	for range clients {
		w.dial(t, head)
	}
	eventually(t, "all are being read", func() bool { return maxHeld-w.gate.memory.left.Load() >= clients*trustedLength })
	if grown := heap() - before; grown > clients*(256<<10) {
		t.Errorf("%d KiB for each announced body", grown/clients>>10)
	}
}

func TestHostileClient_ManyBodiesAtOnceAreTurnedAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.gate.memory = newBudget(400 << 10)
	token := w.token("data:read")
	large := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":%q}}`, strings.Repeat("x", 300<<10))
	w.call(t, http.MethodPost, "/mcp", token, large).want(t, http.StatusServiceUnavailable)
	for range 9 { // what was taken is given back each time
		w.tool(t, token, "read_data").want(t, http.StatusOK)
		w.call(t, http.MethodPost, "/mcp", token, large[:len(large)-100<<10]).want(t, http.StatusBadRequest)
	}
	w.upstream.answer = func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "application/json")
		endless(rw, " ")
	}
	w.call(t, http.MethodPost, "/mcp", token, listBody).want(t, http.StatusBadGateway)
	eventually(t, "all is given back", func() bool { return w.gate.memory.left.Load() == 400<<10 })
}

// heap is what is in use after a collection.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
