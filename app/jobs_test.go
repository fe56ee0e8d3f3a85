package app_test

import (
	"context"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ostiary/ostiary/app/apptest/host"
	"github.com/ostiary/ostiary/app/calls"
	"github.com/ostiary/ostiary/app/secret"
	"github.com/ostiary/ostiary/tenants"
	"github.com/ostiary/ostiary/tenants/apply"
	"github.com/ostiary/ostiary/tenants/calllog"
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
	err := s.DB.Pipe(tenant.Context(), func(b *pgx.Batch) {
		b.Queue(`insert into client_assertions (tenant_id, environment_id, client_hash, jti_hash, expires_at)
			values ($1, $2, sha256('client'), sha256($3), $4)`,
			tenant.ID, tenant.EnvironmentID, secret.Bytes(8), s.Clock.Now().Add(5*time.Minute))
	})
	if err != nil {
		t.Fatal(err)
	}
}

var swept = map[string]string{ // the column that says when a row has expired
	"sessions": "expires_at", "member_sessions": "expires_at", "rate_counters": "window_start", "client_assertions": "expires_at",
}

func TestJobs_SweepWhatHasExpiredAndNothingElse(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	signIn(t, s, s.Acme)
	s.Clock.Advance(6 * 24 * time.Hour)
	signIn(t, s, s.Neighbour)
	for table := range swept {
		if count(t, s, s.Acme, table) == 0 || count(t, s, s.Neighbour, table) == 0 {
			t.Fatalf("%s: there is nothing to sweep or to keep", table)
		}
	}
	s.Clock.Advance(25 * time.Hour) // Acme's sessions have ended, the neighbour's have not
	signIn(t, s, s.Neighbour)       // with a counter of now
	records := count(t, s, s.Acme, "audit_events")
	if done := s.App.Jobs().RunDue(t.Context()); !slices.Contains(done, "sweep") {
		t.Fatalf("done %v", done)
	}
	for table := range swept {
		if n := count(t, s, s.Acme, table); n != 0 {
			t.Errorf("%s: %d expired rows are left", table, n)
		}
		if n := count(t, s, s.Neighbour, table); n == 0 {
			t.Errorf("%s: the neighbour's living rows are gone", table)
		}
	}
	if count(t, s, s.Acme, "audit_events") != records {
		t.Error("the sweep took records")
	}
}

// Calls are kept for as long as their environment says.
func TestJobs_SweepCallsAfterTheirRetention(t *testing.T) {
	t.Parallel()
	week := tenants.Duration(7 * 24 * time.Hour)
	s := host.New(t, host.WithFile(func(f *apply.File) { f.Environments[0].Settings.CallRetention = &week }))
	log := calllog.New(s.Deps)
	for _, tenant := range []*tenanttest.Tenant{s.Acme, s.Neighbour} {
		_, err := log.Keep(tenant.Context(), tenant.ResourceID, calls.Batch{Calls: []calls.Record{{
			ID: secret.NewID("call"), At: s.Clock.Now(), Kind: "tool", Tool: "run_query", User: "u", Proof: calls.ProofToken, Reason: "allowed",
		}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, left := range []int{1, 0} { // after six days and after twelve
		s.Clock.Advance(6 * 24 * time.Hour)
		if done := s.App.Jobs().RunDue(t.Context()); !slices.Contains(done, "call-retention") {
			t.Fatalf("done %v", done)
		}
		if n := count(t, s, s.Acme, "tool_calls"); n != left {
			t.Errorf("%d calls are left, want %d", n, left)
		}
	}
	if n := count(t, s, s.Neighbour, "tool_calls"); n != 1 {
		t.Errorf("the neighbour, who keeps them longer, has %d", n)
	}
}

// A sweep finds what expired in one tenant by index, however many tenants and rows there are.
func TestJobs_SweepsHaveTheirIndex(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	for table, column := range swept {
		found := false
		err := s.DB.Pipe(s.Acme.Context(), func(b *pgx.Batch) {
			b.Queue(`select exists (select from pg_indexes where schemaname = 'public' and tablename = $1 and indexdef like $2)`,
				table, "%(tenant_id, "+column+")").QueryRow(func(row pgx.Row) error { return row.Scan(&found) })
		})
		if err != nil || !found {
			t.Errorf("%s: no index on (tenant_id, %s): %v", table, column, err)
		}
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
		if ran != 3 { // sweep, call-retention and signing-keys
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
	eventually(t, "the jobs", func() bool { return len(s.App.Jobs().RunDue(t.Context())) == 3 })
}

// eventually waits for what other goroutines bring about.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not come", what)
		}
	}
}
