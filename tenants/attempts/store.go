package attempts

import (
	"context"
	"time"

	"gorm.io/gorm"

	"github.com/ostiary/ostiary/app/db"
	"github.com/ostiary/ostiary/app/scope"
)

// Counter counts attempts in Postgres, for the tenant in the context.
type Counter struct{ db *db.DB }

// NewCounter returns a Counter.
func NewCounter(d *db.DB) *Counter { return &Counter{db: d} }

// Count counts a. Errors: errs.RateLimited when a limit is reached; nothing is counted then. It must not run inside an
// open transaction, whose rollback would forget the attempt.
func (c *Counter) Count(ctx context.Context, a Attempt, now time.Time) error {
	return c.count(ctx, a.limits(), now)
}

func (c *Counter) count(ctx context.Context, limits []limit, now time.Time) error {
	s, err := scope.From(ctx)
	if err != nil {
		return err
	}
	start := windowStart(now)
	return c.db.InTenant(ctx, func(_ context.Context, tx *gorm.DB) error {
		// The condition of the update decides: a row at its limit is not returned. Failing rolls the other rows back.
		// The blanks before the marks keep gorm from spreading the bytes of a key over a list.
		counted := tx.Exec(`
			with v (key_hash, most) as (values ( ?::bytea, ?::int), ( ?::bytea, ?::int), ( ?::bytea, ?::int))
			insert into rate_counters as r (tenant_id, key_hash, window_start, hits)
			select ?::text, key_hash, ?::timestamptz, 1 from v
			on conflict (tenant_id, key_hash, window_start) do update set hits = r.hits + 1
			where r.hits < (select most from v where v.key_hash = r.key_hash)`,
			limits[0].key, limits[0].most, limits[1].key, limits[1].most, limits[2].key, limits[2].most,
			s.TenantID, start)
		if counted.Error != nil {
			return counted.Error
		}
		if counted.RowsAffected < int64(len(limits)) {
			return limited(now)
		}
		return nil
	})
}

// Succeeded forgets the attempts on this e-mail address and takes back the one hit of the network address. It may run in
// the transaction that records the sign-in.
func (c *Counter) Succeeded(ctx context.Context, a Attempt, now time.Time) error {
	s, err := scope.From(ctx)
	if err != nil {
		return err
	}
	limits := a.limits()
	keys := [2][][]byte{}
	for _, l := range limits {
		if l.forget {
			keys[0] = append(keys[0], l.key)
		} else {
			keys[1] = append(keys[1], l.key)
		}
	}
	return c.db.InTenant(ctx, func(_ context.Context, tx *gorm.DB) error {
		return tx.Exec(`
			update rate_counters set hits = case when key_hash in ? then 0 else greatest(hits - 1, 0) end
			where tenant_id = ? and window_start = ? and key_hash in ?`,
			keys[0], s.TenantID, windowStart(now), append(keys[0], keys[1]...)).Error
	})
}

// Sweep deletes the counters of the tenant in ctx from windows that ended, and returns how many. A job calls it.
func (c *Counter) Sweep(ctx context.Context, now time.Time) (int, error) {
	return c.db.Sweep(ctx, db.Expired{Table: "rate_counters", Column: "window_start", Before: windowStart(now)})
}
