package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/ostiary/ostiary/app/secret"
)

// report is everything one run says.
type report struct {
	Go          string            `json:"go"`
	Postgres    string            `json:"postgres"`
	Processors  int               `json:"processors"`
	Connections int               `json:"connections"`
	Rows        int               `json:"rows"`
	Durability  durability        `json:"durability"`
	Sync        time.Duration     `json:"sync_ns"`          // median of one fsync of a page on the database's disk
	Password    time.Duration     `json:"password_hash_ns"` // CPU of one argon2id as the product is configured; in no operation
	Idle        *idleResult       `json:"idle"`
	Operations  []operationResult `json:"operations"`
	Junk        *junkResult       `json:"junk,omitempty"`
	Feed        *feedResult       `json:"feed,omitempty"`
}

// operationResult is one operation on both sides.
type operationResult struct {
	Name    string    `json:"name"`
	About   string    `json:"about"`
	Note    string    `json:"note,omitempty"`
	Ratio   float64   `json:"ratio,omitempty"` // of the limit's throughput
	Product measured  `json:"ostiary"`
	Limit   *measured `json:"limit,omitempty"`
}

// measured is one operation on one side. Everything but the rates is per operation, CPU in microseconds.
type measured struct {
	Count          int           `json:"count"`
	PerSecond      float64       `json:"per_second"`
	BestPerSecond  float64       `json:"best_round_per_second"`
	P50            time.Duration `json:"p50_ns"`
	P99            time.Duration `json:"p99_ns"`
	Statements     float64       `json:"statements"`
	RoundTrips     float64       `json:"round_trips"`
	Commits        float64       `json:"commits"`
	Allocations    float64       `json:"server_allocations"`
	AllocatedBytes float64       `json:"server_allocated_bytes"`
	ServerCPU      float64       `json:"server_cpu_us"`
	PostgresCPU    float64       `json:"postgres_cpu_us"`
	DriverCPU      float64       `json:"driver_cpu_us"`
	WALBytes       float64       `json:"wal_bytes"`
	OthersCPU      float64       `json:"others_cpu_share"` // of all processors: neither server, Postgres nor driver
	MachineInUse   float64       `json:"machine_in_use_share"`
}

func (b *bench) newReport(ctx context.Context) (*report, error) {
	r := &report{
		Go: runtime.Version(), Postgres: b.stand.version, Processors: runtime.NumCPU(), Connections: b.o.connections, Rows: b.o.rows,
	}
	var err error
	if r.Durability, err = b.database.durability(ctx); err != nil {
		return nil, err
	}
	if r.Sync, err = measureSync(b.o.dir); err != nil {
		return nil, err
	}
	if r.Password, err = measurePassword(ctx); err != nil {
		return nil, err
	}
	r.Idle, err = b.idle(ctx)
	return r, err
}

// measureSync returns what a durable write costs on this disk: the latency floor of a commit.
func measureSync(dir string) (time.Duration, error) {
	dir, err := os.MkdirTemp(dir, "ostiary-bench-sync-")
	if err != nil {
		return 0, fmt.Errorf("measure fsync: %w", err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary directory
	file, err := os.Create(filepath.Join(dir, "page"))
	if err != nil {
		return 0, fmt.Errorf("measure fsync: %w", err)
	}
	defer file.Close() //nolint:errcheck // of no further use
	page := make([]byte, 8192)
	var h histogram
	for range 200 {
		if _, err := file.WriteAt(page, 0); err != nil {
			return 0, fmt.Errorf("measure fsync: %w", err)
		}
		at := now()
		if err := file.Sync(); err != nil {
			return 0, fmt.Errorf("measure fsync: %w", err)
		}
		h.add(now().Sub(at))
	}
	return h.quantile(0.5), nil
}

// measurePassword returns what checking one password costs with the product's parameters (app.New): the part of a sign-in
// that is slow on purpose.
func measurePassword(ctx context.Context) (time.Duration, error) {
	const memoryKiB, iterations, times = 19456, 2, 5
	passwords := secret.NewPasswords(memoryKiB, iterations, 1)
	before := ownUsage().cpu
	for range times {
		if _, err := passwords.Hash(ctx, benchPassword); err != nil {
			return 0, err
		}
	}
	return (ownUsage().cpu - before) / times, nil
}

func (r *report) writeJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

func (r *report) writeText(out io.Writer) error {
	var text strings.Builder
	fmt.Fprintf(&text, "%s, Postgres %s (fsync %s, synchronous_commit %s, full_page_writes %s, shared_buffers %s), %d processors shared by\n"+
		"server, driver and Postgres, %d connections, %d rows per table; one fsync %s, one password hash %s (in no operation);\n"+
		"a server is ready %s after its start, and takes %.0f MiB when idle\n\n",
		r.Go, r.Postgres, r.Durability.Fsync, r.Durability.SynchronousCommit, r.Durability.FullPageWrites, r.Durability.SharedBuffers,
		r.Processors, r.Connections, r.Rows, micro(r.Sync), r.Password.Round(100*time.Microsecond),
		micro(r.Idle.Ready), mebibytes(int64(r.Idle.Resident)))
	if r.Feed != nil || r.Junk != nil {
		if _, err := io.WriteString(out, text.String()); err != nil {
			return err
		}
	}
	switch {
	case r.Feed != nil:
		return r.Feed.writeText(out)
	case r.Junk != nil:
		return r.Junk.writeText(out)
	}
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, strings.Join([]string{
		"operation", "", "per s", "of limit", "p50", "p99", "stmts", "trips", "commits", "allocs", "server µs", "pg µs", "driver µs",
		"WAL B", "others", "",
	}, "\t"))
	for _, op := range r.Operations {
		ratio := "-"
		if op.Limit != nil {
			ratio = fmt.Sprintf("%.0f %%", 100*op.Ratio)
		}
		op.Product.row(table, op.Name, "ostiary", ratio)
		if op.Limit != nil {
			op.Limit.row(table, "", "limit", "")
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	text.WriteString("\n")
	for _, op := range r.Operations {
		fmt.Fprintf(&text, "%10s  %s\n", op.Name, op.About)
		if op.Note != "" {
			fmt.Fprintf(&text, "%10s  → %s\n", "", op.Note)
		}
	}
	_, err := io.WriteString(out, text.String())
	return err
}

func (m measured) row(w io.Writer, name, side, ratio string) {
	fmt.Fprintf(w, "%s\t%s\t%.0f\t%s\t%s\t%s\t%.2f\t%.2f\t%.2f\t%.0f\t%.1f\t%.1f\t%.1f\t%.0f\t%.0f %%\t\n",
		name, side, m.PerSecond, ratio, micro(m.P50), micro(m.P99), m.Statements, m.RoundTrips, m.Commits, m.Allocations,
		m.ServerCPU, m.PostgresCPU, m.DriverCPU, m.WALBytes, 100*m.OthersCPU)
}

func micro(d time.Duration) string {
	switch {
	case d < 10*time.Microsecond:
		return fmt.Sprintf("%.1f µs", float64(d)/float64(time.Microsecond))
	case d < time.Millisecond:
		return fmt.Sprintf("%d µs", d.Microseconds())
	}
	return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
}
