package attempts

import (
	"sync"
	"time"
)

// maxTracked bounds the memory of one window. Beyond it new keys are refused, which only an attack reaches.
const maxTracked = 100_000

// Memory counts attempts in this process. It serves sign-ins that have no tenant yet, where a stored counter could only
// exist for known addresses and would tell strangers which ones are known. Each node counts for itself.
type Memory struct {
	mu    sync.Mutex
	start time.Time
	hits  map[string]int
}

// NewMemory returns an empty Memory.
func NewMemory() *Memory { return &Memory{hits: map[string]int{}} }

// Count counts a. Errors: errs.RateLimited when a limit is reached; nothing is counted then.
func (m *Memory) Count(a Attempt, now time.Time) error {
	limits := a.limits()
	m.mu.Lock()
	defer m.mu.Unlock()
	if start := windowStart(now); !start.Equal(m.start) {
		m.start, m.hits = start, map[string]int{}
	}
	for _, l := range limits {
		if hits, known := m.hits[string(l.key)]; hits >= l.most || (!known && len(m.hits) >= maxTracked) {
			return limited(now)
		}
	}
	for _, l := range limits {
		m.hits[string(l.key)]++
	}
	return nil
}

// Succeeded forgets the attempts on this e-mail address and takes back the one hit of the network address.
func (m *Memory) Succeeded(a Attempt) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, l := range a.limits() {
		if l.forget {
			delete(m.hits, string(l.key))
		} else if m.hits[string(l.key)] > 0 {
			m.hits[string(l.key)]--
		}
	}
}
