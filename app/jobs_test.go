package app_test

import (
	"context"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ostiary/ostiary/app/apptest/host"
	"github.com/ostiary/ostiary/tenants"
	"github.com/ostiary/ostiary/tenants/tenanttest"
)

// count returns how many rows of a table a tenant has.
func count(t *testing.T, s *host.Stack, tenant *tenanttest.Tenant, table string) int {
	t.Helper()
	n := 0
	err := s.DB.Pipe(tenant.Context(), func(b *pgx.Batch) {
		b.Queue(`select count(*) from ` + table).QueryRow(func(row pgx.Row) error { return row.Scan(&n) })
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// signIn leaves a session, a member's session and a counted attempt behind.
func signIn(t *testing.T, s *host.Stack, tenant *tenanttest.Tenant) {
	t.Helper()
	b := host.NewBrowser(t)
	p := b.Open(t, s.Register(t, tenant, nil).Authorize().URL())
	f := p.Form(t, "password")
	f.Values.Set("email", tenant.UserEmail)
	f.Values.Set("password", "wrong")
	b.Send(t, f.Action, f.Values, nil)
	f.Values.Set("password", tenanttest.Password)
	if p = b.Send(t, f.Action, f.Values, nil); p.Status != http.StatusOK {
		t.Fatalf("sign-in: %d", p.Status)
	}
	if _, _, err := s.Sessions.Create(tenant.Member(tenants.RoleOwner), tenant.MemberOf(tenants.RoleOwner)); err != nil {
		t.Fatal(err)
	}
}

func TestJobs_SweepWhatHasExpiredAndNothingElse(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	signIn(t, s, s.Acme)
	s.Clock.Advance(6 * 24 * time.Hour)
	signIn(t, s, s.Neighbour)
	tables := []string{"sessions", "member_sessions", "rate_counters"}
	for _, table := range tables {
		if count(t, s, s.Acme, table) == 0 || count(t, s, s.Neighbour, table) == 0 {
			t.Fatalf("%s: there is nothing to sweep or to keep", table)
		}
	}
	s.Clock.Advance(25 * time.Hour) // Acme's sessions have ended, the neighbour's have not
	signIn(t, s, s.Neighbour)       // with a counter of now
	grants := count(t, s, s.Acme, "audit_events")
	if done := s.App.Jobs().RunDue(t.Context()); !slices.Contains(done, "sweep") {
		t.Fatalf("done %v", done)
	}
	for _, table := range tables {
		if n := count(t, s, s.Acme, table); n != 0 {
			t.Errorf("%s: %d expired rows are left", table, n)
		}
		if n := count(t, s, s.Neighbour, table); n == 0 {
			t.Errorf("%s: the neighbour's living rows are gone", table)
		}
	}
	if count(t, s, s.Acme, "audit_events") != grants {
		t.Error("the sweep took records")
	}
}

func TestJobs_RunOncePerIntervalOnAnyNode(t *testing.T) {
	t.Parallel()
	s := host.New(t, host.WithNodes(3))
	for round := range 2 {
		ran := 0
		for _, n := range s.Nodes {
			ran += len(n.App.Jobs().RunDue(t.Context()))
		}
		if ran != 2 { // sweep and signing-keys
			t.Errorf("round %d: %d runs on three nodes", round, ran)
		}
		s.Clock.Advance(time.Hour)
	}
}

// A node without its database does nothing, and says so only in the log.
func TestJobs_WaitForTheDatabase(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	s.Cable.Cut()
	if done := s.App.Jobs().RunDue(t.Context()); len(done) != 0 {
		t.Errorf("done %v", done)
	}
	s.Cable.Mend()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if done := s.App.Jobs().RunDue(ended); len(done) != 0 {
		t.Errorf("done %v after its end", done)
	}
	eventually(t, "the jobs", func() bool { return len(s.App.Jobs().RunDue(t.Context())) == 2 })
}

// eventually waits for what other goroutines bring about.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not come", what)
		}
	}
}
