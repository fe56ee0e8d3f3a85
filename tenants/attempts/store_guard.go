package attempts

import (
	"context"
	"encoding/binary"
	"time"

	"github.com/jackc/pgx/v5"
)

// Hits is an expression of a statement that reads what else the sign-in needs: how far the attempt's limits are used up. Its
// parameters are $1, the tenant, $2 and $3; their values but the tenant come from HitsOf, its result goes to Knows. The sum keeps the
// planner from the index on windows, which leads to everybody's counters.
const Hits = `array(select key_hash || int4send(hits) from rate_counters
where tenant_id = $1 and key_hash = any($2::bytea[]) and window_start + interval '0' = $3)`

// HitsOf returns the values of $2 and $3.
func (t *Try) HitsOf() (keys [][]byte, window time.Time) { return t.keys(), windowStart(t.at) }

// Knows takes the result of Hits.
func (t *Try) Knows(counters [][]byte) {
	for _, c := range counters {
		if at := len(c) - 4; at >= 0 {
			t.stored[string(c[:at])] = int(binary.BigEndian.Uint32(c[at:]))
		}
	}
}

func (t *Try) keys() [][]byte {
	keys := make([][]byte, len(t.limits))
	for i, l := range t.limits {
		keys[i] = l.key
	}
	return keys
}

// Admit decides, once the batch was sent, whether the attempt may be made. Errors: errs.RateLimited when a limit is reached;
// nothing is counted then.
func (t *Try) Admit(ctx context.Context) error {
	admitted, left := t.enter()
	if admitted {
		return nil
	}
	if err := t.guard.counter.count(ctx, left, t.at); err != nil {
		return err
	}
	t.counted, t.admitted = true, true
	t.guard.mu.Lock()
	defer t.guard.mu.Unlock()
	t.add(1)
	return nil
}

const addFailed = `insert into rate_counters as r (tenant_id, key_hash, window_start, hits)
select $1, key_hash, $3, 1 from unnest($2::bytea[]) key_hash
on conflict (tenant_id, key_hash, window_start) do update set hits = r.hits + 1`

// QueueFailed counts the attempt, unless Admit did, on a batch that records the failure.
func (t *Try) QueueFailed(b *pgx.Batch) {
	if !t.counted {
		b.Queue(addFailed, t.tenantID, t.keys(), windowStart(t.at))
	}
}

const forgive = `update rate_counters set hits = case when key_hash = any($3::bytea[]) then 0 else greatest(hits - $5, 0) end
where tenant_id = $1 and key_hash = any($2::bytea[]) and window_start = $4`

// QueueSucceeded forgets the failed attempts on the e-mail address and takes back this one, on a batch that records the
// sign-in. Where there is nothing to forget it queues nothing.
func (t *Try) QueueSucceeded(b *pgx.Batch) {
	var forget [][]byte
	failed := false
	for _, l := range t.limits {
		if l.forget {
			forget = append(forget, l.key)
			failed = failed || t.stored[string(l.key)] > 0
		}
	}
	own := 0
	if t.counted {
		own = 1
	}
	if failed || t.counted {
		b.Queue(forgive, t.tenantID, t.keys(), forget, windowStart(t.at), own)
	}
}
