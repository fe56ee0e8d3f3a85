package gate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// ServeOptions configure Serve: a gate, where it listens, and how it is asked.
type ServeOptions struct {
	Options
	Listen   string        // host:port; port 0 picks a free one
	Listener net.Listener  // instead of Listen
	Grace    time.Duration // for requests under way when ctx ends; 10 s
	// ForwardAuth, when set, answers a reverse proxy's questions instead of being one. Upstream is not needed then.
	ForwardAuth *ForwardAuth
	// Reload brings options to go on with from then on. Requests under way, streams above all, end as they began. Where Serve
	// listens, whose policy it follows and whom it tells of calls does not change. Options that cannot be used are logged, and
	// the gate goes on as it was.
	Reload <-chan ServeOptions
	Ready  func(addr net.Addr) // called once requests are served
}

const (
	headerTimeout  = 10 * time.Second
	idleTimeout    = 2 * time.Minute
	maxHeaderBytes = 64 << 10
	defaultGrace   = 10 * time.Second
)

// Serve runs a gate until ctx ends, as a reverse proxy or as ForwardAuth, then lets requests under way finish for Grace. It
// listens before it has a policy, so that a port that is taken is known at once, and serves once it has one.
func Serve(ctx context.Context, o ServeOptions) error {
	ln := o.Listener
	if ln == nil {
		var err error
		if ln, err = new(net.ListenConfig).Listen(ctx, "tcp", o.Listen); err != nil {
			return fmt.Errorf("gate: listen: %w", err)
		}
	}
	first, err := newServed(ctx, o)
	if err != nil {
		_ = ln.Close()
		if ctx.Err() != nil {
			return nil // stopped before it was up
		}
		return err
	}
	s := &server{current: first, began: o.Options}
	defer s.closing.Wait()
	defer s.replace(nil)
	return s.serve(ctx, ln, o)
}

// served is a gate that Serve answers with.
type served struct {
	gate     *Gate
	handler  http.Handler
	requests sync.WaitGroup // under way
}

func newServed(ctx context.Context, o ServeOptions) (*served, error) {
	if o.ForwardAuth == nil && o.Upstream == "" {
		return nil, errors.New("gate: the upstream is missing")
	}
	g, err := New(ctx, o.Options)
	if err != nil {
		return nil, err
	}
	if o.ForwardAuth != nil {
		return &served{gate: g, handler: withHealth(g, g.ForwardAuth(*o.ForwardAuth))}, nil
	}
	return &served{gate: g, handler: withHealth(g, g.Handler())}, nil
}

// server answers with the gate that is current when a request comes.
type server struct {
	mu      sync.RWMutex
	current *served // nil once Serve ends
	began   Options
	closing sync.WaitGroup
}

// ServeHTTP implements http.Handler.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.RLock()
	now := s.current
	if now != nil {
		now.requests.Add(1)
	}
	s.mu.RUnlock()
	if now == nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	defer now.requests.Done()
	now.handler.ServeHTTP(w, r)
}

// replace makes next the one that answers. The one before goes on following the issuer until its last request has ended: what
// is revoked ends those, too.
func (s *server) replace(next *served) {
	s.mu.Lock()
	before := s.current
	if next != nil {
		next.gate.sessions = before.gate.sessions // whose they are does not change
	}
	s.current = next
	s.mu.Unlock()
	s.closing.Go(func() {
		before.requests.Wait()
		before.gate.Close()
	})
}

// reload replaces the gate, or says why it cannot.
func (s *server) reload(ctx context.Context, o ServeOptions) {
	log := s.current.gate.log
	if o.Issuer != s.began.Issuer || o.ResourceID != s.began.ResourceID {
		log.ErrorContext(ctx, "issuer and server cannot change while the gate runs, going on with the last configuration")
		return
	}
	o.Observe, o.HTTPClient, o.Logger = s.began.Observe, s.began.HTTPClient, s.began.Logger
	next, err := newServed(ctx, o)
	if err != nil {
		if ctx.Err() == nil {
			log.ErrorContext(ctx, "the new configuration cannot be used, going on with the last one", "error", err)
		}
		return
	}
	s.replace(next)
	log.InfoContext(ctx, "configuration changed")
}

func (s *server) serve(ctx context.Context, ln net.Listener, o ServeOptions) error {
	// Requests outlive ctx by the grace; streams that wait for events do not, nothing would end them.
	base, abort := context.WithCancel(context.WithoutCancel(ctx))
	defer abort()
	srv := &http.Server{
		Handler:           endingStreams(ctx, s),
		BaseContext:       func(net.Listener) context.Context { return base },
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(s.current.gate.log.Handler(), slog.LevelDebug),
	}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(ln) }()
	if o.Ready != nil {
		o.Ready(ln.Addr())
	}
	for ctx.Err() == nil {
		select {
		case err := <-failed:
			return fmt.Errorf("gate: serve: %w", err)
		case next := <-o.Reload:
			s.reload(ctx, next)
		case <-ctx.Done():
		}
	}
	grace, cancel := context.WithTimeout(base, orDefault(o.Grace, defaultGrace))
	defer cancel()
	if err := srv.Shutdown(grace); err != nil {
		abort()
		_ = srv.Close() // what is still open after the grace is cut off
	}
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("gate: serve: %w", err)
	}
	return nil
}

// endingStreams ends GET requests with ctx: they are open for as long as a session lasts, and clients open them again.
func endingStreams(ctx context.Context, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			stream, cancel := context.WithCancel(r.Context())
			defer cancel()
			unhook := context.AfterFunc(ctx, cancel)
			defer unhook()
			r = r.WithContext(stream)
		}
		next.ServeHTTP(w, r)
	})
}

// HealthPath answers 200 while the gate runs, for container health checks.
const HealthPath = "/healthz"

func withHealth(g *Gate, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := g.view()
		if r.URL.Path != HealthPath || v.serves(HealthPath) {
			next.ServeHTTP(w, r)
			return
		}
		now := g.feed.Current()
		w.Header().Set("Cache-Control", "no-store")
		writeJSON(w, http.StatusOK, map[string]any{"status": "ok", "policy_revision": v.doc.Revision,
			"feed_sequence": now.Feed.Sequence, "silence_seconds": int(max(now.Silence, 0) / time.Second)})
	})
}
