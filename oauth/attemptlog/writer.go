package attemptlog

import (
	"context"
	"time"

	"github.com/ostiary/ostiary/app/scope"
)

// writer is the state of the goroutine that writes.
type writer struct {
	*Log
	untrimmed map[scope.Scope]int // steps written since an environment was trimmed
	reported  time.Time
	unsaid    Stats // what the last report said
}

func newWriter(l *Log) *writer {
	return &writer{Log: l, untrimmed: map[scope.Scope]int{}, reported: l.now()}
}

// write sends a batch, one statement per environment. Steps the database does not take are lost: this is a diagnosis, and
// keeping them would let an outage fill the memory.
func (w *writer) write(batch []entry) {
	ctx, cancel := context.WithTimeout(context.Background(), writeWithin)
	defer cancel()
	for sc, steps := range byEnvironment(batch) {
		ctx := scope.With(ctx, sc)
		if err := w.insert(ctx, sc, steps); err != nil {
			w.lost.Add(uint64(len(steps)))
			w.log.InfoContext(ctx, "attempt steps were lost", "steps", len(steps), "error", err)
			continue
		}
		w.recorded.Add(uint64(len(steps)))
		w.trimLater(ctx, sc, len(steps))
	}
	w.report(ctx)
}

func byEnvironment(batch []entry) map[scope.Scope][]Step {
	out := map[scope.Scope][]Step{}
	for _, e := range batch {
		out[e.scope] = append(out[e.scope], e.step)
	}
	return out
}

// trimLater trims an environment once in a while; the first time soon after the process started.
func (w *writer) trimLater(ctx context.Context, sc scope.Scope, written int) {
	n, known := w.untrimmed[sc]
	if known && n+written < trimAfter {
		w.untrimmed[sc] = n + written
		return
	}
	if len(w.untrimmed) >= maxBudgets {
		clear(w.untrimmed)
	}
	w.untrimmed[sc] = 0
	if err := w.trim(ctx, sc, w.now().Add(-keepFor)); err != nil {
		w.log.InfoContext(ctx, "attempt log could not be trimmed", "error", err)
	}
}

// report says once in a while how much was left out.
func (w *writer) report(ctx context.Context) {
	now := w.now()
	if now.Sub(w.reported) < reportEvery {
		return
	}
	w.reported = now
	s := w.Stats()
	if s.Skipped+s.Lost > w.unsaid.Skipped+w.unsaid.Lost {
		w.log.InfoContext(ctx, "attempt log left steps out",
			"skipped", s.Skipped-w.unsaid.Skipped, "lost", s.Lost-w.unsaid.Lost)
	}
	w.unsaid = s
}
