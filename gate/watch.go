package gate

import (
	"sync/atomic"
	"time"
)

// watch tells the time. It is never earlier than the newest time the issuer has signed plus what has passed since then
// on a clock that nobody sets: a wall clock that is set back brings nothing back that has expired, and lets no silence
// end.
type watch struct {
	now    func() time.Time
	steady func() time.Duration // keeps going, from any beginning
	newest atomic.Pointer[mark]
}

// mark is a time the issuer signed, and when it was received on the steady clock.
type mark struct {
	signed time.Time
	at     time.Duration
}

func (w *watch) time() time.Time {
	now := w.now()
	if m := w.newest.Load(); m != nil {
		if least := m.signed.Add(w.steady() - m.at); least.After(now) {
			return least
		}
	}
	return now
}

// heard notes a time from a document of the issuer that was found good.
func (w *watch) heard(signed time.Time) {
	next := &mark{signed: signed, at: w.steady()}
	for {
		m := w.newest.Load()
		if m != nil && !signed.After(m.signed.Add(next.at-m.at)) {
			return
		}
		if w.newest.CompareAndSwap(m, next) {
			return
		}
	}
}
