package attempts_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/ostiary/ostiary/app/apptest"
	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/scope"
	"github.com/ostiary/ostiary/tenants/attempts"
	"github.com/ostiary/ostiary/tenants/tenanttest"
)

// node is one process that takes sign-ins.
type node struct {
	*attempts.Guard
	world *tenanttest.World
}

// look tells an attempt what Postgres knows, as the statement does that looks for the user.
func (n node) look(ctx context.Context, try *attempts.Try) error {
	s, err := scope.From(ctx)
	if err != nil {
		return err
	}
	keys, window := try.HitsOf()
	return n.world.DB.Pipe(ctx, func(b *pgx.Batch) {
		b.Queue(`select `+attempts.Hits, s.TenantID, keys, window).QueryRow(func(row pgx.Row) error {
			var counters [][]byte
			if err := row.Scan(&counters); err != nil {
				return err
			}
			try.Knows(counters)
			return nil
		})
	})
}

// try makes an attempt as signing in does. While it is under way, meanwhile is called.
func (n node) try(ctx context.Context, a attempts.Attempt, succeeds bool, meanwhile func()) error {
	try := n.Try(n.world.Acme.ID, a, start)
	defer try.End()
	if err := n.look(ctx, try); err != nil {
		return err
	}
	if err := try.Admit(ctx); err != nil {
		return err
	}
	if meanwhile != nil {
		meanwhile()
	}
	if succeeds {
		return n.world.DB.Pipe(ctx, func(b *pgx.Batch) { try.QueueSucceeded(b) })
	}
	return n.world.DB.Pipe(ctx, func(b *pgx.Batch) { try.QueueFailed(b) })
}

func guards(t *testing.T, n int) []node {
	t.Helper()
	w := tenanttest.New(t, apptest.Database(t).AppURL)
	nodes := make([]node, n)
	for i := range nodes {
		nodes[i] = node{attempts.NewGuard(w.DB), w}
	}
	return nodes
}

// What fails on one node counts on all, whatever the limit and however attempts are spread.
func TestGuard_LimitsOverNodes(t *testing.T) {
	t.Parallel()
	nodes := guards(t, 3)
	ctx := nodes[0].world.Acme.Context()
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
		"one e-mail, many addresses": {func(i int) attempts.Attempt {
			return attempts.Attempt{Space: "4", Email: "a@b", Address: fmt.Sprintf("192.0.%d.%d", i/200, i%200)}
		}, 200},
	} {
		got := allowed(t, 250, func(i int) error { return nodes[i%3].try(ctx, c.attempt(i), false, nil) })
		if got != c.want {
			t.Errorf("%s: %d pass, want %d", what, got, c.want)
		}
	}
}

// Successes write nothing and use nothing up, however many there are; they forgive what failed before.
func TestGuard_SuccessesCountForNothing(t *testing.T) {
	t.Parallel()
	nodes := guards(t, 2)
	ctx := nodes[0].world.Acme.Context()
	a := attempts.Attempt{Space: "s", Email: "a@b", Address: "192.0.2.1"}
	for i := range 100 {
		if err := nodes[i%2].try(ctx, a, true, nil); err != nil {
			t.Fatalf("success %d: %v", i, err)
		}
	}
	if hits := nodes[0].hits(ctx, t); hits != 0 {
		t.Errorf("%d hits are stored", hits)
	}
	for round := range 4 {
		got := allowed(t, 8, func(i int) error { return nodes[i%2].try(ctx, a, false, nil) })
		if err := nodes[1].try(ctx, a, true, nil); got != 8 || err != nil {
			t.Fatalf("round %d: %d pass, then %v", round, got, err)
		}
	}
	if hits := nodes[0].hits(ctx, t); hits != 4*8 { // of the address alone
		t.Errorf("%d hits are stored", hits)
	}
}

func (n node) hits(ctx context.Context, t *testing.T) (sum int) {
	t.Helper()
	err := n.world.DB.Pipe(ctx, func(b *pgx.Batch) {
		b.Queue(`select coalesce(sum(hits), 0) from rate_counters`).QueryRow(func(row pgx.Row) error { return row.Scan(&sum) })
	})
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

// Attempts that are all under way at once pass a limit by no more than a quarter for each node.
func TestGuard_ParallelAttempts(t *testing.T) {
	t.Parallel()
	nodes := guards(t, 2)
	ctx := nodes[0].world.Acme.Context()
	a := attempts.Attempt{Space: "s", Email: "a@b", Address: "192.0.2.1"}
	var passed atomic.Int64
	var all, decided sync.WaitGroup
	decided.Add(40)
	for i := range 40 {
		all.Go(func() {
			err := nodes[i%2].try(ctx, a, false, func() {
				decided.Done()
				decided.Wait() // nobody is done before everybody was admitted or refused
			})
			switch {
			case err == nil:
				passed.Add(1)
			case errs.Is(err, errs.RateLimited):
				decided.Done()
			default:
				t.Error(err)
			}
		})
	}
	all.Wait()
	if got := passed.Load(); got < 8 || got > 10+2*2 {
		t.Errorf("%d pass, limit 10, two nodes", got)
	}
	if err := nodes[0].try(ctx, a, true, nil); !errs.Is(err, errs.RateLimited) {
		t.Errorf("after that: %v", err)
	}
	neighbour := nodes[1].Try(nodes[1].world.Neighbour.ID, a, start)
	defer neighbour.End()
	nctx := nodes[1].world.Neighbour.Context()
	if err := nodes[1].look(nctx, neighbour); err != nil {
		t.Fatal(err)
	}
	if err := neighbour.Admit(nctx); err != nil {
		t.Errorf("Acme's attempts count for its neighbour: %v", err)
	}
}
