package gate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// ServeOptions configure Serve: where to listen, and those of Options the command line sets.
type ServeOptions struct {
	Listen     string       // host:port; port 0 picks a free one
	Listener   net.Listener // instead of Listen
	Upstream   string
	Issuer     string
	ResourceID string
	Identifier string
	Logger     *slog.Logger

	HTTPClient   *http.Client // to the issuer
	StartTimeout time.Duration
	Grace        time.Duration       // for requests under way when ctx ends; 10 s
	Ready        func(addr net.Addr) // called once requests are served
}

const (
	headerTimeout  = 10 * time.Second
	idleTimeout    = 2 * time.Minute
	maxHeaderBytes = 64 << 10
	defaultGrace   = 10 * time.Second
)

// Serve runs a gate as a reverse proxy until ctx ends, then lets requests under way finish for Grace. It listens before it
// has a policy, so that a port that is taken is known at once, and serves once it has one.
func Serve(ctx context.Context, o ServeOptions) error {
	ln := o.Listener
	if ln == nil {
		var err error
		if ln, err = new(net.ListenConfig).Listen(ctx, "tcp", o.Listen); err != nil {
			return fmt.Errorf("gate: listen: %w", err)
		}
	}
	if o.Upstream == "" {
		_ = ln.Close()
		return errors.New("gate: the upstream is missing")
	}
	g, err := New(ctx, Options{Issuer: o.Issuer, ResourceID: o.ResourceID, Upstream: o.Upstream, Identifier: o.Identifier,
		Logger: o.Logger, HTTPClient: o.HTTPClient, StartTimeout: o.StartTimeout})
	if err != nil {
		_ = ln.Close()
		if ctx.Err() != nil {
			return nil // stopped before it was up
		}
		return err
	}
	defer g.Close()
	return g.serve(ctx, ln, o)
}

func (g *Gate) serve(ctx context.Context, ln net.Listener, o ServeOptions) error {
	// Requests outlive ctx by the grace; streams that wait for events do not, nothing would end them.
	base, abort := context.WithCancel(context.WithoutCancel(ctx))
	defer abort()
	srv := &http.Server{
		Handler:           withHealth(g, endingStreams(ctx, g.Handler())),
		BaseContext:       func(net.Listener) context.Context { return base },
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(g.log.Handler(), slog.LevelDebug),
	}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(ln) }()
	if o.Ready != nil {
		o.Ready(ln.Addr())
	}
	select {
	case err := <-failed:
		return fmt.Errorf("gate: serve: %w", err)
	case <-ctx.Done():
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
		w.Header().Set("Cache-Control", "no-store")
		writeJSON(w, http.StatusOK, map[string]any{"status": "ok", "policy_revision": v.doc.Revision})
	})
}
