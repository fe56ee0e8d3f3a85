package attemptlog

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ostiary/ostiary/app/db"
	"github.com/ostiary/ostiary/app/scope"
)

// Bounds of the log.
const (
	queueLength = 4096
	batchLength = 500
	flushEvery  = 500 * time.Millisecond
	writeWithin = 5 * time.Second

	keepFor       = 7 * 24 * time.Hour
	keepCases     = 15_000 // steps of an environment that belong to a case
	keepAnonymous = 5_000  // steps that do not: anybody can cause these without end
	trimAfter     = 1_000  // steps written
	maxBudgets    = 10_000 // environments
	reportEvery   = time.Minute
)

// Budgets of one environment. A host that polls metadata takes nothing from those who connect, and who connects takes
// nothing from those who fail to.
const (
	anonymousPerSecond, anonymousBurst = 5, 100
	successPerSecond, successBurst     = 20, 200
	failurePerSecond, failureBurst     = 20, 200
)

// Deps of a Log.
type Deps struct {
	DB     *db.DB
	Now    func() time.Time
	Logger *slog.Logger
}

// Log takes steps and writes them in the background. Close it before its database.
type Log struct {
	db  *db.DB
	now func() time.Time
	log *slog.Logger

	budgets     sync.Map // environment id → *budget
	budgetCount atomic.Int64
	steps       chan entry
	flushes     chan chan struct{}
	closing     chan struct{}
	stopped     chan struct{}
	closeOnce   sync.Once

	recorded, skipped, lost atomic.Uint64
}

type entry struct {
	scope scope.Scope
	step  Step
}

// budget says how many steps an environment may still record.
type budget struct{ anonymous, success, failure bucket }

func newBudget() *budget {
	b := &budget{}
	b.anonymous.allow(anonymousPerSecond, anonymousBurst)
	b.success.allow(successPerSecond, successBurst)
	b.failure.allow(failurePerSecond, failureBurst)
	return b
}

func (b *budget) of(s *Step) *bucket {
	switch {
	case s.CaseID == "":
		return &b.anonymous
	case s.Outcome == OutcomeRefused, s.Outcome == OutcomeFailed:
		return &b.failure
	}
	return &b.success
}

// bucket is a token bucket without a lock: the time at which it will be full again (the generic cell rate algorithm).
type bucket struct {
	full  atomic.Int64 // nanoseconds
	every int64        // nanoseconds that one step costs
	burst int64        // nanoseconds that the bucket holds
}

func (b *bucket) allow(perSecond, burst int64) {
	b.every = int64(time.Second) / perSecond
	b.burst = b.every * burst
}

func (b *bucket) take(now int64) bool {
	for {
		full := b.full.Load()
		next := max(full, now) + b.every
		if next-now > b.burst {
			return false
		}
		if b.full.CompareAndSwap(full, next) {
			return true
		}
	}
}

// New returns a Log and starts its writer, which does nothing until a step comes.
func New(d Deps) *Log {
	l := &Log{
		db: d.DB, now: d.Now, log: d.Logger,
		steps: make(chan entry, queueLength), flushes: make(chan chan struct{}),
		closing: make(chan struct{}), stopped: make(chan struct{}),
	}
	go l.run()
	return l
}

// Record takes a step. It never waits and never fails: a step beyond the environment's budget, or one that meets a full
// queue, is only counted.
func (l *Log) Record(p Place, s Step) {
	now := l.now()
	if !l.budgetOf(p.Scope.EnvironmentID).of(&s).take(now.UnixNano()) {
		l.skipped.Add(1)
		return
	}
	l.enqueue(p, s, now)
}

// RecordLazily is Record for a successful step without a case that happens all the time: complete is only asked what it was
// when the budget allows one more.
func (l *Log) RecordLazily(p Place, complete func(*Step)) {
	now := l.now()
	if !l.budgetOf(p.Scope.EnvironmentID).anonymous.take(now.UnixNano()) {
		l.skipped.Add(1)
		return
	}
	var s Step
	complete(&s)
	l.enqueue(p, s, now)
}

func (l *Log) enqueue(p Place, s Step, now time.Time) {
	s.At = now.UTC().Truncate(time.Microsecond)
	select {
	case l.steps <- entry{p.Scope, s.kept(p)}:
	default:
		l.lost.Add(1)
	}
}

func (l *Log) budgetOf(environmentID string) *budget {
	if b, ok := l.budgets.Load(environmentID); ok {
		return b.(*budget)
	}
	if l.budgetCount.Add(1) > maxBudgets {
		l.budgets.Clear()
		l.budgetCount.Store(1)
	}
	b, _ := l.budgets.LoadOrStore(environmentID, newBudget())
	return b.(*budget)
}

// Stats are counts since the start of the process.
type Stats struct {
	Recorded uint64 // written
	Skipped  uint64 // beyond an environment's budget
	Lost     uint64 // the queue was full, or the database away
}

// Stats returns how many steps were written and how many were not.
func (l *Log) Stats() Stats {
	return Stats{Recorded: l.recorded.Load(), Skipped: l.skipped.Load(), Lost: l.lost.Load()}
}

// Flush writes what was recorded before it was called, as far as the database takes it.
func (l *Log) Flush(ctx context.Context) {
	done := make(chan struct{})
	select {
	case l.flushes <- done:
	case <-l.stopped:
		return
	case <-ctx.Done():
		return
	}
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// Close writes what is left and stops the writer. What is recorded afterwards is lost.
func (l *Log) Close() {
	l.closeOnce.Do(func() { close(l.closing) })
	<-l.stopped
}

// run is the writer. It wakes when a step comes, waits a moment for its neighbours, and writes them together.
func (l *Log) run() {
	defer close(l.stopped)
	w := newWriter(l)
	var batch []entry
	timer := time.NewTimer(flushEvery)
	defer timer.Stop()
	for {
		var due <-chan time.Time
		if len(batch) > 0 {
			due = timer.C
		}
		select {
		case e := <-l.steps:
			if len(batch) == 0 {
				timer.Reset(flushEvery)
			}
			batch = append(batch, e)
			if len(batch) < batchLength {
				continue
			}
			w.write(batch)
		case <-due:
			w.write(batch)
		case done := <-l.flushes:
			w.write(l.drain(batch))
			close(done)
		case <-l.closing:
			w.write(l.drain(batch))
			return
		}
		clear(batch)
		batch = batch[:0]
	}
}

// drain takes what is queued, without waiting for more.
func (l *Log) drain(batch []entry) []entry {
	for range queueLength {
		select {
		case e := <-l.steps:
			batch = append(batch, e)
		default:
			return batch
		}
	}
	return batch
}
