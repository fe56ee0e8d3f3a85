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
	"os/exec"
	"time"

	"github.com/ostiary/ostiary/app"
	"github.com/ostiary/ostiary/app/clock"
	"github.com/ostiary/ostiary/app/config"
)

// idleArgument makes this program a server that does what `ostiary serve` does and nothing for the benchmark.
const idleArgument = "idle"

// idleResult is what a server needs that nobody asks.
type idleResult struct {
	Ready    time.Duration `json:"ready_ns"` // from the start of the process on a migrated database to 204 on /readyz
	Resident uint64        `json:"idle_resident_bytes"`
}

const (
	idleStarts   = 5
	idleFor      = 3 * time.Second
	readyTimeout = 20 * time.Second
	lookAgain    = 2 * time.Millisecond
)

// serveIdle is the server process: it serves until its input ends.
func serveIdle(ctx context.Context, in io.Reader) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	decoder := json.NewDecoder(in)
	var cfg config.Config
	if err := decoder.Decode(&cfg); err != nil {
		return fmt.Errorf("setup: %w", err)
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	a, err := app.New(ctx, app.Deps{Config: cfg, Logger: log, Now: clock.System})
	if err != nil {
		return err
	}
	defer a.Close()
	if err := a.CheckDatabase(ctx); err != nil {
		return err
	}
	ln, err := inherited(productFile)
	if err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(io.Discard, in) // its end is what matters
		cancel()
	}()
	return a.Run(ctx, ln)
}

// idle starts the server several times and reports the median; and the memory of the last, once each page and document was
// asked for and a few seconds went by.
func (b *bench) idle(ctx context.Context) (*idleResult, error) {
	result := &idleResult{}
	var starts histogram
	for n := range idleStarts {
		took, memory, err := b.startIdle(ctx, n == idleStarts-1)
		if err != nil {
			return nil, fmt.Errorf("idle server: %w", err)
		}
		starts.add(took)
		result.Resident = memory
	}
	result.Ready = starts.quantile(0.5)
	return result, nil
}

func (b *bench) startIdle(ctx context.Context, stay bool) (ready time.Duration, memory uint64, err error) {
	self, err := os.Executable()
	if err != nil {
		return 0, 0, err
	}
	ln, err := listen(ctx)
	if err != nil {
		return 0, 0, err
	}
	defer ln.Close() //nolint:errcheck // the child has its own
	file, err := ln.File()
	if err != nil {
		return 0, 0, err
	}
	defer file.Close() //nolint:errcheck // as above
	cmd := exec.CommandContext(ctx, self, idleArgument)
	cmd.Stderr, cmd.ExtraFiles = os.Stderr, []*os.File{file}
	in, err := cmd.StdinPipe()
	if err != nil {
		return 0, 0, err
	}
	start := now()
	if err := cmd.Start(); err != nil {
		return 0, 0, err
	}
	defer func() {
		_ = in.Close() // that is the signal
		_ = cmd.Wait() // it was asked to end: how it did matters to nobody
	}()
	if err := json.NewEncoder(in).Encode(b.stand.config); err != nil {
		return 0, 0, err
	}
	if err := awaitReady(ctx, ln.Addr()); err != nil || !stay {
		return now().Sub(start), 0, err
	}
	ready = now().Sub(start)
	if err := b.visit(ln.Addr()); err != nil {
		return 0, 0, err
	}
	select {
	case <-ctx.Done():
		return 0, 0, ctx.Err()
	case <-time.After(idleFor):
	}
	return ready, resident(cmd.Process.Pid), nil
}

func awaitReady(ctx context.Context, address net.Addr) error {
	conn, err := dial(address.String()) // the listener is there before the server is
	if err != nil {
		return err
	}
	defer conn.close()
	if err := conn.conn.SetDeadline(now().Add(readyTimeout)); err != nil {
		return err
	}
	for ctx.Err() == nil {
		if err := conn.do(request{path: "/readyz", host: address.String()}); err != nil {
			return err
		}
		if conn.status == http.StatusNoContent {
			return nil
		}
		time.Sleep(lookAgain)
	}
	return ctx.Err()
}

// visit asks for what a first user and a first host ask for.
func (b *bench) visit(address net.Addr) error {
	conn, err := dial(address.String())
	if err != nil {
		return err
	}
	defer conn.close()
	p := newPlayer(b, &worker{client: conn, state: 1})
	for _, path := range []string{p.tenant.discoveryPath(), p.tenant.jwksPath(), p.tenant.policyPath(), p.desktop} {
		if err := p.do(request{path: path, host: p.tenant.Host, address: p.newAddress()}); err != nil {
			return err
		}
		if err := p.expect(http.StatusOK); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}
