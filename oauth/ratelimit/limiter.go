package ratelimit

import (
	"context"
	"crypto/sha256"
	"hash/maphash"
	"log/slog"
	"sync"
	"time"

	"github.com/ostiary/ostiary/app/db"
	"github.com/ostiary/ostiary/app/scope"
)

// Window is the length of a counting window; windows start at whole minutes on every node.
const Window = time.Minute

// shareFrom is the part of a bound a key must reach on one node before its count is shared.
const shareFrom = 0.2

// maxKeys bounds memory. When a window holds more keys, further ones are not counted: a flood from many addresses is for the
// network in front, and must not cost the ones already counted.
const maxKeys = 200_000

// Key is who does what: a client, a grant type and a network address, or whatever else is bounded.
type Key struct {
	Scope scope.Scope
	What  string // endpoint or grant type
	Who   string // client id
	From  string // network address
}

func (k Key) hash() []byte {
	h := sha256.New()
	for _, part := range [...]string{"protocol", k.Scope.EnvironmentID, k.What, k.Who, k.From} {
		sum := sha256.Sum256([]byte(part)) // fixed length: parts cannot run into each other
		h.Write(sum[:])
	}
	return h.Sum(nil)
}

// slot is where a key is counted: a hash under a seed of this process, so nobody can aim at somebody else's. Keys hold what callers
// chose, and with it the whole request it was cut from; a count must not keep that for its minute.
type slot uint64

type count struct {
	local int32 // this node, since the last exchange
	total int32 // all nodes, at the last exchange
}

// shared is what other nodes know a key by.
type shared struct {
	tenantID string
	hash     []byte
}

// Deps of a Limiter.
type Deps struct {
	DB     *db.DB
	Now    func() time.Time
	Logger *slog.Logger
}

// Limiter counts. It is safe for concurrent use.
type Limiter struct {
	store store
	now   func() time.Time
	log   *slog.Logger

	mu     sync.Mutex
	window time.Time
	counts map[slot]count
	shared map[slot]shared // the keys that came near their bound

	seed maphash.Seed
}

// New returns a Limiter. Run shares its counts.
func New(d Deps) *Limiter {
	return &Limiter{
		store: store{db: d.DB}, now: d.Now, log: d.Logger, counts: map[slot]count{}, shared: map[slot]shared{}, seed: maphash.MakeSeed(),
	}
}

// Allow counts one use of k and reports whether it stays within limit per Window. When it does not, retryAfter says when the
// next window begins. A limit of zero allows everything. What has no tenant is counted by each node for itself: shared counts are a
// tenant's rows.
func (l *Limiter) Allow(k Key, limit int) (ok bool, retryAfter time.Duration) {
	return l.AllowN(k, 1, limit)
}

// AllowN counts a use of k that weighs n, at least 1, as Allow does. As long as anything is left of the limit, a use that weighs more
// is allowed: what is large is not kept waiting for ever.
func (l *Limiter) AllowN(k Key, n, limit int) (ok bool, retryAfter time.Duration) {
	if limit <= 0 {
		return true, 0
	}
	now, at := l.now(), slot(maphash.Comparable(l.seed, k))
	l.mu.Lock()
	defer l.mu.Unlock()
	l.roll(now)
	c, known := l.counts[at]
	if !known && len(l.counts) >= maxKeys {
		return true, 0
	}
	used := int(c.local) + int(c.total)
	if used >= limit {
		return false, l.window.Add(Window).Sub(now)
	}
	c.local += int32(n) //nolint:gosec // callers weigh requests, whose size is bounded
	l.counts[at] = c
	if _, near := l.shared[at]; !near && k.Scope.TenantID != "" && used+n >= max(int(float64(limit)*shareFrom), 1) {
		l.shared[at] = shared{tenantID: k.Scope.TenantID, hash: k.hash()}
	}
	return true, 0
}

// GiveBack takes back a use of k that weighs n and came to nothing. counted is a moment at or before AllowN counted it: what a window
// that is over has counted is not taken from the one that began since. A count never goes below zero.
func (l *Limiter) GiveBack(k Key, n int, counted time.Time) {
	at := slot(maphash.Comparable(l.seed, k))
	l.mu.Lock()
	defer l.mu.Unlock()
	l.roll(l.now())
	c, known := l.counts[at]
	if !known || !counted.UTC().Truncate(Window).Equal(l.window) {
		return
	}
	c.local -= min(int32(n), c.local+c.total) //nolint:gosec // as AllowN
	l.counts[at] = c
}

func (l *Limiter) roll(now time.Time) {
	if start := now.UTC().Truncate(Window); !start.Equal(l.window) {
		l.window = start
		clear(l.counts) // the room stays: what a flood took is not taken again each minute
		clear(l.shared)
	}
}

const (
	shareEvery   = time.Second
	shareTimeout = 5 * time.Second
)

// Run shares counts with the other nodes until ctx ends.
func (l *Limiter) Run(ctx context.Context) {
	tick := time.NewTicker(shareEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := l.Share(ctx); err != nil && ctx.Err() == nil {
				l.log.WarnContext(ctx, "rate limits could not be shared; this node goes on with its own counts", "error", err)
			}
		}
	}
}

// Share exchanges the counts that came near their bound. Errors: errs.Unavailable; the counts are then kept for the next time.
func (l *Limiter) Share(ctx context.Context) error {
	window, mine := l.take()
	for tenant, deltas := range mine {
		ctx, cancel := context.WithTimeout(scope.With(ctx, scope.Scope{TenantID: tenant}), shareTimeout)
		totals, err := l.store.add(ctx, tenant, window, deltas)
		cancel()
		if err != nil {
			return err
		}
		l.give(window, deltas, totals)
	}
	return nil
}

// delta is what this node counted for a key since the last exchange.
type delta struct {
	at   slot
	hash []byte
	hits int32
}

// take returns what is to be shared, by tenant. The counts stay where they are until the exchange worked.
func (l *Limiter) take() (time.Time, map[string][]delta) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.roll(l.now())
	mine := map[string][]delta{}
	for at, k := range l.shared {
		mine[k.tenantID] = append(mine[k.tenantID], delta{at: at, hash: k.hash, hits: l.counts[at].local})
	}
	return l.window, mine
}

func (l *Limiter) give(window time.Time, deltas []delta, totals []int32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !window.Equal(l.window) {
		return
	}
	for i, d := range deltas {
		if c, known := l.counts[d.at]; known {
			c.local -= d.hits
			c.total = totals[i]
			l.counts[d.at] = c
		}
	}
}
