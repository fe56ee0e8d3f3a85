package app

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

// Limits on connections: a slow or silent client costs one goroutine for a bounded time.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 15 * time.Second
	writeTimeout      = 30 * time.Second
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 64 << 10
	shutdownTimeout   = 15 * time.Second
)

// Run serves on ln and does the regular work until ctx ends. Then it says on /readyz that it is going, serves on for the
// configured delay so that a load balancer can notice, ends streams, and lets requests under way finish.
func (a *App) Run(ctx context.Context, ln net.Listener) error {
	server := &http.Server{
		Handler: a.goingAway(a.handler), ReadHeaderTimeout: readHeaderTimeout, ReadTimeout: readTimeout,
		WriteTimeout: writeTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes,
		ErrorLog: slog.NewLogLogger(a.log.Handler(), slog.LevelInfo),
	}
	server.RegisterOnShutdown(a.oauth.EndStreams) // they would never end by themselves
	var background sync.WaitGroup
	defer background.Wait()
	// Jobs stop first. Changes are followed to the end: requests under way must not act on what is no longer true.
	watching, stopWatching := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWatching()
	working, stopWorking := context.WithCancel(ctx)
	defer stopWorking()
	background.Go(func() { a.Watch(watching) })
	background.Go(func() { a.Jobs().Run(working) })

	failed := make(chan error, 1)
	go func() { failed <- server.Serve(ln) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	a.draining.Store(true)
	select {
	case err := <-failed:
		return fmt.Errorf("serve: %w", err)
	case <-time.After(a.config.DrainDelay):
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	if err := server.Shutdown(grace); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("shut down: %w", err)
	}
	return nil
}

// goingAway tells clients of a node that is about to stop to take their next request elsewhere: a connection that ends by
// agreement loses no request, one that is closed while idle may.
func (a *App) goingAway(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a.draining.Load() {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}
