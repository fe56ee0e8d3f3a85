package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime"
	"runtime/pprof"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/ostiary/ostiary/app"
	"github.com/ostiary/ostiary/app/clock"
)

// serving is the server process: the product and the limit, each on its listener, each with its pool and its tracer.
type serving struct {
	setup          serverSetup
	product, limit tracer
	profile        *os.File
	app            *app.App
	proxies        [2]string
}

// Descriptors of the listeners that the driver hands over.
const (
	productFile = 3
	limitFile   = 4
)

func serve(ctx context.Context, in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := &serving{}
	decoder := json.NewDecoder(in)
	if err := decoder.Decode(&s.setup); err != nil {
		return fmt.Errorf("setup: %w", err)
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	a, err := app.New(ctx, app.Deps{Config: s.setup.Config, Logger: log, Now: clock.System, Tracer: &s.product})
	if err != nil {
		return err
	}
	defer a.Close()
	s.app = a
	limit, err := s.newLimit(ctx, a.Handler())
	if err != nil {
		return err
	}
	defer limit.pool.Close()
	productListener, err := inherited(productFile)
	if err != nil {
		return err
	}
	limitListener, err := inherited(limitFile)
	if err != nil {
		return err
	}
	failed := make(chan error, 2)
	go func() { failed <- a.Run(ctx, productListener) }()
	go func() { failed <- limitServer(limit.handler()).Serve(limitListener) }()
	go func() {
		obey(ctx, decoder, out, s.do)
		cancel()
	}()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		return nil
	}
}

// limitServer has the limits that app.Run sets: they cost a little.
func limitServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second, WriteTimeout: 30 * time.Second,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
	}
}

func inherited(descriptor uintptr) (net.Listener, error) {
	file := os.NewFile(descriptor, "listener")
	defer file.Close() //nolint:errcheck // FileListener makes a copy
	ln, err := net.FileListener(file)
	if err != nil {
		return nil, fmt.Errorf("take over the listener: %w", err)
	}
	return ln, nil
}

// newLimit opens the limit's own pool and copies the documents it will serve from the product.
func (s *serving) newLimit(ctx context.Context, product http.Handler) (*limit, error) {
	cfg, err := pgxpool.ParseConfig(s.setup.Config.DatabaseURL)
	if err != nil {
		return nil, fmt.Errorf("database URL: malformed") // the parse error quotes it
	}
	cfg.MaxConns = s.setup.Config.DatabaseMaxConns
	cfg.ConnConfig.Tracer = &s.limit
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("limit: %w", err)
	}
	t, documents := s.setup.Tenant, map[string][]byte{}
	for _, path := range []string{t.discoveryPath(), t.jwksPath(), t.policyPath()} {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+t.Host+path, nil)
		if err != nil {
			return nil, fmt.Errorf("limit: %w", err)
		}
		var w kept
		product.ServeHTTP(&w, r)
		if w.status != http.StatusOK {
			return nil, fmt.Errorf("limit: %s answers %d", path, w.status)
		}
		documents[path] = w.body
	}
	return newLimit(pool, t, documents)
}

// kept is an answer that is kept in memory.
type kept struct {
	header http.Header
	status int
	body   []byte
}

// Header returns the answer's header.
func (k *kept) Header() http.Header {
	if k.header == nil {
		k.header = http.Header{}
	}
	return k.header
}

// WriteHeader keeps the status.
func (k *kept) WriteHeader(status int) { k.status = status }

// Write keeps the body.
func (k *kept) Write(p []byte) (int, error) {
	if k.status == 0 {
		k.status = http.StatusOK
	}
	k.body = append(k.body, p...)
	return len(p), nil
}

func (s *serving) do(ctx context.Context, c command) (reply, error) {
	switch c.Do {
	case "sample":
		return reply{Sample: s.sample()}, nil
	case "settle":
		runtime.GC()
		return reply{}, nil
	case "profile":
		return reply{}, s.switchProfile(c.File, c.Profile)
	case "allocations":
		return reply{}, writeAllocations(c.File)
	case "gate":
		result, err := s.measureGate(ctx, c.Gate)
		return reply{Gate: result}, err
	case "proxies":
		addresses, err := s.startProxies(ctx)
		return reply{Proxy: addresses}, err
	case "stop":
		made, err := s.stopUser(ctx, c.User)
		return reply{Stop: made}, err
	case "lift":
		_, err := s.app.Services().Stops.Lift(s.operator(ctx), c.Stop)
		return reply{}, err
	}
	return reply{}, fmt.Errorf("unknown command %q", c.Do)
}

func (s *serving) sample() sample {
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	used := ownUsage()
	return sample{
		CPU: used.cpu, Resident: used.resident, Mallocs: memory.Mallocs, Bytes: memory.TotalAlloc,
		Product: s.product.read(), Limit: s.limit.read(),
	}
}

func (s *serving) switchProfile(path string, on bool) error {
	if !on {
		pprof.StopCPUProfile()
		return s.profile.Close()
	}
	var err error
	if s.profile, err = os.Create(path); err != nil {
		return err
	}
	return pprof.StartCPUProfile(s.profile)
}

func writeAllocations(path string) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := pprof.Lookup("allocs").WriteTo(file, 0); err != nil {
		return err
	}
	return file.Close()
}
