package host

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Edge is what operators put in front: it ends TLS and spreads requests over the nodes in turn, one request here and the
// next one there.
type Edge struct {
	// Failed counts the requests for which no node answered. The client got a 502.
	Failed atomic.Int64

	transport *http.Transport
	checks    bool // looks at /readyz and leaves out nodes that say no
	life      context.Context
	stop      context.CancelFunc

	mu       sync.Mutex
	backends []*backend
	turn     int
}

type backend struct {
	url     string
	proxy   *httputil.ReverseProxy
	out     atomic.Bool
	removed atomic.Bool
}

func newEdge(t testing.TB, checks bool) *Edge {
	t.Helper()
	e := &Edge{checks: checks, transport: &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}}
	t.Cleanup(e.transport.CloseIdleConnections)
	e.life, e.stop = context.WithCancel(context.Background())
	t.Cleanup(e.stop)
	return e
}

// serve answers on ln, with TLS when there is a configuration for it.
func (e *Edge) serve(t testing.TB, ln net.Listener, secure *tls.Config) {
	t.Helper()
	server := &httptest.Server{Listener: ln, TLS: secure, Config: &http.Server{Handler: e}} //nolint:gosec // loopback, one test
	if secure != nil {
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
}

// Add sends requests to a node from now on. With checks it takes part once it says that it is ready.
func (e *Edge) Add(t testing.TB, node string) {
	t.Helper()
	target, err := url.Parse(node)
	if err != nil {
		t.Fatal(err)
	}
	b := &backend{url: node}
	b.proxy = &httputil.ReverseProxy{
		Transport: e.transport,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host
			r.SetXForwarded()
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) {
			e.Failed.Add(1)
			w.WriteHeader(http.StatusBadGateway)
		},
		ErrorLog: nil,
	}
	if e.checks {
		b.out.Store(true)
		go e.watch(b)
	}
	e.mu.Lock()
	e.backends = append(e.backends, b)
	e.mu.Unlock()
	for deadline := time.Now().Add(stopTimeout); e.checks && b.out.Load(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("node %s does not become ready", node)
		}
	}
}

// Remove sends no more requests to a node.
func (e *Edge) Remove(node string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.backends = slices.DeleteFunc(e.backends, func(b *backend) bool {
		b.removed.Store(b.removed.Load() || b.url == node)
		return b.url == node
	})
}

// ServeHTTP hands a request to the next node that is ready, or to any when none is.
func (e *Edge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	e.turn++
	var pick *backend
	for i := range e.backends {
		b := e.backends[(e.turn+i)%len(e.backends)]
		if pick == nil || (pick.out.Load() && !b.out.Load()) {
			pick = b
		}
	}
	e.mu.Unlock()
	if pick == nil {
		e.Failed.Add(1)
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	pick.proxy.ServeHTTP(w, r)
}

const checkEvery = 10 * time.Millisecond

// watch asks a node again and again whether it is ready, as load balancers do, until it is removed.
func (e *Edge) watch(b *backend) {
	tick := time.NewTicker(checkEvery)
	defer tick.Stop()
	for {
		select {
		case <-e.life.Done():
			return
		case <-tick.C:
		}
		b.out.Store(!e.ready(e.life, b.url))
		if b.removed.Load() {
			return
		}
	}
}

func (e *Edge) ready(ctx context.Context, node string) bool {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, node+"/readyz", nil)
	if err != nil {
		return false
	}
	answer, err := e.transport.RoundTrip(r)
	if err != nil {
		return false
	}
	defer answer.Body.Close() //nolint:errcheck // empty
	return answer.StatusCode == http.StatusNoContent
}
