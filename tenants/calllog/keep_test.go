package calllog_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ostiary/ostiary/app/apptest"
	"github.com/ostiary/ostiary/app/calls"
	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/policy"
	"github.com/ostiary/ostiary/app/secret"
	"github.com/ostiary/ostiary/tenants"
	"github.com/ostiary/ostiary/tenants/apply"
	"github.com/ostiary/ostiary/tenants/calllog"
	"github.com/ostiary/ostiary/tenants/tenanttest"
)

func TestMain(m *testing.M) { apptest.Main(m) }

type fixture struct {
	*tenanttest.World
	log *calllog.Log
}

func newFixture(t *testing.T, opts ...tenanttest.Option) *fixture {
	t.Helper()
	w := tenanttest.New(t, apptest.Database(t).AppURL, opts...)
	return &fixture{World: w, log: calllog.New(w.Deps)}
}

// call is an allowed call of the tenant's user, now.
func (f *fixture) call(tenant *tenanttest.Tenant, change ...func(*calls.Record)) calls.Record {
	r := calls.Record{
		ID: secret.NewID("call"), At: f.Clock.Now().UTC().Truncate(time.Microsecond), Kind: policy.TargetTool, Tool: "run_query",
		User: tenant.UserID, Organization: tenant.OrganizationID, Client: "https://claude.ai/client", Host: "claude",
		Grant: secret.NewID("grt"), Proof: calls.ProofToken, Scopes: []string{"data:read", "profiles:read"}, Allowed: true,
		Reason: policy.ReasonAllowed, Revision: 1, Sequence: 3, Silence: 4, Status: 200, LatencyUS: 1500,
	}
	for _, c := range change {
		c(&r)
	}
	return r
}

func (f *fixture) keep(t *testing.T, tenant *tenanttest.Tenant, list ...calls.Record) {
	t.Helper()
	n, err := f.log.Keep(tenant.Context(), tenant.ResourceID, calls.Batch{Calls: list})
	if err != nil || n != len(list) {
		t.Fatalf("%d of %d kept, %v", n, len(list), err)
	}
}

func (f *fixture) count(t *testing.T, tenant *tenanttest.Tenant, table string) (n int) {
	t.Helper()
	err := f.DB.Pipe(tenant.Context(), func(b *pgx.Batch) {
		b.Queue(`select count(*) from ` + table).QueryRow(func(row pgx.Row) error { return row.Scan(&n) })
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestKeep_ReportedTwiceIsOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	first, second := f.call(f.Acme), f.call(f.Acme)
	f.keep(t, f.Acme, first, second)
	changed := first
	changed.Tool, changed.Allowed = "something_else", false
	f.keep(t, f.Acme, changed, f.call(f.Acme), second) // three are kept, one of them is new
	f.keep(t, f.Acme, first, first)
	if n := f.count(t, f.Acme, "tool_calls"); n != 3 {
		t.Errorf("%d rows", n)
	}
	if n := f.count(t, f.Acme, "tool_calls where tool = 'something_else'"); n != 0 {
		t.Error("a record was overwritten")
	}
}

// An id that is taken by another MCP server or tenant stays theirs; the reporter hears that its call is not kept.
func TestKeep_NobodyOverwritesOrHidesAnothersCall(t *testing.T) {
	t.Parallel()
	f := newFixture(t, tenanttest.WithFile(secondServer))
	other := f.secondResource(t)
	mine := f.call(f.Acme)
	f.keep(t, f.Acme, mine)
	stolen := mine
	stolen.Tool = "forged"
	if n, err := f.log.Keep(f.Acme.Context(), other, calls.Batch{Calls: []calls.Record{stolen}}); err != nil || n != 0 {
		t.Errorf("another server: %d kept, %v", n, err)
	}
	f.keep(t, f.Neighbour, stolen) // an id means something within its environment only
	if a, n := f.count(t, f.Acme, "tool_calls where tool = 'forged'"), f.count(t, f.Neighbour, "tool_calls"); a != 0 || n != 1 {
		t.Errorf("%d forged at Acme, %d at its neighbour", a, n)
	}
	_, err := f.log.Keep(f.Neighbour.Context(), f.Acme.ResourceID, calls.Batch{Calls: []calls.Record{f.call(f.Acme)}})
	if err == nil || f.count(t, f.Acme, "tool_calls") != 1 {
		t.Errorf("the neighbour reports for Acme's server: %v", err)
	}
	if _, err := f.log.Keep(context.Background(), f.Acme.ResourceID, calls.Batch{Calls: []calls.Record{mine}}); err == nil {
		t.Error("kept without a tenant")
	}
}

// Values chosen to break the insert are values.
func TestKeep_HostileTexts(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.keep(t, f.Acme,
		f.call(f.Acme, func(r *calls.Record) { r.Tool = `'); drop table tool_calls; --{"a",NULL}` }),
		f.call(f.Acme, func(r *calls.Record) { r.User, r.Scopes = `\x27 {,}`, []string{`a,b`, `"`, `{}`, `\`, `NULL`} }),
		f.call(f.Acme, func(r *calls.Record) { r.Scopes, r.Missing = nil, []string{"x"} }))
	if n := f.count(t, f.Acme, `tool_calls where scopes = array['a,b', '"', '{}', '\', 'NULL'] or scopes = '{}'`); n != 2 {
		t.Errorf("%d rows hold the scopes as they were", n)
	}
}

func TestKeep_CountsLossesOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	batch := calls.Batch{Calls: []calls.Record{f.call(f.Acme), f.call(f.Acme)}, Dropped: 40}
	for range 2 { // the answer to the first was lost
		if n, err := f.log.Keep(f.Acme.Context(), f.Acme.ResourceID, batch); err != nil || n != 2 {
			t.Fatal(n, err)
		}
	}
	if _, err := f.log.Keep(f.Acme.Context(), f.Acme.ResourceID, calls.Batch{Dropped: 2}); err != nil {
		t.Fatal(err)
	}
	lost, err := f.log.Lost(f.Acme.Operator(), "", f.Clock.Now().Add(-time.Hour))
	if err != nil || lost != 42 {
		t.Errorf("%d lost, %v", lost, err)
	}
	if lost, err := f.log.Lost(f.Neighbour.Operator(), "", time.Time{}); err != nil || lost != 0 {
		t.Errorf("the neighbour lost %d, %v", lost, err)
	}
	if _, err := f.log.Lost(f.Acme.Context(), "", time.Time{}); !errs.Is(err, errs.Forbidden) {
		t.Errorf("nobody asks: %v", err)
	}
}

func TestSweep_KeepsWhatIsYoungAndWhatIsOthers(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.keep(t, f.Acme, f.call(f.Acme), f.call(f.Acme))
	f.keep(t, f.Neighbour, f.call(f.Neighbour))
	if _, err := f.log.Keep(f.Acme.Context(), f.Acme.ResourceID, calls.Batch{Dropped: 1}); err != nil {
		t.Fatal(err)
	}
	f.Clock.Advance(48 * time.Hour)
	f.keep(t, f.Acme, f.call(f.Acme))
	if n, err := f.log.Sweep(f.Acme.Context(), 72*time.Hour); err != nil || n != 0 {
		t.Errorf("%d swept before their time, %v", n, err)
	}
	if n, err := f.log.Sweep(f.Acme.Context(), 24*time.Hour); err != nil || n != 2 {
		t.Errorf("%d swept, %v", n, err)
	}
	if a, l, n := f.count(t, f.Acme, "tool_calls"), f.count(t, f.Acme, "call_losses"), f.count(t, f.Neighbour, "tool_calls"); a != 1 ||
		l != 0 || n != 1 {
		t.Errorf("%d calls and %d losses are left, %d at the neighbour", a, l, n)
	}
}

// What is written down stays as it was: the role that serves may add and delete, not change.
func TestToolCalls_CannotBeChanged(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.keep(t, f.Acme, f.call(f.Acme))
	err := f.DB.Pipe(f.Acme.Context(), func(b *pgx.Batch) { b.Queue(`update tool_calls set allowed = false`) })
	if err == nil || !strings.Contains(err.Error(), "permission denied") {
		t.Errorf("changed: %v", err)
	}
}

// secondServer gives Acme another MCP server.
func secondServer(f *apply.File) {
	e := &f.Environments[0]
	second := e.Resources[0]
	second.Identifier, second.Name = "https://second.acme.example/mcp", "Second"
	e.Resources = append(e.Resources, second)
}

func (f *fixture) secondResource(t *testing.T) string {
	t.Helper()
	list, _, err := f.Resources.List(f.Acme.Operator(), tenants.ResourceFilter{Search: "Second"})
	if err != nil || len(list) != 1 {
		t.Fatal(len(list), err)
	}
	return list[0].ID
}
