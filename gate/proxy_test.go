package gate

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestProxy_KeepsWhatTheServerNeeds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.upstream.answer = func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Mcp-Session-Id", "s-1")
		rw.Header().Set("Access-Control-Allow-Origin", "https://only.example")
		rw.Header().Set("Access-Control-Allow-Credentials", "true")
		rw.Header().Set("WWW-Authenticate", "Basic")
		rw.Header().Set("Cache-Control", "public, max-age=600")
		rw.Header().Set("X-Custom", "kept")
		rw.WriteHeader(http.StatusAccepted)
	}
	a := w.call(t, http.MethodPost, "/mcp", w.token("data:read"), callBody(1, "read_data"),
		"MCP-Protocol-Version: 2026-07-28", "Mcp-Method: tools/call", "Mcp-Name: read_data", "Mcp-Param-Region: eu",
		"Last-Event-ID: 5", "X-Trace: abc").want(t, http.StatusAccepted)
	r, _ := w.upstream.last(t)
	for name, value := range map[string]string{
		"Mcp-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": "read_data",
		"Mcp-Param-Region": "eu", "Last-Event-Id": "5", "X-Trace": "abc", "Accept": "application/json, text/event-stream"} {
		if r.Header.Get(name) != value {
			t.Errorf("request %s is %q", name, r.Header.Get(name))
		}
	}
	if strings.Contains(r.Host, "acme.example") || r.ContentLength != int64(len(callBody(1, "read_data"))) {
		t.Errorf("host %q, length %d", r.Host, r.ContentLength)
	}
	for name, value := range map[string]string{
		"Mcp-Session-Id": "s-1", "X-Custom": "kept", "Access-Control-Allow-Origin": "*",
		"Access-Control-Allow-Credentials": "", "Www-Authenticate": "",
		"Cache-Control": "no-store", "Vary": "Authorization"} {
		if got := a.header.Values(name); len(got) > 1 || a.header.Get(name) != value {
			t.Errorf("response %s is %q, want %q", name, got, value)
		}
	}
}

func TestProxy_UpstreamPaths(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ suffix, want string }{
		{"", "/mcp?t=1"}, {"/", "/?t=1"}, {"/deep/server", "/deep/server?t=1"}, {"/x?key=a", "/x?key=a&t=1"},
	} {
		up := &recorder{}
		srv := httptest.NewServer(up)
		t.Cleanup(srv.Close)
		w := newWorld(t, func(o *Options) { o.Upstream = srv.URL + tc.suffix })
		w.call(t, http.MethodPost, "/mcp?t=1", w.token("data:read"), callBody(1, "read_data")).want(t, 200)
		if r, _ := up.last(t); r.URL.RequestURI() != tc.want {
			t.Errorf("upstream %q: reached %q, want %q", tc.suffix, r.URL.RequestURI(), tc.want)
		}
	}
}

func TestProxy_ServerThatFails(t *testing.T) {
	t.Parallel()
	dead, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := dead.Addr().String()
	_ = dead.Close()
	for name, tc := range map[string]struct {
		upstream string
		answer   http.HandlerFunc
		says     string
	}{
		"is down": {"http://" + address + "/mcp", nil, "cannot be reached"},
		"redirects": {"", func(rw http.ResponseWriter, r *http.Request) {
			http.Redirect(rw, r, "/mcp/", http.StatusTemporaryRedirect)
		}, "final URL"},
		"wants a login": {"", func(rw http.ResponseWriter, _ *http.Request) {
			rw.WriteHeader(http.StatusUnauthorized)
		}, "did not accept"},
		"hangs up": {"", func(rw http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(rw).Hijack()
			if err == nil {
				_ = conn.Close()
			}
		}, "cannot be reached"},
		"talks nonsense": {"", func(rw http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(rw).Hijack()
			if err == nil {
				_, _ = io.WriteString(conn, "nonsense\r\n\r\n")
				_ = conn.Close()
			}
		}, "cannot be reached"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(o *Options) {
				if tc.upstream != "" {
					o.Upstream = tc.upstream
				}
			})
			w.upstream.answer = tc.answer
			for _, body := range []string{callBody(5, "read_data"), strings.Replace(listBody, `"id":1`, `"id":5`, 1)} {
				a := w.call(t, http.MethodPost, "/mcp", w.token("data:read"), body).want(t, http.StatusBadGateway)
				var got rpcAnswer
				if err := json.Unmarshal([]byte(a.body), &got); err != nil || string(got.ID) != "5" ||
					!strings.Contains(got.Error.Message, tc.says) {
					t.Errorf("%s", a.body)
				}
				if a.header.Get("WWW-Authenticate") != "" || a.header.Get("Location") != "" || strings.Contains(a.body, address) {
					t.Errorf("it leaks: %v %s", a.header, a.body)
				}
			}
		})
	}
}

func TestProxy_EventsArriveWhenTheyHappen(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	for _, tc := range []struct{ method, body string }{
		{http.MethodGet, ""}, {http.MethodPost, listBody}, {http.MethodPost, callBody(1, "read_data")},
	} {
		next := make(chan string)
		w.upstream.answer = eventsFrom(next)
		ctx, cancel := context.WithCancel(t.Context())
		resp := w.open(ctx, t, tc.method, tc.body, func() { next <- ": open\n\n" })
		lines := bufio.NewReader(resp.Body)
		readBlock(t, lines)
		for i := range 3 {
			next <- fmt.Sprintf("data: {\"n\":%d}\n\n", i)
			// Only now, with the next event not yet sent, must this one be here.
			if got := readBlock(t, lines); got != fmt.Sprintf("data: {\"n\":%d}\n", i) {
				t.Errorf("%s: %q", tc.method, got)
			}
		}
		next <- ":\n" // a bare comment keeps the connection alive and must not wait either
		if got, err := lines.ReadString('\n'); got != ":\n" || err != nil {
			t.Errorf("%s: keep-alive %q %v", tc.method, got, err)
		}
		cancel()
		_ = resp.Body.Close()
	}
}

// eventsFrom writes and flushes what it is given.
func eventsFrom(next <-chan string) http.HandlerFunc {
	return func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Type", "text/event-stream")
		for {
			select {
			case text := <-next:
				_, _ = io.WriteString(rw, text)
				_ = http.NewResponseController(rw).Flush()
			case <-r.Context().Done():
				return
			}
		}
	}
}

// open sends a request whose answer is a stream; first is called while the headers are awaited.
func (w *world) open(ctx context.Context, t *testing.T, method, body string, first func()) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, w.url+"/mcp", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+w.token("data:read"))
	req.Header.Set("Content-Type", "application/json")
	if first != nil {
		go first()
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		t.Fatal(resp.Status)
	}
	return resp
}

func readBlock(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	var b strings.Builder
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if line == "\n" {
			return b.String()
		}
		b.WriteString(line)
	}
}

func TestProxy_CancellationReachesTheServer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	arrived, gone := make(chan struct{}, 3), make(chan struct{}, 3)
	w.upstream.answer = func(_ http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-r.Context().Done()
		gone <- struct{}{}
	}
	for _, body := range []string{callBody(1, "read_data"), listBody} {
		ctx, cancel := context.WithCancel(t.Context())
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url+"/mcp", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+w.token("data:read"))
		req.Header.Set("Content-Type", "application/json")
		go func() {
			<-arrived
			cancel()
		}()
		if resp, err := http.DefaultClient.Do(req); err == nil {
			_ = resp.Body.Close()
			t.Fatal("answered")
		}
		<-gone
	}
}

func TestMiddleware_ProtectsInProcess(t *testing.T) {
	t.Parallel()
	is := newIssuer(t)
	g := is.newGate(t, nil)
	var seen Identity
	var authorization string
	next := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen, _ = IdentityFrom(r.Context())
		authorization = r.Header.Get("Authorization") + r.Header.Get(HeaderUser)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"jsonrpc":"2.0","id":1,"result":{"tools":`+allTools+`}}`)
	})
	srv := httptest.NewServer(g.Middleware(next))
	t.Cleanup(srv.Close)
	w := &world{testIssuer: is, gate: g, url: srv.URL, upstream: &recorder{}}

	// On whatever path it is mounted, nothing gets past it without a token.
	for _, path := range []string{"/mcp", "/", "/elsewhere"} {
		w.call(t, http.MethodPost, path, "", callBody(1, "read_data")).want(t, 401)
		w.call(t, http.MethodPost, path, w.token("data:read"), callBody(1, "delete_data")).want(t, 403)
		w.call(t, http.MethodPost, path, w.token("data:read"), callBody(1, "read_data"), "Ostiary-User: usr_root").
			want(t, 200)
	}
	if seen.User != "usr_ann" || seen.Organization != "org_globex" || seen.Client != "cli_claude" ||
		len(seen.Scopes) != 1 ||
		authorization != "" {
		t.Errorf("saw %+v, %q", seen, authorization)
	}
	if got := toolsOf(t, w.call(t, http.MethodPost, "/mcp", w.token("data:read"), listBody).want(t, 200).body); len(
		got,
	) != 1 {
		t.Errorf("tools %v", got)
	}
	w.call(t, http.MethodGet, "/.well-known/oauth-protected-resource/mcp", "", "").want(t, 200)
	if _, ok := IdentityFrom(t.Context()); ok {
		t.Error("an identity out of nowhere")
	}
}

func TestHandler_NeedsAnUpstream(t *testing.T) {
	t.Parallel()
	g := newIssuer(t).newGate(t, nil)
	defer func() {
		if recover() == nil {
			t.Error("a proxy to nowhere was made")
		}
	}()
	g.Handler()
}
