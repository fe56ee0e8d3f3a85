//go:build linux || darwin

package apptest

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/postgres"
)

const pollEvery = 100 * time.Millisecond

// supervise runs the shared server until nobody has used it for a while, and returns the exit code.
func supervise(dir, idle string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	log := slog.New(slog.NewTextHandler(os.Stderr, nil)).With("supervisor", os.Getpid())
	limit, err := time.ParseDuration(idle)
	if err != nil {
		log.ErrorContext(ctx, "the environment is incomplete", "error", err)
		return 1
	}
	s := shared{dir: dir, idle: limit}
	server, err := s.startServer(ctx, log)
	if errs.Is(err, errs.Conflict) {
		return exitBusy
	}
	if err != nil {
		log.ErrorContext(ctx, "the shared server does not start", "error", err)
		return 1
	}
	if err := s.announce(server.AdminURL()); err != nil {
		log.ErrorContext(ctx, "the shared server cannot be announced", "error", err)
		return 1
	}
	held := s.awaitIdle(ctx, server)
	defer closeAll(held) // a test binary that waits for these locks starts the next server
	if err := s.finish(context.WithoutCancel(ctx), server); err != nil {
		log.ErrorContext(ctx, "the shared server does not stop", "error", err)
		return 1
	}
	log.InfoContext(ctx, "the shared server has stopped", "idle", held != nil)
	return 0
}

// finish stops the server and leaves none of its data.
func (s shared) finish(ctx context.Context, server *postgres.Server) error {
	err := errors.Join(os.Remove(s.announced()), server.Stop(ctx))
	if err != nil {
		return err
	}
	return postgres.Reset(ctx, postgres.Options{DataDir: s.postgres()})
}

// startServer starts a server on a new cluster: what a predecessor that was killed has left is worth nothing, since it ran
// without durability.
func (s shared) startServer(ctx context.Context, log *slog.Logger) (*postgres.Server, error) {
	opts := postgres.Options{DataDir: s.postgres(), Fast: true, Logger: log}
	if err := postgres.Reset(ctx, opts); err != nil {
		return nil, err
	}
	return postgres.Start(context.WithoutCancel(ctx), opts)
}

// announce lets test binaries find the server. The file holds a password.
func (s shared) announce(url string) error {
	content, err := json.Marshal(url)
	if err != nil {
		return err
	}
	draft := s.announced() + ".new"
	if err := os.WriteFile(draft, content, 0o600); err != nil {
		return err
	}
	return os.Rename(draft, s.announced())
}

// awaitIdle waits until no lease has been held for a while, the server has ended or we are told to stop. In the first case
// it returns the locks that keep test binaries waiting while the server is stopped.
func (s shared) awaitIdle(ctx context.Context, server *postgres.Server) []*os.File {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for idle := time.Duration(0); ; {
		select {
		case <-ctx.Done():
			return nil
		case <-server.Done():
			return nil
		case <-tick.C:
		}
		held, err := s.exclude()
		if err != nil {
			idle = 0
			continue
		}
		if idle += pollEvery; idle >= s.idle {
			return held
		}
		closeAll(held)
	}
}

// exclude locks out every test binary, or fails when there is one.
func (s shared) exclude() ([]*os.File, error) {
	starting, err := tryFlock(s.startLock(), syscall.LOCK_EX)
	if err != nil {
		return nil, err
	}
	leases, err := tryFlock(s.leases(), syscall.LOCK_EX)
	if err != nil {
		starting.Close() //nolint:errcheck // only frees the lock
		return nil, err
	}
	return []*os.File{starting, leases}, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		f.Close() //nolint:errcheck // only frees the lock
	}
}
