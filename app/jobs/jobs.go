package jobs

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"time"

	"github.com/ostiary/ostiary/app/db"
)

// Job is work that is due again and again.
type Job struct {
	Name  string // lower case with hyphens; names the job in job_runs and the log
	Every time.Duration
	// Run does the work. It stops soon after ctx ends, and what it did until then stays done.
	Run func(ctx context.Context) error
}

// Deps of a Runner.
type Deps struct {
	DB     *db.DB
	Logger *slog.Logger
	Now    func() time.Time
}

// Runner runs jobs.
type Runner struct {
	store store
	log   *slog.Logger
	now   func() time.Time
	jobs  []Job
}

// New returns a Runner of the given jobs.
func New(d Deps, jobs ...Job) *Runner {
	return &Runner{store: store{d.DB}, log: d.Logger, now: d.Now, jobs: jobs}
}

const (
	wakeEvery  = time.Minute     // how often a node looks at what is due
	retryAfter = 5 * time.Minute // how long a job that failed waits, or one whose node died
	noteWithin = 5 * time.Second // to write down how a run ended, whatever ended it
)

// Run does what is due until ctx ends; it returns when the job under way has stopped. Nodes that start together look at
// different times, and not while they start.
func (r *Runner) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wakeEvery/2 + jittered(wakeEvery)):
		}
		r.RunDue(ctx)
	}
}

// RunDue does each job that is due and that no other node does, one after the other, and returns the names of those that
// ended well. What goes wrong is logged: there is nobody to tell.
func (r *Runner) RunDue(ctx context.Context) []string {
	at, err := r.store.due(ctx)
	if err != nil {
		if ctx.Err() == nil {
			r.log.WarnContext(ctx, "jobs cannot be looked up", "error", err)
		}
		return nil
	}
	var done []string
	for _, job := range r.jobs {
		if due, known := at[job.Name]; known && !isDue(due, job.Every, r.now()) {
			continue
		}
		ran, err := r.once(ctx, job)
		switch {
		case err != nil && ctx.Err() != nil:
			return done // stopped in the middle; it is due again soon
		case err != nil:
			r.log.ErrorContext(ctx, "job failed", "job", job.Name, "error", err)
		case ran:
			done = append(done, job.Name)
		}
	}
	return done
}

// isDue reports whether a job is due now. What is due later than an interval from now was written by a wrong clock.
func isDue(due time.Time, every time.Duration, now time.Time) bool {
	return !now.Before(due) || due.After(now.Add(every))
}

// once runs a job if no other node does.
func (r *Runner) once(ctx context.Context, job Job) (ran bool, err error) {
	unlock, free, err := r.store.db.TryLock(ctx, "ostiary job "+job.Name)
	if err != nil || !free {
		return false, err
	}
	defer unlock()
	now := r.now()
	claimed, err := r.store.claim(ctx, job, now, min(retryAfter, job.Every))
	if err != nil || !claimed {
		return false, err
	}
	err = safely(ctx, job)
	noting, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteWithin)
	defer cancel()
	if err != nil {
		return true, errors.Join(err, r.store.failed(noting, job, problemText(err)))
	}
	return true, r.store.succeeded(noting, job, now, r.now())
}

// safely turns a panic of a job into its error: the process serves people meanwhile.
func safely(ctx context.Context, job Job) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v", v)
		}
	}()
	return job.Run(ctx)
}

const maxProblem = 500

func problemText(err error) string {
	text := []rune(err.Error())
	return string(text[:min(len(text), maxProblem)])
}

// jittered returns a random duration below d.
func jittered(d time.Duration) time.Duration {
	n, err := rand.Int(rand.Reader, big.NewInt(int64(d)))
	if err != nil {
		return d / 2 // crypto/rand does not fail
	}
	return time.Duration(n.Int64())
}
