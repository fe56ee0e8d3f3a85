package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"time"
)

// bench is one run.
type bench struct {
	o        options
	stand    *stand
	database *database
}

// side is one of the two that are measured.
type side struct {
	name    string
	address string
	traced  func(sample) traced
	chains  [][]chain // of the refresh operation, by worker
}

// worker is one connection of the driver.
type worker struct {
	*client
	index   int
	state   uint64
	address []byte
}

// pick returns a number below n: a linear congruential generator is random enough to spread rows, and costs nothing.
func (w *worker) pick(n int) int {
	w.state = w.state*6364136223846793005 + 1442695040888963407
	return int((w.state >> 33) % uint64(n))
}

// newAddress returns a network address for X-Forwarded-For: callers are many, and bounded by address.
func (w *worker) newAddress() string {
	b := append(w.address[:0], "10."...)
	for i := range 3 {
		b = strconv.AppendInt(b, int64(w.pick(256)), 10)
		if i < 2 {
			b = append(b, '.')
		}
	}
	w.address = b
	return string(b)
}

// each runs do for all workers at once.
func each(workers []*worker, do func(*worker) error) error {
	problems := make([]error, len(workers))
	var group sync.WaitGroup
	for i, w := range workers {
		group.Go(func() { problems[i] = do(w) })
	}
	group.Wait()
	return errors.Join(problems...)
}

// measure runs the chosen operations.
func measure(ctx context.Context, o options, chosen []operation) (*report, error) {
	s, err := newStand(ctx, o)
	defer s.close()
	if err != nil {
		return nil, err
	}
	b := &bench{o: o, stand: s}
	if b.database, err = openDatabase(ctx, s.admin); err != nil {
		return nil, err
	}
	defer b.database.close(context.WithoutCancel(ctx))
	r, err := b.newReport(ctx)
	if err != nil {
		return nil, err
	}
	if o.feed > 0 {
		r.Feed, err = b.feed(ctx)
		return r, err
	}
	if o.junk > 0 {
		r.Junk, err = b.junk(ctx)
		return r, err
	}
	if o.cpuProfile != "" {
		if _, err := s.server.ask(command{Do: "profile", File: o.cpuProfile, Profile: true}); err != nil {
			return nil, err
		}
	}
	for _, op := range chosen {
		results, err := b.operation(ctx, op)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", op.name, err)
		}
		r.Operations = append(r.Operations, results)
	}
	if o.cpuProfile != "" {
		if _, err := s.server.ask(command{Do: "profile"}); err != nil {
			return nil, err
		}
	}
	if o.memProfile != "" {
		if _, err := s.server.ask(command{Do: "allocations", File: o.memProfile}); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// operation measures one operation, the two sides in turns: whatever else happens on the machine happens to both.
func (b *bench) operation(ctx context.Context, op operation) (operationResult, error) {
	result := operationResult{Name: op.name, About: op.about}
	if op.alone != nil {
		var err error
		result.Product, result.Note, err = op.alone(b, ctx)
		return result, err
	}
	product, limit := b.stand.server.product, b.stand.server.limit
	if op.sides != nil {
		var err error
		if product, limit, err = op.sides(b); err != nil {
			return result, err
		}
	}
	sides := []*side{{name: "ostiary", address: product, traced: func(s sample) traced { return s.Product }}}
	if b.o.limit && limit != "" {
		sides = append(sides, &side{name: "limit", address: limit, traced: func(s sample) traced { return s.Limit }})
	}
	runners := make([]*runner, len(sides))
	for i, s := range sides {
		r, err := b.newRunner(op, s)
		if err != nil {
			return result, fmt.Errorf("%s: %w", s.name, err)
		}
		defer r.close()
		runners[i] = r
		if _, err := r.round(ctx, b.o.warm); err != nil {
			return result, fmt.Errorf("%s: %w", s.name, err)
		}
	}
	if err := b.database.checkpoint(ctx); err != nil {
		return result, err
	}
	for range b.o.rounds {
		for _, r := range runners {
			if err := b.turn(ctx, r); err != nil {
				return result, fmt.Errorf("%s: %w", r.side.name, err)
			}
		}
	}
	result.Product = runners[0].total.measured()
	if len(runners) > 1 {
		limit := runners[1].total.measured()
		result.Limit = &limit
		result.Ratio = result.Product.PerSecond / limit.PerSecond
	}
	return result, nil
}

// runner repeats an operation on one side.
type runner struct {
	side    *side
	workers []*worker
	steps   []step
	total   tally
	last    time.Time // end of the last round
}

func (b *bench) newRunner(op operation, s *side) (*runner, error) {
	r := &runner{side: s}
	for i := range b.o.connections {
		conn, err := dial(s.address)
		if err != nil {
			r.close()
			return nil, err
		}
		r.workers = append(r.workers, &worker{client: conn, index: i, state: uint64(i) + 1})
	}
	if op.prepare != nil {
		if err := op.prepare(b, s, r.workers); err != nil {
			r.close()
			return nil, err
		}
	}
	for _, w := range r.workers {
		step, err := op.begin(b, s, w)
		if err != nil {
			r.close()
			return nil, err
		}
		r.steps = append(r.steps, step)
	}
	return r, nil
}

func (r *runner) close() {
	for _, w := range r.workers {
		w.close()
	}
}

// round lets all workers repeat for d, or until ctx ends.
func (r *runner) round(ctx context.Context, d time.Duration) (tally, error) {
	if !r.last.IsZero() && now().Sub(r.last) > time.Minute {
		if err := each(r.workers, func(w *worker) error { return w.redial() }); err != nil {
			return tally{}, err
		}
	}
	histograms := make([]histogram, len(r.workers))
	start := now()
	end := start.Add(d)
	err := each(r.workers, func(w *worker) error {
		for at := start; at.Before(end); {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err := r.steps[w.index](); err != nil {
				return err
			}
			next := now()
			histograms[w.index].add(next.Sub(at))
			at = next
		}
		return nil
	})
	r.last = now()
	t := tally{elapsed: r.last.Sub(start)}
	for i := range histograms {
		t.latency.merge(&histograms[i])
	}
	return t, err
}

// turn is one measured round, repeated while others disturb it.
func (b *bench) turn(ctx context.Context, r *runner) error {
	for {
		if err := b.awaitQuiet(ctx); err != nil {
			return err
		}
		t, err := b.counted(ctx, r)
		if err != nil {
			return err
		}
		if b.o.quiet >= 1 || t.others() <= b.o.quiet {
			r.total.add(t)
			return nil
		}
	}
}

// counted is a round with everything it used.
func (b *bench) counted(ctx context.Context, r *runner) (tally, error) {
	runtime.GC()
	if err := b.stand.server.settle(); err != nil {
		return tally{}, err
	}
	before, err := b.read(ctx, r.side)
	if err != nil {
		return tally{}, err
	}
	before.Driver, before.Machine = ownUsage().cpu, machineBusy() // what reading cost is nobody's
	t, err := r.round(ctx, b.o.duration/time.Duration(b.o.rounds))
	if err != nil {
		return tally{}, err
	}
	after, err := b.read(ctx, r.side)
	t.used = after.minus(before)
	return t, err
}

// reading is everything that is counted, at one moment.
type reading struct {
	Server, Postgres, Driver, Machine time.Duration
	Mallocs, Bytes                    uint64
	Traced                            traced
	IDs, WAL                          int64
}

func (b *bench) read(ctx context.Context, s *side) (reading, error) {
	driver, machine := ownUsage().cpu, machineBusy()
	server, err := b.stand.server.sample()
	if err != nil {
		return reading{}, err
	}
	stored, err := b.database.sample(ctx)
	return reading{
		Server: server.CPU, Postgres: stored.CPU, Driver: driver, Machine: machine,
		Mallocs: server.Mallocs, Bytes: server.Bytes, Traced: s.traced(server), IDs: stored.IDs, WAL: stored.WAL,
	}, err
}

func (r reading) minus(o reading) reading {
	return reading{
		Server: r.Server - o.Server, Postgres: r.Postgres - o.Postgres, Driver: r.Driver - o.Driver, Machine: r.Machine - o.Machine,
		Mallocs: r.Mallocs - o.Mallocs, Bytes: r.Bytes - o.Bytes, Traced: r.Traced.minus(o.Traced),
		IDs: r.IDs - o.IDs, WAL: r.WAL - o.WAL,
	}
}

func (r reading) plus(o reading) reading {
	return reading{
		Server: r.Server + o.Server, Postgres: r.Postgres + o.Postgres, Driver: r.Driver + o.Driver, Machine: r.Machine + o.Machine,
		Mallocs: r.Mallocs + o.Mallocs, Bytes: r.Bytes + o.Bytes,
		Traced: traced{
			Statements: r.Traced.Statements + o.Traced.Statements, Trips: r.Traced.Trips + o.Traced.Trips,
			Commits: r.Traced.Commits + o.Traced.Commits,
		},
		IDs: r.IDs + o.IDs, WAL: r.WAL + o.WAL,
	}
}

// tally is what rounds amount to.
type tally struct {
	latency histogram
	elapsed time.Duration
	used    reading
	best    float64 // operations per second of the best round
}

func (t *tally) add(round tally) {
	t.latency.merge(&round.latency)
	t.elapsed += round.elapsed
	t.used = t.used.plus(round.used)
	t.best = max(t.best, float64(round.latency.Total)/round.elapsed.Seconds())
}

func (t *tally) measured() measured {
	n := float64(t.latency.Total)
	each := func(total float64) float64 { return total / n }
	micros := func(d time.Duration) float64 { return each(float64(d) / float64(time.Microsecond)) }
	return measured{
		Count: t.latency.Total, PerSecond: n / t.elapsed.Seconds(), BestPerSecond: t.best,
		P50: t.latency.quantile(0.50), P99: t.latency.quantile(0.99),
		Statements: each(float64(t.used.Traced.Statements)), RoundTrips: each(float64(t.used.Traced.Trips)),
		Commits: each(float64(t.used.IDs)), Allocations: each(float64(t.used.Mallocs)), AllocatedBytes: each(float64(t.used.Bytes)),
		ServerCPU: micros(t.used.Server), PostgresCPU: micros(t.used.Postgres), DriverCPU: micros(t.used.Driver),
		WALBytes: each(float64(t.used.WAL)), OthersCPU: t.others(), MachineInUse: shareOfMachine(t.used.Machine, t.elapsed),
	}
}
