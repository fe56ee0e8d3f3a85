package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// options are the flags.
type options struct {
	connections int
	duration    time.Duration
	warm        time.Duration
	rounds      int
	only        string
	rows        int
	junk        int
	feed        int
	pool        int
	quiet       float64
	limit       bool
	json        bool
	cpuProfile  string
	memProfile  string
	dir         string
	settings    []string
}

// serveArgument makes this program the server process of another run of itself.
const serveArgument = "serve"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	if ctx.Err() != nil {
		err = errors.New("interrupted")
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	switch {
	case len(args) == 1 && args[0] == serveArgument:
		return serve(ctx, os.Stdin, os.Stdout)
	case len(args) == 1 && args[0] == idleArgument:
		return serveIdle(ctx, os.Stdin)
	}
	o, err := readOptions(args)
	if err != nil {
		return err
	}
	chosen, err := choose(o.only)
	if err != nil {
		return err
	}
	r, err := measure(ctx, o, chosen)
	if err != nil {
		return err
	}
	if o.json {
		return r.writeJSON(os.Stdout)
	}
	return r.writeText(os.Stdout)
}

func readOptions(args []string) (options, error) {
	var o options
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.IntVar(&o.connections, "c", 8, "connections that ask at once")
	f.DurationVar(&o.duration, "d", 3*time.Second, "how long each operation is measured, on each side")
	f.DurationVar(&o.warm, "warm", time.Second, "how long each side is warmed up before")
	f.IntVar(&o.rounds, "rounds", 6, "turns the two sides take within that time")
	f.StringVar(&o.only, "op", "", "comma-separated operations instead of all: "+operationNames())
	f.IntVar(&o.rows, "rows", 1000, "users, sessions, clients, consents and grants to load beforehand")
	f.IntVar(&o.junk, "junk", 0, "registrations nobody confirms, with code flows before and after, in place of operations")
	f.IntVar(&o.feed, "feed", 0, "MCP servers that listen for revocations, in place of operations; -rounds revocations")
	f.IntVar(&o.pool, "pool", 20, "connections to Postgres that each side may use")
	f.Float64Var(&o.quiet, "quiet", 1, "wait for moments, and keep rounds, in which others use at most this share of the machine (0.1)")
	f.BoolVar(&o.limit, "limit", true, "measure the limit too")
	f.BoolVar(&o.json, "json", false, "print JSON instead of a table")
	f.StringVar(&o.cpuProfile, "cpuprofile", "", "write a CPU profile of the server process here; measures no limit")
	f.StringVar(&o.memProfile, "memprofile", "", "write a profile of the server's allocations here; measures no limit")
	f.StringVar(&o.dir, "dir", "", "directory for the database, on the disk to measure; a temporary one when empty")
	f.Func("set", "a setting of Postgres, `name=value`; repeatable (shared_buffers=4GB)", func(text string) error {
		o.settings = append(o.settings, text)
		return nil
	})
	if err := f.Parse(args); err != nil {
		return o, err
	}
	switch {
	case f.NArg() > 0:
		return o, fmt.Errorf("%q is not a flag", f.Arg(0))
	case o.connections < 1 || o.rounds < 1 || o.duration <= 0 || o.rows < 1:
		return o, fmt.Errorf("-c, -d, -rounds and -rows are positive")
	}
	if o.cpuProfile != "" || o.memProfile != "" {
		o.limit = false // it would be in the profile too
	}
	return o, nil
}
