package jobs_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ostiary/ostiary/app/apptest"
	"github.com/ostiary/ostiary/app/clock"
	"github.com/ostiary/ostiary/app/db"
	"github.com/ostiary/ostiary/app/jobs"
)

func TestMain(m *testing.M) { apptest.Main(m) }

// cluster is a database with a clock, on which nodes run jobs.
type cluster struct {
	database apptest.DB
	moved    atomic.Int64
}

func (c *cluster) now() time.Time { return clock.System().Add(time.Duration(c.moved.Load())) }

func (c *cluster) node(t *testing.T, list ...jobs.Job) *jobs.Runner {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	d, err := db.Open(t.Context(), db.Options{URL: c.database.AppURL, MaxConns: 4, Logger: log, Now: c.now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return jobs.New(jobs.Deps{DB: d, Logger: log, Now: c.now}, list...)
}

func (c *cluster) problem(t *testing.T, name string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), c.database.AppURL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	var problem string
	if err := conn.QueryRow(t.Context(), `select problem from job_runs where name = $1`, name).Scan(&problem); err != nil {
		t.Fatal(err)
	}
	return problem
}

func TestRunDue_OneNodePerInterval(t *testing.T) {
	t.Parallel()
	c := &cluster{database: apptest.Database(t)}
	var runs atomic.Int64
	job := jobs.Job{Name: "count", Every: time.Hour, Run: func(context.Context) error { runs.Add(1); return nil }}
	var nodes []*jobs.Runner
	for range 5 {
		nodes = append(nodes, c.node(t, job))
	}
	for round := range int64(3) {
		for range 2 { // the second time nothing is due
			var group sync.WaitGroup
			for _, n := range nodes {
				group.Go(func() { n.RunDue(t.Context()) })
			}
			group.Wait()
		}
		if got := runs.Load(); got != round+1 {
			t.Fatalf("round %d: %d runs", round, got)
		}
		c.moved.Add(int64(time.Hour))
	}
}

func TestRunDue_FailuresAndPanicsAreTriedAgainSoon(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func() error{
		"fails":  func() error { return errors.New("no luck") },
		"panics": func() error { panic("no luck") },
	} {
		c := &cluster{database: apptest.Database(t)}
		broken, other := true, 0
		node := c.node(t,
			jobs.Job{Name: "broken", Every: 24 * time.Hour, Run: func(context.Context) error {
				if broken {
					return fail()
				}
				return nil
			}},
			jobs.Job{Name: "other", Every: 24 * time.Hour, Run: func(context.Context) error { other++; return nil }})
		if done := node.RunDue(t.Context()); !slices.Equal(done, []string{"other"}) {
			t.Errorf("%s: done %v; one job must not stop another", name, done)
		}
		if problem := c.problem(t, "broken"); problem == "" {
			t.Errorf("%s: nothing is noted", name)
		}
		if done := node.RunDue(t.Context()); len(done) != 0 {
			t.Errorf("%s: tried again at once: %v", name, done)
		}
		broken = false
		c.moved.Add(int64(6 * time.Minute))
		if done := node.RunDue(t.Context()); !slices.Equal(done, []string{"broken"}) || other != 1 {
			t.Errorf("%s: done %v after a while", name, done)
		}
		if problem := c.problem(t, "broken"); problem != "" {
			t.Errorf("%s: %q is still noted", name, problem)
		}
	}
}

// A run that takes longer than its interval does not meet the next one; a node that dies leaves no lock.
func TestRunDue_RunsDoNotOverlap(t *testing.T) {
	t.Parallel()
	c := &cluster{database: apptest.Database(t)}
	running, finish := make(chan struct{}), make(chan struct{})
	slow := c.node(t, jobs.Job{Name: "slow", Every: time.Minute, Run: func(context.Context) error {
		close(running)
		<-finish
		return nil
	}})
	second := 0
	other := c.node(t, jobs.Job{Name: "slow", Every: time.Minute, Run: func(context.Context) error { second++; return nil }})
	var group sync.WaitGroup
	group.Go(func() { slow.RunDue(t.Context()) })
	<-running
	c.moved.Add(int64(time.Hour))
	if other.RunDue(t.Context()); second != 0 {
		t.Error("two nodes do it at once")
	}
	close(finish)
	group.Wait()
	if other.RunDue(t.Context()); second != 1 {
		t.Errorf("it ran %d times afterwards", second)
	}
}

func TestRun_StopsWithItsContext(t *testing.T) {
	t.Parallel()
	c := &cluster{database: apptest.Database(t)}
	ctx, stop := context.WithCancel(t.Context())
	begun := make(chan struct{})
	node := c.node(t, jobs.Job{Name: "endless", Every: time.Hour, Run: func(ctx context.Context) error {
		close(begun)
		<-ctx.Done()
		return ctx.Err()
	}})
	ended := make(chan struct{})
	go func() {
		node.RunDue(ctx)
		node.Run(ctx)
		close(ended)
	}()
	<-begun
	stop()
	select {
	case <-ended:
	case <-time.After(time.Minute):
		t.Fatal("it does not stop")
	}
	c.moved.Add(int64(6 * time.Minute))
	next := c.node(t, jobs.Job{Name: "endless", Every: time.Hour, Run: func(context.Context) error { return nil }})
	if done := next.RunDue(t.Context()); len(done) != 1 {
		t.Error("another node does not take over what was stopped")
	}
}
