package attempts

import (
	"sync"
	"time"

	"github.com/ostiary/ostiary/app/db"
)

// doubtFrom is the part of a limit (one in so many) from which on an attempt is counted before it is made.
const doubtFrom = 4

// Guard counts failed attempts in Postgres, for the tenant in the context, and attempts under way in memory.
type Guard struct {
	counter *Counter

	mu       sync.Mutex
	underWay map[string]load // by tenant and key
}

// load is how many attempts this node has under way, and how many of them Postgres does not know of.
type load struct{ all, uncounted int }

// NewGuard returns a Guard. A process needs one: it only knows of what went through it.
func NewGuard(d *db.DB) *Guard {
	return &Guard{counter: NewCounter(d), underWay: map[string]load{}}
}

// Try is one attempt. It is used by one goroutine, in this order: Knows, Admit, then QueueFailed or QueueSucceeded, and End in
// any case.
type Try struct {
	guard    *Guard
	tenantID string
	at       time.Time
	limits   []limit
	stored   map[string]int // hits that Postgres knew of, by key
	admitted bool
	counted  bool // Postgres knows of this one
}

// Try returns an attempt at the time now.
func (g *Guard) Try(tenantID string, a Attempt, now time.Time) *Try {
	return &Try{guard: g, tenantID: tenantID, at: now, limits: a.limits(), stored: map[string]int{}}
}

// End says that the attempt is over and its outcome is recorded, or that it was given up.
func (t *Try) End() {
	if !t.admitted {
		return
	}
	t.admitted = false
	t.guard.mu.Lock()
	defer t.guard.mu.Unlock()
	t.add(-1)
}

// add changes what is under way. The caller holds the lock.
func (t *Try) add(n int) {
	for _, l := range t.limits {
		key := t.tenantID + string(l.key)
		now := t.guard.underWay[key]
		now.all += n
		if !t.counted {
			now.uncounted += n
		}
		t.guard.underWay[key] = now
		if now.all <= 0 {
			delete(t.guard.underWay, key)
		}
	}
}

// enter admits the attempt when it is far from every limit. Otherwise it returns what is left of the limits once those under
// way and uncounted have their places.
func (t *Try) enter() (admitted bool, left []limit) {
	t.guard.mu.Lock()
	defer t.guard.mu.Unlock()
	doubt := false
	for _, l := range t.limits {
		now := t.guard.underWay[t.tenantID+string(l.key)]
		doubt = doubt || (t.stored[string(l.key)]+now.all+1)*doubtFrom > l.most
		l.most -= now.uncounted
		left = append(left, l)
	}
	if !doubt {
		t.admitted = true
		t.add(1)
	}
	return !doubt, left
}
