package report

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/ostiary/ostiary/app/calls"
	"github.com/ostiary/ostiary/app/clock"
	"github.com/ostiary/ostiary/app/secret"
)

// Options configure a Reporter. Issuer, ResourceID and Credential are required.
type Options struct {
	Issuer     string // URL
	ResourceID string // res_…
	Credential func() (Credential, error)

	HTTPClient *http.Client // to the issuer
	Logger     *slog.Logger
	Now        func() time.Time
	SpoolDir   string // where records outlive the process; empty for memory only

	Every      time.Duration // between batches; 1 s
	Backoff    time.Duration // after a first failure, doubled up to 30 s; 500 ms
	MaxRecords int           // held at a time; 10,000
	MaxBytes   int           // they take; 32 MiB
	MaxSpool   int64         // bytes on disk; 64 MiB
}

const (
	defaultEvery   = time.Second
	defaultBackoff = 500 * time.Millisecond
	maxBackoff     = 30 * time.Second
	defaultRecords = 10_000
	defaultBytes   = 32 << 20
	defaultSpool   = 64 << 20
	eager          = 200 // records that are sent without waiting for the time
	sendTimeout    = 10 * time.Second
	quietFor       = time.Minute // between two words about the same trouble
)

func (o Options) withDefaults() (Options, error) {
	if o.Issuer == "" || o.ResourceID == "" || o.Credential == nil {
		return o, errors.New("report: issuer, resource id and credential are required")
	}
	if o.HTTPClient == nil {
		o.HTTPClient = &http.Client{}
	}
	client := *o.HTTPClient // the caller's stays as it is
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	o.HTTPClient = &client
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = clock.System
	}
	o.Every, o.Backoff = orDefault(o.Every, defaultEvery), orDefault(o.Backoff, defaultBackoff)
	o.MaxRecords, o.MaxBytes = orDefault(o.MaxRecords, defaultRecords), orDefault(o.MaxBytes, defaultBytes)
	o.MaxSpool = orDefault(o.MaxSpool, defaultSpool)
	o.MaxBytes = min(o.MaxBytes, int(o.MaxSpool/2)) // what is held always fits
	return o, nil
}

func orDefault[T ~int | ~int64](v, otherwise T) T {
	if v <= 0 {
		return otherwise
	}
	return v
}

// Reporter collects records and sends them. Make it with New, end it with Close.
type Reporter struct {
	o       Options
	queue   queue
	sender  sender
	spool   *spool
	kick    chan struct{}
	waiters chan waiter
	closing chan struct{}
	done    chan struct{}
	once    sync.Once

	said map[string]time.Time // when each trouble was last told; of the goroutine that sends
}

// waiter waits until the records before a number are settled.
type waiter struct {
	before int64
	done   chan struct{}
	left   <-chan struct{} // closed when nobody waits any more
}

func (w waiter) gone() bool {
	select {
	case <-w.left:
		return true
	default:
		return false
	}
}

// New returns a Reporter and starts it. The credential is read at once, so that a mistake is known at the start; the issuer is
// not asked. What an earlier process left in the spool is sent first.
func New(o Options) (*Reporter, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	credential, err := o.Credential()
	if err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	r := &Reporter{
		o: o, queue: queue{mostRecords: o.MaxRecords, mostBytes: o.MaxBytes},
		sender: newSender(o, credential), kick: make(chan struct{}, 1), waiters: make(chan waiter),
		closing: make(chan struct{}), done: make(chan struct{}), said: map[string]time.Time{},
	}
	if o.SpoolDir != "" {
		if err := r.openSpool(); err != nil {
			return nil, fmt.Errorf("report: %w", err)
		}
	}
	go r.run()
	return r, nil
}

// openSpool takes up what an earlier process left.
func (r *Reporter) openSpool() error {
	s, left, err := openSpool(r.o.SpoolDir, r.o.MaxSpool)
	if err != nil {
		return err
	}
	r.queue.dropped = left.dropped
	for _, c := range left.records {
		c.Clean()
		r.queue.next = c.number
		r.queue.push(c.Record)
	}
	r.queue.next = left.next
	now := r.queue.state()
	if err := s.rewrite(r.queue.since(0), now.first, now.dropped); err != nil {
		s.close()
		return err
	}
	r.spool = s
	if len(left.records) > 0 || left.damaged > 0 {
		r.o.Logger.InfoContext(context.Background(), "calls were left from an earlier run", "calls", len(left.records),
			"unreadable", left.damaged)
	}
	return nil
}

// Observe takes a record. It never waits; it is what gate.Options.Observe wants.
func (r *Reporter) Observe(_ context.Context, c calls.Record) {
	if c.At.IsZero() {
		c.At = r.o.Now()
	}
	if c.ID == "" {
		c.ID = secret.NewOrderedID("call", c.At)
	}
	c.Clean()
	if r.queue.push(c) >= eager {
		select {
		case r.kick <- struct{}{}:
		default:
		}
	}
}

// Stats are counts since the start.
type Stats struct {
	Waiting int   // records that the issuer has not taken yet
	Lost    int64 // records that never will be taken
}

// Stats returns the counts.
func (r *Reporter) Stats() Stats {
	s := r.queue.state()
	return Stats{Waiting: s.waiting, Lost: s.lost}
}

// Flush sends what was recorded before it was called. Errors: that of ctx, when it ends first.
func (r *Reporter) Flush(ctx context.Context) error {
	w := waiter{before: r.queue.state().next, done: make(chan struct{}), left: ctx.Done()}
	select {
	case r.waiters <- w:
	case <-r.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-w.done:
	case <-r.done:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// Close sends what is left, as long as ctx allows, and ends the reporter. With a spool what could not be sent waits there for
// the next start; without one it is lost, and the error says how much.
func (r *Reporter) Close(ctx context.Context) error {
	r.queue.close()
	err := r.Flush(ctx)
	r.once.Do(func() { close(r.closing) })
	<-r.done
	if left := r.queue.state().waiting; err != nil && left > 0 && r.spool == nil {
		return fmt.Errorf("report: %d calls were not reported: %w", left, err)
	}
	return nil
}
