package gate

import "sync/atomic"

// maxHeld bounds the bodies of requests and the lists in answers that are in memory at a time, all clients together.
// One body or list has limits of its own; without this one, many clients who each keep to those could take everything
// there is.
const maxHeld = 512 << 20

// budget is memory that is left.
type budget struct{ left atomic.Int64 }

func newBudget(bytes int64) *budget {
	b := new(budget)
	b.left.Store(bytes)
	return b
}

// take reports whether n bytes are left, and takes them if so.
func (b *budget) take(n int64) bool {
	if b.left.Add(-n) >= 0 {
		return true
	}
	b.left.Add(n)
	return false
}

func (b *budget) give(n int64) { b.left.Add(n) }
