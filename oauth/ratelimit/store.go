package ratelimit

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ostiary/ostiary/app/db"
)

type store struct{ db *db.DB }

// A node that gave back what it had shared adds less than nothing.
const addHits = `insert into rate_counters as r (tenant_id, key_hash, window_start, hits) values ($1, $2, $3, greatest($4, 0))
on conflict (tenant_id, key_hash, window_start) do update set hits = greatest(r.hits + $4, 0)
returning hits`

// add adds a node's counts of one tenant and returns the totals of all nodes, in the same order: one round trip.
func (s store) add(ctx context.Context, tenantID string, window time.Time, deltas []delta) ([]int32, error) {
	totals := make([]int32, len(deltas))
	err := s.db.Pipe(ctx, func(b *pgx.Batch) {
		for i, d := range deltas {
			b.Queue(addHits, tenantID, d.hash, window, d.hits).QueryRow(func(row pgx.Row) error { return row.Scan(&totals[i]) })
		}
	})
	if err != nil {
		return nil, fmt.Errorf("share rate limits: %w", err)
	}
	return totals, nil
}
