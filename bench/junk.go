package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync/atomic"
	"time"
)

// junkResult is what registrations that nobody ever confirms leave behind.
type junkResult struct {
	Registrations int           `json:"registrations"`
	Took          time.Duration `json:"took_ns"`
	Before        junkState     `json:"before"`
	After         junkState     `json:"after"`
}

// junkState is what real users and the operator notice.
type junkState struct {
	Clients  int64         `json:"clients_rows"`
	Table    int64         `json:"clients_table_bytes"`
	Database int64         `json:"database_bytes"`
	Resident uint64        `json:"server_resident_bytes"`
	P50      time.Duration `json:"code_flow_p50_ns"`
	P99      time.Duration `json:"code_flow_p99_ns"`
	Rate     float64       `json:"code_flows_per_second"`
}

// junk measures code flows of real users before and after as many registrations as asked for.
func (b *bench) junk(ctx context.Context) (*junkResult, error) {
	real, err := b.productRunner("code")
	if err != nil {
		return nil, err
	}
	defer real.close()
	if _, err := real.round(ctx, b.o.warm); err != nil {
		return nil, err
	}
	result := &junkResult{Registrations: b.o.junk}
	if result.Before, err = b.junkState(ctx, real); err != nil {
		return nil, err
	}
	if result.Took, err = b.registerJunk(ctx); err != nil {
		return nil, err
	}
	result.After, err = b.junkState(ctx, real)
	return result, err
}

func (b *bench) productRunner(name string) (*runner, error) {
	all := operations()
	at := slices.IndexFunc(all, func(op operation) bool { return op.name == name })
	s := &side{name: "ostiary", address: b.stand.server.product, traced: func(s sample) traced { return s.Product }}
	return b.newRunner(all[at], s)
}

// registerJunk registers clients over all connections.
func (b *bench) registerJunk(ctx context.Context) (time.Duration, error) {
	junk, err := b.productRunner("register")
	if err != nil {
		return 0, err
	}
	defer junk.close()
	var left atomic.Int64
	left.Store(int64(b.o.junk))
	start := now()
	err = each(junk.workers, func(w *worker) error {
		for left.Add(-1) >= 0 {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err := junk.steps[w.index](); err != nil {
				return err
			}
		}
		return nil
	})
	return now().Sub(start), err
}

func (b *bench) junkState(ctx context.Context, real *runner) (junkState, error) {
	if err := b.stand.server.settle(); err != nil {
		return junkState{}, err
	}
	t, err := real.round(ctx, b.o.duration)
	if err != nil {
		return junkState{}, err
	}
	m := t.measured()
	s := junkState{P50: m.P50, P99: m.P99, Rate: m.PerSecond, Resident: resident(b.stand.server.pid)}
	err = b.database.conn.QueryRow(ctx, `select (select count(*) from clients), pg_total_relation_size('clients'),
		pg_database_size(current_database())`).Scan(&s.Clients, &s.Table, &s.Database)
	if err != nil {
		return s, fmt.Errorf("size of the database: %w", err)
	}
	return s, nil
}

func (j *junkResult) writeText(out io.Writer) error {
	_, err := fmt.Fprintf(out, "\n%d registrations nobody confirms, in %s:\n", j.Registrations, j.Took.Round(time.Second))
	for _, state := range []struct {
		name string
		junkState
	}{{"before", j.Before}, {"after", j.After}} {
		if err == nil {
			_, err = fmt.Fprintf(out, "%8s  clients %d rows, %d KiB; database %.1f MiB; server %.1f MiB resident; "+
				"code flow p50 %s, p99 %s, %.0f/s\n", state.name, state.Clients, state.Table>>10, mebibytes(state.Database),
				mebibytes(int64(state.Resident)), micro(state.P50), micro(state.P99), state.Rate)
		}
	}
	return err
}

func mebibytes(n int64) float64 { return float64(n) / (1 << 20) }
