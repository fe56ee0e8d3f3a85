package db_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ostiary/ostiary/app/db"
	"github.com/ostiary/ostiary/app/errs"
)

func TestSweep_TakesExpiredRowsOfItsTenantOnly(t *testing.T) {
	t.Parallel()
	d, _ := open(t)
	mine, _ := tenant(t, d, "mine")
	theirs, _ := tenant(t, d, "theirs")
	now := time.Now()
	const many = 2500 // several batches
	for _, ctx := range []context.Context{mine, theirs} {
		err := d.Pipe(ctx, func(b *pgx.Batch) {
			b.Queue(`insert into rate_counters (tenant_id, key_hash, window_start, hits)
				select current_tenant(), sha256(n::text::bytea), $1, 1 from generate_series(1, $2) n`, now.Add(-time.Hour), many)
			b.Queue(`insert into rate_counters (tenant_id, key_hash, window_start, hits)
				values (current_tenant(), sha256('live'), $1, 1)`, now.Add(time.Hour))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if n, err := d.Sweep(mine, db.Expired{Table: "rate_counters", Column: "window_start", Before: now}); err != nil || n != many {
		t.Errorf("%d swept, %v", n, err)
	}
	for ctx, want := range map[context.Context]int{mine: 1, theirs: many + 1} {
		var left int
		err := d.Pipe(ctx, func(b *pgx.Batch) {
			b.Queue(`select count(*) from rate_counters`).QueryRow(func(row pgx.Row) error { return row.Scan(&left) })
		})
		if err != nil || left != want {
			t.Errorf("%d rows left, want %d: %v", left, want, err)
		}
	}
	_, err := d.Sweep(context.Background(), db.Expired{Table: "rate_counters", Column: "window_start", Before: now})
	if !errs.Is(err, errs.Internal) {
		t.Errorf("without a tenant: %v", err)
	}
}

func TestTryLock_HasOneHolder(t *testing.T) {
	t.Parallel()
	d, _ := open(t)
	unlock, ok, err := d.TryLock(t.Context(), "job")
	if err != nil || !ok {
		t.Fatalf("%v, %v", ok, err)
	}
	if _, ok, err := d.TryLock(t.Context(), "job"); err != nil || ok {
		t.Errorf("a second holder: %v, %v", ok, err)
	}
	unlock()
	again, ok, err := d.TryLock(t.Context(), "job")
	if err != nil || !ok {
		t.Fatalf("after unlock: %v, %v", ok, err)
	}
	again()
}
