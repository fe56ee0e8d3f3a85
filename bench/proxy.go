package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"time"

	"github.com/ostiary/ostiary/gate"
)

// eventsQuery makes the MCP server behind the proxies answer with a stream of events.
const eventsQuery = "?events=1"

const eventsEach = 20

// proxies returns the addresses of a gate and of a bare reverse proxy in the server process, before one MCP server.
func (b *bench) proxies() (product, limit string, err error) {
	r, err := b.stand.server.ask(command{Do: "proxies"})
	return r.Proxy[0], r.Proxy[1], err
}

// startProxies starts them once.
func (s *serving) startProxies(ctx context.Context) ([2]string, error) {
	if s.proxies[0] != "" {
		return s.proxies, nil
	}
	upstream, err := listenAndServe(ctx, http.HandlerFunc(answerCalls))
	if err != nil {
		return s.proxies, err
	}
	target := &url.URL{Scheme: "http", Host: upstream}
	g, err := gate.New(ctx, gate.Options{Issuer: s.setup.Tenant.Issuer, ResourceID: s.setup.Tenant.ResourceID,
		Upstream: target.String()})
	if err != nil {
		return s.proxies, err
	}
	// Its transport keeps as many connections as the gate's: net/http's own would open new ones all the time.
	transport := &http.Transport{MaxIdleConns: 512, MaxIdleConnsPerHost: 256, DisableCompression: true}
	bare := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }, FlushInterval: -1,
		Transport: transport, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)}
	for i, h := range []http.Handler{g.Handler(), whole(bare)} {
		if s.proxies[i], err = listenAndServe(ctx, h); err != nil {
			return s.proxies, err
		}
	}
	return s.proxies, nil
}

// whole reads a request before it is passed on. Left to itself, a reverse proxy loses the server's connection now and
// then when an answer begins while the end of the request is still being looked for: net/http closes the one for the
// other.
func whole(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, err := io.ReadAll(r.Body)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(raw))
		next.ServeHTTP(w, r)
	})
}

// listenAndServe serves on a free port of loopback until ctx ends.
func listenAndServe(ctx context.Context, h http.Handler) (address string, err error) {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("listen on loopback: %w", err)
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second,
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	go func() { _ = server.Serve(ln) }()
	return ln.Addr().String(), nil
}

// eachEvent is one event of an answer.
const eachEvent = "event: message\n" +
	`data: {"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":7,"progress":1}}` + "\n\n"

// answerCalls is an MCP server that costs next to nothing.
func answerCalls(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	if "?"+r.URL.RawQuery != eventsQuery {
		w.Header().Set("Content-Type", jsonType)
		_, _ = io.WriteString(w, `{"jsonrpc":"2.0","id":7,"result":{"content":[{"type":"text","text":"50 rows"}],"isError":false}}`)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	control := http.NewResponseController(w)
	for range eventsEach {
		_, _ = io.WriteString(w, eachEvent)
		_ = control.Flush()
	}
}

// beginProxied sends a tool call through a proxy.
func beginProxied(query string) func(*bench, *side, *worker) (step, error) {
	return func(b *bench, _ *side, w *worker) (step, error) {
		token, err := b.accessToken()
		if err != nil {
			return nil, err
		}
		r := request{post: true, path: "/mcp" + query, host: "localhost:8090", bearer: token, contentType: jsonType, body: gateCall}
		return func() error {
			if err := w.do(r); err != nil {
				return err
			}
			return w.expect(http.StatusOK)
		}, nil
	}
}
