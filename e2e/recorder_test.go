//go:build e2e

package e2e

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// exchange is a request of a client and the answer to it, without anything secret.
type exchange struct {
	Method    string
	URL       string // without query
	Status    int
	Challenge string // WWW-Authenticate
	Grant     string // grant_type of a token request
	Resource  string // resource of a token request
	RPC       string // method of a JSON-RPC request
	Tool      string // name in tools/call
}

// recorder is an HTTP proxy that writes down what passes and changes nothing. Clients reach it by HTTP_PROXY, so nothing of
// ours runs inside them and no URL differs from what a person would have typed.
type recorder struct {
	url   string
	proxy *httputil.ReverseProxy

	mu        sync.Mutex
	exchanges []exchange
}

func newRecorder(t *testing.T) *recorder {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{url: "http://" + listener.Addr().String()}
	r.proxy = &httputil.ReverseProxy{
		Rewrite:       func(*httputil.ProxyRequest) {}, // the request goes on as it came
		FlushInterval: -1,                              // event streams
		Transport:     web().Transport,
		ErrorHandler:  func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	server := &http.Server{Handler: r}
	go server.Serve(listener)
	t.Cleanup(func() { server.Close() })
	return r
}

// env makes a Node program send everything through the recorder.
func (r *recorder) env() []string {
	return []string{"HTTP_PROXY=" + r.url, "http_proxy=" + r.url, "NO_PROXY=", "no_proxy=", "NODE_USE_ENV_PROXY=1",
		"NODE_NO_WARNINGS=1"}
}

func (r *recorder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.Method == http.MethodConnect {
		r.tunnel(w, req)
		return
	}
	if req.URL.Host == "" {
		req.URL.Scheme, req.URL.Host = "http", req.Host
	}
	seen := exchange{Method: req.Method, URL: req.URL.Scheme + "://" + req.URL.Host + req.URL.Path}
	if req.Method == http.MethodPost {
		body, err := io.ReadAll(io.LimitReader(req.Body, 1<<20))
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		req.Body = io.NopCloser(bytes.NewReader(body))
		seen.describe(req.Header.Get("Content-Type"), body)
	}
	watch := &statusWatcher{ResponseWriter: w, seen: func(status int, header http.Header) {
		seen.Status, seen.Challenge = status, header.Get("WWW-Authenticate")
		r.mu.Lock()
		defer r.mu.Unlock()
		r.exchanges = append(r.exchanges, seen)
	}}
	r.proxy.ServeHTTP(watch, req)
}

// describe keeps what a test asks about, and no token, code or verifier.
func (e *exchange) describe(contentType string, body []byte) {
	switch {
	case strings.HasPrefix(contentType, "application/x-www-form-urlencoded"):
		if form, err := url.ParseQuery(string(body)); err == nil {
			e.Grant, e.Resource = form.Get("grant_type"), form.Get("resource")
		}
	case strings.HasPrefix(contentType, "application/json"):
		var message struct {
			Method string `json:"method"`
			Params struct {
				Name string `json:"name"`
			} `json:"params"`
		}
		if json.Unmarshal(body, &message) == nil {
			e.RPC, e.Tool = message.Method, message.Params.Name
		}
	}
}

// tunnel serves the HTTP inside a CONNECT: undici asks for one even for http URLs. Where it is inside TLS, the client trusts
// this proxy as it trusts the server.
func (r *recorder) tunnel(w http.ResponseWriter, req *http.Request) {
	target := req.Host
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	if _, err := io.WriteString(conn, "HTTP/1.1 200 Connection Established\r\n\r\n"); err != nil {
		conn.Close()
		return
	}
	peeked, scheme := &peekedConn{Conn: conn, reader: bufio.NewReader(conn)}, "http"
	if first, err := peeked.reader.Peek(1); err == nil && first[0] == tlsHandshake {
		conn, scheme = tls.Server(peeked, shared.authority.server()), "https"
	} else {
		conn = peeked
	}
	inner := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		req.URL.Scheme, req.URL.Host = scheme, target
		r.ServeHTTP(w, req)
	})}
	inner.Serve(&oneConn{conn: conn})
}

// count returns how many exchanges match.
func (r *recorder) count(match func(exchange) bool) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, e := range r.exchanges {
		if match(e) {
			n++
		}
	}
	return n
}

func (r *recorder) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var b strings.Builder
	for _, e := range r.exchanges {
		line, err := json.Marshal(e)
		if err != nil {
			return err.Error()
		}
		b.Write(append(line, '\n'))
	}
	return b.String()
}

// statusWatcher tells of the status when it is written.
type statusWatcher struct {
	http.ResponseWriter
	seen func(status int, header http.Header)
	once sync.Once
}

func (s *statusWatcher) WriteHeader(status int) {
	if status >= http.StatusOK {
		s.once.Do(func() { s.seen(status, s.Header()) })
	}
	s.ResponseWriter.WriteHeader(status)
}

func (s *statusWatcher) Unwrap() http.ResponseWriter { return s.ResponseWriter }

const tlsHandshake = 22 // the first byte of a TLS connection (RFC 8446 §5.1)

// peekedConn is a connection of which the first byte was looked at.
type peekedConn struct {
	net.Conn
	reader *bufio.Reader
}

func (c *peekedConn) Read(p []byte) (int, error) { return c.reader.Read(p) }

// oneConn is a listener that accepts one connection that is there already.
type oneConn struct {
	conn net.Conn
	used bool
}

func (l *oneConn) Accept() (net.Conn, error) {
	if l.used {
		return nil, errors.New("no more connections")
	}
	l.used = true
	return l.conn, nil
}

func (l *oneConn) Close() error   { return nil }
func (l *oneConn) Addr() net.Addr { return l.conn.LocalAddr() }
