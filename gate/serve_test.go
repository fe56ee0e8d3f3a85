package gate

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// serving runs Serve in the background.
func serving(t *testing.T, is *testIssuer, up http.Handler, edit func(*ServeOptions)) (url string, stop func() error) {
	t.Helper()
	srv := httptest.NewServer(up)
	t.Cleanup(srv.Close)
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan net.Addr, 1), make(chan error, 1)
	o := ServeOptions{Listen: "127.0.0.1:0", Ready: func(a net.Addr) { ready <- a },
		Options: Options{Upstream: srv.URL + "/mcp", Issuer: is.url, ResourceID: testResource}}
	if edit != nil {
		edit(&o)
	}
	go func() { done <- Serve(ctx, o) }()
	t.Cleanup(cancel)
	select {
	case a := <-ready:
		return "http://" + a.String(), func() error { cancel(); return <-done }
	case err := <-done:
		t.Fatal(err)
		return "", nil
	}
}

func TestServe_RunsUntilItsContextEnds(t *testing.T) {
	t.Parallel()
	is := newIssuer(t)
	url, stop := serving(t, is, &recorder{}, nil)
	w := &world{testIssuer: is, url: url}
	w.tool(t, is.token("data:read"), "read_data").want(t, 200)
	if a := w.call(t, http.MethodGet, HealthPath, "", "").want(t, 200); !strings.Contains(a.body, `"policy_revision":1`) {
		t.Errorf("health %s", a.body)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	if _, err := http.Get(url + HealthPath); err == nil { //nolint:noctx // it must fail at once
		t.Error("still serving")
	}
}

func TestServe_FinishesRequestsAndEndsStreams(t *testing.T) {
	t.Parallel()
	is := newIssuer(t)
	arrived, release := make(chan struct{}, 1), make(chan struct{})
	url, stop := serving(t, is, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, ": open\n\n")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
			return
		}
		arrived <- struct{}{}
		<-release
		_, _ = io.WriteString(w, "done")
	}), nil)
	w := &world{testIssuer: is, url: url}
	stream := w.open(t.Context(), t, http.MethodGet, "", nil)
	defer stream.Body.Close()
	lines := bufio.NewReader(stream.Body)
	readBlock(t, lines)
	slow := make(chan answer, 1)
	go func() { slow <- w.tool(t, is.token("data:read"), "read_data") }()
	<-arrived
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	if _, err := io.ReadAll(lines); err == nil {
		t.Log("the stream ended cleanly") // or was cut; it must not hold up the end
	}
	close(release)
	if a := <-slow; a.status != 200 || a.body != "done" {
		t.Errorf("the request under way got %d %q", a.status, a.body)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

func TestServe_CutsOffWhatOutlivesTheGrace(t *testing.T) {
	t.Parallel()
	is := newIssuer(t)
	arrived := make(chan struct{}, 1)
	url, stop := serving(t, is, &recorder{answer: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-r.Context().Done()
	})}, func(o *ServeOptions) { o.Grace = 10 * time.Millisecond })
	w := &world{testIssuer: is, url: url}
	go func() {
		req, err := http.NewRequestWithContext(
			context.Background(),
			http.MethodPost,
			w.url+"/mcp",
			strings.NewReader(callBody(1, "read_data")),
		)
		if err != nil {
			return
		}
		req.Header.Set("Authorization", "Bearer "+is.token("data:read"))
		req.Header.Set("Content-Type", "application/json")
		if resp, err := http.DefaultClient.Do(req); err == nil {
			_ = resp.Body.Close()
		}
	}()
	<-arrived
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestServe_SaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	is := newIssuer(t)
	good := ServeOptions{Listen: "127.0.0.1:0", Options: Options{
		Upstream: "http://127.0.0.1:1/mcp", Issuer: is.url, ResourceID: testResource, StartTimeout: 3 * time.Second,
	}}
	for want, edit := range map[string]func(*ServeOptions){
		"listen":                       func(o *ServeOptions) { o.Listen = taken.Addr().String() },
		"upstream is missing":          func(o *ServeOptions) { o.Upstream = "" },
		"no policy for resource res_x": func(o *ServeOptions) { o.ResourceID = "res_x" },
	} {
		o := good
		edit(&o)
		if err := Serve(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// What changes is taken up for what comes; what is under way ends as it began.
func TestServe_ReloadsWithoutDroppingStreams(t *testing.T) {
	t.Parallel()
	is := newIssuer(t)
	open := make(chan struct{})
	first := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Mcp-Session-Id", "session-of-the-first-gate")
		if r.Method != http.MethodGet {
			_, _ = io.WriteString(w, "first")
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, ": open\n\n")
		_ = http.NewResponseController(w).Flush()
		<-open
		_, _ = io.WriteString(w, "data: still here\n\n")
	})
	second := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "second") }))
	t.Cleanup(second.Close)
	reload := make(chan ServeOptions)
	var options ServeOptions
	url, stop := serving(t, is, first, func(o *ServeOptions) { o.Reload, options = reload, *o })
	w := &world{testIssuer: is, url: url}
	stream := w.open(t.Context(), t, http.MethodGet, "", nil)
	defer stream.Body.Close()
	lines := bufio.NewReader(stream.Body)
	readBlock(t, lines)

	broken, foreign, next := options, options, options
	broken.Upstream, foreign.Upstream, next.Upstream = "ftp://nowhere", second.URL, second.URL
	foreign.ResourceID = "res_other"
	reload <- broken
	reload <- foreign
	if a := w.tool(t, is.token("data:read"), "read_data").want(t, 200); a.body != "first" {
		t.Errorf("a configuration that cannot be used changed something: %s", a.body)
	}
	reload <- next
	reload <- next // it is taken up once the one before it is
	if a := w.tool(t, is.token("data:read"), "read_data").want(t, 200); a.body != "second" {
		t.Errorf("after the reload: %s", a.body)
	}
	close(open)
	if got := readBlock(t, lines); !strings.Contains(got, "still here") {
		t.Errorf("the stream said %q", got)
	}
	stranger := is.token("data:read", map[string]any{"sub": "usr_mallory"})
	w.call(t, http.MethodGet, "/mcp", stranger, "", "Mcp-Session-Id: session-of-the-first-gate").want(t, http.StatusNotFound)
	if err := stop(); err != nil {
		t.Error(err)
	}
}
