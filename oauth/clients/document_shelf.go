package clients

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

const (
	staleFor   = 7 * 24 * time.Hour // how long what we have goes on when its host is away
	failedFor  = 10 * time.Second   // how long a failure is not tried again
	renewAfter = 30 * time.Second   // between two fetches that a lookup asks for before time

	maxFailures = 1000

	defaultPatience = 2 * time.Second // how long a request waits for news of something we still have
)

// documentKey names something fetched. It tells what an issuer on loopback may see from what others may.
type documentKey struct {
	id       string
	loopback bool
}

func (k documentKey) flight() string { return fmt.Sprintf("%t %s", k.loopback, k.id) }

// shelf keeps what was fetched: fresh for as long as its host says, and longer while the host is away. One fetch at a time goes
// out for each thing, whoever waits for it.
type shelf[V any] struct {
	now      func() time.Time
	patience time.Duration
	download func(ctx context.Context, key documentKey, known bool) (V, time.Duration, error)

	flights singleflight.Group
	mu      sync.Mutex
	held    *recently[documentKey, holding[V]]
	failed  *recently[documentKey, failure]
}

type holding[V any] struct {
	value      V
	present    bool
	fetchedAt  time.Time
	freshUntil time.Time
}

type failure struct {
	err   error
	until time.Time
}

func newShelf[V any](most int, now func() time.Time,
	download func(context.Context, documentKey, bool) (V, time.Duration, error),
) *shelf[V] {
	return &shelf[V]{
		now: now, patience: defaultPatience, download: download,
		held: newRecently[documentKey, holding[V]](most), failed: newRecently[documentKey, failure](maxFailures),
	}
}

// get returns the thing and when its host last served it. Errors: those of download, or that of ctx.
func (s *shelf[V]) get(ctx context.Context, key documentKey) (V, time.Time, error) {
	have, failed := s.look(key)
	now := s.now()
	if have.present && now.Before(have.freshUntil) {
		return have.value, have.fetchedAt, nil
	}
	if failed.err != nil && now.Before(failed.until) {
		return have.orElse(failed.err, now)
	}
	return s.load(ctx, key, have, failed)
}

// renew is get for somebody to whom what we have is not good enough, though it counts as fresh.
func (s *shelf[V]) renew(ctx context.Context, key documentKey) (V, time.Time, error) {
	have, failed := s.look(key)
	now := s.now()
	if have.present && (now.Sub(have.fetchedAt) < renewAfter || now.Before(failed.until)) {
		return have.value, have.fetchedAt, nil
	}
	return s.load(ctx, key, have, failed)
}

func (s *shelf[V]) look(key documentKey) (holding[V], failure) {
	s.mu.Lock()
	defer s.mu.Unlock()
	have, _ := s.held.get(key)
	failed, _ := s.failed.get(key)
	return have, failed
}

// orElse returns what we have where err says only that its host cannot be asked, and err otherwise.
func (h holding[V]) orElse(err error, now time.Time) (V, time.Time, error) {
	if h.present && hostAway(err) && now.Sub(h.fetchedAt) < staleFor {
		return h.value, h.fetchedAt, nil
	}
	var none V
	return none, time.Time{}, err
}

// hostAway reports whether err says nothing about the thing itself: its host is down, slow, blocks us, or answers with something
// else. A host that says it is gone, or serves another version of it, is believed at once.
func hostAway(err error) bool {
	var fetch *FetchError
	return errors.As(err, &fetch) && !fetch.Gone
}

var errImpatient = &FetchError{Reason: "did not answer in time"}

func (s *shelf[V]) load(ctx context.Context, key documentKey, have holding[V], failed failure) (V, time.Time, error) {
	fly := func(flight string) <-chan singleflight.Result {
		return s.flights.DoChan(flight, func() (any, error) {
			// A flight may have ended between the look and this one: what it brought is as new as anything can be.
			if got, ok, err := s.since(key, have, failed); ok {
				return got, err
			}
			// Shared by everybody who waits: nobody's cancelled request may end it. The fetcher has a time limit of its own.
			return s.refresh(context.WithoutCancel(ctx), key, have.present)
		})
	}
	done := fly(key.flight())
	var impatient <-chan time.Time
	if have.present {
		timer := time.NewTimer(s.patience)
		defer timer.Stop()
		impatient = timer.C
	}
	var none V
	for own := false; ; own = true {
		select {
		case result := <-done:
			if _, busy := errors.AsType[*BusyError](result.Err); busy && result.Shared && !own {
				done = fly(environmentOf(ctx) + " " + key.flight()) // whoever took off had no slot left; we may have
				continue
			}
			if result.Err != nil {
				return have.orElse(result.Err, s.now())
			}
			got := result.Val.(holding[V]) //nolint:errcheck // refresh returns nothing else
			return got.value, got.fetchedAt, nil
		case <-impatient:
			return have.orElse(errImpatient, s.now())
		case <-ctx.Done():
			return none, time.Time{}, ctx.Err()
		}
	}
}

// since returns what became of key after somebody saw have and failed, if anything did.
func (s *shelf[V]) since(key documentKey, have holding[V], failed failure) (got holding[V], ok bool, err error) {
	held, broken := s.look(key)
	switch {
	case held.present && held.fetchedAt.After(have.fetchedAt):
		return held, true, nil
	case broken.err != nil && broken.until.After(failed.until):
		return holding[V]{}, true, broken.err
	}
	return holding[V]{}, false, nil
}

func (s *shelf[V]) refresh(ctx context.Context, key documentKey, known bool) (holding[V], error) {
	value, fresh, err := s.download(ctx, key, known)
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		got := holding[V]{value: value, present: true, fetchedAt: now, freshUntil: now.Add(fresh)}
		s.failed.drop(key)
		s.held.put(key, got)
		return got, nil
	}
	if _, busy := errors.AsType[*BusyError](err); !busy {
		s.failed.put(key, failure{err: err, until: now.Add(failedFor)})
	}
	if !hostAway(err) {
		s.held.drop(key)
	}
	return holding[V]{}, err
}
