package attempts_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ostiary/ostiary/app/apptest"
	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/tenants/attempts"
	"github.com/ostiary/ostiary/tenants/tenanttest"
)

func TestMain(m *testing.M) { apptest.Main(m) }

// counters are the two stores of counts, which must agree.
func counters(t *testing.T) (map[string]func(attempts.Attempt, time.Time) error, map[string]func(attempts.Attempt,
	time.Time)) {
	t.Helper()
	w := tenanttest.New(t, apptest.Database(t).AppURL)
	stored, memory := attempts.NewCounter(w.DB), attempts.NewMemory()
	ctx := w.Acme.Context()
	count := map[string]func(attempts.Attempt, time.Time) error{
		"Postgres": func(a attempts.Attempt, now time.Time) error { return stored.Count(ctx, a, now) },
		"memory":   memory.Count,
	}
	succeed := map[string]func(attempts.Attempt, time.Time){
		"Postgres": func(a attempts.Attempt, now time.Time) {
			if err := stored.Succeeded(ctx, a, now); err != nil {
				t.Error(err)
			}
		},
		"memory": func(a attempts.Attempt, _ time.Time) { memory.Succeeded(a) },
	}
	return count, succeed
}

var start = time.Date(2026, 11, 3, 12, 0, 0, 0, time.UTC)

// allowed returns how many of n attempts pass.
func allowed(t *testing.T, n int, count func(i int) error) int {
	t.Helper()
	passed := 0
	for i := range n {
		err := count(i)
		if err == nil {
			passed++
		} else if !errs.Is(err, errs.RateLimited) {
			t.Fatal(err)
		}
	}
	return passed
}

func TestCount_Limits(t *testing.T) {
	t.Parallel()
	count, _ := counters(t)
	for name, count := range count {
		for what, c := range map[string]struct {
			attempt func(i int) attempts.Attempt
			want    int
		}{
			"one e-mail, one address": {func(int) attempts.Attempt {
				return attempts.Attempt{Space: "1", Email: "a@b", Address: "192.0.2.1"}
			}, 10},
			"many e-mails, one address": {func(i int) attempts.Attempt {
				return attempts.Attempt{Space: "2", Email: fmt.Sprint(i), Address: "192.0.2.1"}
			}, 60},
			"many e-mails, one IPv6 network": {func(i int) attempts.Attempt {
				return attempts.Attempt{Space: "3", Email: fmt.Sprint(i), Address: fmt.Sprintf("2001:db8::%x", i)}
			}, 60},
			"one e-mail, many addresses": {func(i int) attempts.Attempt {
				return attempts.Attempt{Space: "4", Email: "a@b", Address: fmt.Sprintf("192.0.%d.%d", i/200, i%200)}
			}, 200},
			"IPv4 in IPv6 is the same address": {func(i int) attempts.Attempt {
				return attempts.Attempt{Space: "5", Email: "a@b", Address: []string{"192.0.2.1", "::ffff:192.0.2.1"}[i%2]}
			}, 10},
		} {
			if got := allowed(t, 250, func(i int) error { return count(c.attempt(i), start) }); got != c.want {
				t.Errorf("%s, %s: %d pass, want %d", name, what, got, c.want)
			}
		}
	}
}

// A refused attempt counts for nothing: hammering one pair does not use up the victim's loose limit.
func TestCount_RefusedAttemptsDoNotCount(t *testing.T) {
	t.Parallel()
	count, _ := counters(t)
	for name, count := range count {
		allowed(t, 500, func(int) error {
			return count(attempts.Attempt{Space: "s", Email: "victim@b", Address: "192.0.2.66"}, start)
		})
		if err := count(attempts.Attempt{Space: "s", Email: "victim@b", Address: "192.0.2.1"}, start); err != nil {
			t.Errorf("%s: the victim is locked out: %v", name, err)
		}
	}
}

func TestCount_SuccessForgetsAndWindowsEnd(t *testing.T) {
	t.Parallel()
	count, succeed := counters(t)
	a := attempts.Attempt{Space: "s", Email: "a@b", Address: "192.0.2.1"}
	for name, count := range count {
		for round := range 6 { // eight failures and a success each, behind one address
			if got := allowed(t, 9, func(int) error { return count(a, start) }); got != 9 {
				t.Fatalf("%s, round %d: %d pass, want 9", name, round, got)
			}
			succeed[name](a, start)
		}
		got := allowed(t, 100, func(i int) error {
			return count(attempts.Attempt{Space: "s", Email: fmt.Sprint(i), Address: a.Address}, start)
		})
		if got != 60-6*8 {
			t.Errorf("%s: %d more pass, want 12: failures count for the address, successes do not", name, got)
		}
		other := attempts.Attempt{Space: "s", Email: "other@b", Address: a.Address}
		err := count(other, start.Add(time.Minute))
		after, ok := attempts.RetryAfter(err)
		if !errs.Is(err, errs.RateLimited) || !ok || after != attempts.Window-time.Minute {
			t.Errorf("%s: %v, retry after %s, %t", name, err, after, ok)
		}
		if err := count(other, start.Add(attempts.Window)); err != nil {
			t.Errorf("%s: the limit outlasts its window: %v", name, err)
		}
	}
	if _, ok := attempts.RetryAfter(errs.New(errs.RateLimited, "by somebody else")); ok {
		t.Error("RetryAfter knows an error that is not ours")
	}
}

// Of parallel attempts exactly as many pass as the limit allows.
func TestCount_ParallelAttempts(t *testing.T) {
	t.Parallel()
	count, _ := counters(t)
	for name, count := range count {
		var passed atomic.Int64
		var group sync.WaitGroup
		for range 40 {
			group.Go(func() {
				err := count(attempts.Attempt{Space: "s", Email: "a@b", Address: "192.0.2.1"}, start)
				switch {
				case err == nil:
					passed.Add(1)
				case !errs.Is(err, errs.RateLimited):
					t.Errorf("%s: %v", name, err)
				}
			})
		}
		group.Wait()
		if passed.Load() != 10 {
			t.Errorf("%s: %d pass, want 10", name, passed.Load())
		}
	}
}

func TestCounter_TenantsAreCountedApart(t *testing.T) {
	t.Parallel()
	w := tenanttest.New(t, apptest.Database(t).AppURL)
	c := attempts.NewCounter(w.DB)
	a := attempts.Attempt{Space: "s", Email: "a@b", Address: "192.0.2.1"}
	allowed(t, 20, func(int) error { return c.Count(w.Acme.Context(), a, start) })
	if err := c.Count(w.Neighbour.Context(), a, start); err != nil {
		t.Errorf("Acme's attempts count for its neighbour: %v", err)
	}
	if err := c.Succeeded(w.Neighbour.Context(), a, start); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Sweep(w.Neighbour.Context(), start.Add(2*attempts.Window)); err != nil {
		t.Fatal(err)
	}
	if err := c.Count(w.Acme.Context(), a, start); !errs.Is(err, errs.RateLimited) {
		t.Errorf("the neighbour forgave Acme's attempts: %v", err)
	}
	if _, err := c.Sweep(w.Acme.Context(), start.Add(2*attempts.Window)); err != nil {
		t.Fatal(err)
	}
	if err := c.Count(w.Acme.Context(), a, start); err != nil {
		t.Errorf("swept counters still count: %v", err)
	}
	if err := c.Count(context.Background(), a, start); !errs.Is(err, errs.Internal) {
		t.Errorf("without a tenant: %v", err)
	}
}
