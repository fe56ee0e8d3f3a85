package attemptlog_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"gorm.io/gorm"

	"github.com/ostiary/ostiary/app/apptest"
	"github.com/ostiary/ostiary/app/db"
	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/scope"
	"github.com/ostiary/ostiary/oauth/attemptlog"
	"github.com/ostiary/ostiary/tenants"
	"github.com/ostiary/ostiary/tenants/tenanttest"
)

func TestMain(m *testing.M) { apptest.Main(m) }

const (
	firstCase  = "OST-AAAAA-22222"
	secondCase = "OST-BBBBB-33333"
)

type fixture struct {
	*tenanttest.World
	log    *attemptlog.Log
	reader *attemptlog.Reader
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	w := tenanttest.New(t, apptest.Database(t).AppURL)
	f := &fixture{World: w, reader: attemptlog.NewReader(w.DB, w.Clock.Now)}
	f.log = attemptlog.New(attemptlog.Deps{DB: w.DB, Now: w.Clock.Now, Logger: slog.New(slog.DiscardHandler)})
	t.Cleanup(f.log.Close)
	return f
}

// record writes steps of a tenant, one second apart.
func (f *fixture) record(t *testing.T, tenant *tenanttest.Tenant, steps ...attemptlog.Step) {
	t.Helper()
	for _, s := range steps {
		f.log.Record(attemptlog.Place{Scope: tenant.Scope(), Key: []byte(tenant.ID)}, s)
		f.Clock.Advance(time.Second)
	}
	f.log.Flush(t.Context())
}

func ok(caseID string, kind attemptlog.Kind) attemptlog.Step {
	return attemptlog.Step{CaseID: caseID, Kind: kind, Outcome: attemptlog.OutcomeOK, ClientID: "app", Address: "192.0.2.1"}
}

func refused(caseID string, kind attemptlog.Kind, reason string) attemptlog.Step {
	return attemptlog.Step{CaseID: caseID, Kind: kind, Outcome: attemptlog.OutcomeRefused, Reason: reason, ClientID: "app"}
}

func kinds(steps []attemptlog.Step) string {
	var out []string
	for _, s := range steps {
		out = append(out, string(s.Kind))
	}
	return strings.Join(out, " ")
}

func TestFind_ShowsTheWholeHandshakeAndWhatCameBefore(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.record(t, f.Acme,
		attemptlog.Step{Kind: attemptlog.KindMetadata, Outcome: attemptlog.OutcomeOK, Address: "192.0.2.1"},
		attemptlog.Step{Kind: attemptlog.KindMetadata, Outcome: attemptlog.OutcomeOK, Address: "192.0.2.1"},
		attemptlog.Step{Kind: attemptlog.KindMetadata, Outcome: attemptlog.OutcomeOK, Address: "192.0.2.99"},
		attemptlog.Step{Kind: attemptlog.KindRegister, Outcome: attemptlog.OutcomeOK, ClientID: "app", Address: "198.51.100.7"},
		attemptlog.Step{Kind: attemptlog.KindRegister, Outcome: attemptlog.OutcomeOK, ClientID: "other", Address: "192.0.2.1"},
		ok(firstCase, attemptlog.KindAuthorize), ok(secondCase, attemptlog.KindAuthorize),
		refused(firstCase, attemptlog.KindToken, "pkce_differs"))
	steps, err := f.reader.Find(f.Acme.Member(tenants.RoleViewer), "  ost-aaaaa-22222 ")
	if err != nil || kinds(steps) != "metadata register authorize token" {
		t.Fatalf("found %q, %v", kinds(steps), err)
	}
	if last := steps[3]; last.Reason != "pkce_differs" || attemptlog.Explain(last).Who != attemptlog.FixerApp {
		t.Errorf("last step %+v", last)
	}
	if steps[0].Address != steps[2].Address || strings.Contains(steps[0].Address, ".") || len(steps[0].Address) != 16 {
		t.Errorf("addresses %q and %q", steps[0].Address, steps[2].Address)
	}
	// What is long ago belongs to another attempt.
	f.Clock.Advance(20 * time.Minute)
	f.record(t, f.Acme, ok("OST-CCCCC-44444", attemptlog.KindAuthorize))
	if steps, err = f.reader.Find(f.Acme.Operator(), "OST-CCCCC-44444"); err != nil || kinds(steps) != "authorize" {
		t.Errorf("found %q, %v", kinds(steps), err)
	}
}

func TestReader_NeighbourSeesNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.record(t, f.Acme, ok(firstCase, attemptlog.KindAuthorize))
	f.record(t, f.Neighbour, ok(secondCase, attemptlog.KindAuthorize))
	neighbour := f.Neighbour.Member(tenants.RoleOwner)
	if _, err := f.reader.Find(neighbour, firstCase); !errs.Is(err, errs.NotFound) {
		t.Errorf("Find: %v", err)
	}
	list, total, err := f.reader.List(neighbour, attemptlog.AttemptFilter{})
	if err != nil || total != 1 || list[0].CaseID != secondCase {
		t.Errorf("List: %+v, %d, %v", list, total, err)
	}
	steps, err := f.reader.Steps(neighbour, attemptlog.StepFilter{ClientID: "app"})
	if err != nil || len(steps) != 1 || steps[0].CaseID != secondCase {
		t.Errorf("Steps: %+v, %v", steps, err)
	}
	acme, err := f.reader.Steps(f.Acme.Operator(), attemptlog.StepFilter{})
	if err != nil || len(acme) != 1 || acme[0].Address == steps[0].Address {
		t.Errorf("one address has one hash in two environments: %+v, %v", acme, err)
	}
	// The member of one tenant under the scope of another, nobody, and no environment.
	mixed := scope.With(neighbour, f.Acme.Scope())
	for name, ctx := range map[string]context.Context{
		"foreign member": mixed, "nobody": f.Acme.Context(), "no scope": tenanttest.Operator(),
		"no environment": scope.With(tenanttest.Operator(), scope.Scope{TenantID: f.Acme.ID}),
	} {
		if _, err := f.reader.Find(ctx, firstCase); err == nil || errs.Is(err, errs.NotFound) {
			t.Errorf("%s: Find: %v", name, err)
		}
		if _, _, err := f.reader.List(ctx, attemptlog.AttemptFilter{}); err == nil {
			t.Errorf("%s: List", name)
		}
		if _, err := f.reader.Steps(ctx, attemptlog.StepFilter{}); err == nil {
			t.Errorf("%s: Steps", name)
		}
	}
	// A step under a tenant that is not the environment's is refused by the database.
	before := f.log.Stats()
	f.log.Record(attemptlog.Place{Scope: scope.Scope{TenantID: f.Neighbour.ID, EnvironmentID: f.Acme.EnvironmentID}},
		ok(firstCase, attemptlog.KindToken))
	f.log.Flush(t.Context())
	if after := f.log.Stats(); after.Lost != before.Lost+1 {
		t.Errorf("a step crossed tenants: %+v", after)
	}
}

func TestList_OneRowPerCaseSearchedAndPaged(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for n := range 25 {
		id := fmt.Sprintf("OST-%s-PAGED", strings.Repeat(string(rune('A'+n)), 5))
		first := ok(id, attemptlog.KindAuthorize)
		first.ClientName, first.Host = "Cursor", "cursor.example"
		if n == 3 {
			first.ClientName = "Claude"
		}
		signedIn := ok(id, attemptlog.KindLogin)
		signedIn.UserID = f.Acme.UserID
		f.record(t, f.Acme, first, signedIn, refused(id, attemptlog.KindToken, "code_expired"))
	}
	ctx := f.Acme.Member(tenants.RoleViewer)
	until := f.Clock.Now()
	page, total, err := f.reader.List(ctx, attemptlog.AttemptFilter{Until: until})
	if err != nil || total != 25 || len(page) != 20 || page[0].CaseID != "OST-YYYYY-PAGED" {
		t.Fatalf("List: %d of %d, %v", len(page), total, err)
	}
	if a := page[0]; a.Steps != 3 || a.Last.Reason != "code_expired" || a.UserEmail != f.Acme.UserEmail || a.Host != "cursor.example" {
		t.Errorf("attempt %+v", a)
	}
	f.record(t, f.Acme, ok(firstCase, attemptlog.KindAuthorize)) // comes while somebody reads
	page, total, err = f.reader.List(ctx, attemptlog.AttemptFilter{Until: until, Offset: 20})
	if err != nil || total != 25 || len(page) != 5 || page[4].CaseID != "OST-AAAAA-PAGED" {
		t.Errorf("second page: %d of %d, %v", len(page), total, err)
	}
	for search, want := range map[string]int{
		"claude": 1, "CURSOR.example": 25, "ost-bbbbb": 1, f.Acme.UserEmail: 25, "%": 0, "app": 26, "nobody": 0,
	} {
		if _, total, err := f.reader.List(ctx, attemptlog.AttemptFilter{Search: search}); err != nil || total != want {
			t.Errorf("search %q: %d, %v, want %d", search, total, err, want)
		}
	}
	var ids []int64
	cursor := attemptlog.Cursor{}
	for {
		steps, err := f.reader.Steps(ctx, attemptlog.StepFilter{ClientID: "app", Before: cursor, Limit: 30})
		if err != nil {
			t.Fatal(err)
		}
		if len(steps) == 0 {
			break
		}
		for _, s := range steps {
			if len(ids) > 0 && s.ID >= ids[len(ids)-1] {
				t.Fatalf("step %d comes after %d", s.ID, ids[len(ids)-1])
			}
			ids = append(ids, s.ID)
		}
		cursor = steps[len(steps)-1].Cursor()
	}
	if len(ids) != 76 {
		t.Errorf("paged through %d steps, want 76", len(ids))
	}
	newer, err := f.reader.Steps(ctx, attemptlog.StepFilter{After: cursor, Limit: 2})
	if err != nil || len(newer) != 2 || newer[0].ID != ids[73] || newer[1].ID != ids[74] {
		t.Errorf("the two after the first: %+v, %v", newer, err)
	}
}

func TestRecord_CutsAndCleansWhatStrangersSend(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	long := strings.Repeat("ä", 5000)
	s := refused(firstCase, attemptlog.KindAuthorize, "client_unknown")
	s.ClientName, s.Agent, s.Detail, s.ClientID, s.Host = "Evil\x00\u202e\n"+long, long, "\xff\xfe"+long, long, long
	f.record(t, f.Acme, s)
	steps, err := f.reader.Find(f.Acme.Operator(), firstCase)
	if err != nil {
		t.Fatal(err)
	}
	got := steps[0]
	for name, value := range map[string]string{"name": got.ClientName, "agent": got.Agent, "detail": got.Detail, "host": got.Host} {
		if !utf8.ValidString(value) || len(value) > 300 || strings.ContainsAny(value, "\x00\n\u202e") {
			t.Errorf("%s: %d bytes %q", name, len(value), value[:20])
		}
	}
	if !strings.HasPrefix(got.ClientName, "Evilää") {
		t.Errorf("name %q", got.ClientName)
	}
}

func TestCleanURL_DropsWhatMayBeSecret(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"https://user:pw@a.example/cb?code=x#token": "https://a.example/cb", "cursor://callback/x?y=z": "cursor://callback/x",
		"javascript:alert(1)": "javascript:…", "not a url": "(not a URL)", "": "(not a URL)", "https://a.example/mcp/": "https://a.example/mcp/",
	} {
		if got := attemptlog.CleanURL(raw); got != want {
			t.Errorf("CleanURL(%q) = %q, want %q", raw, got, want)
		}
	}
}

// A flood costs its environment's budget and nothing else: nothing waits, the neighbour's steps are all there.
func TestRecord_BoundedUnderAFlood(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	place := attemptlog.Place{Scope: f.Acme.Scope()}
	const flood = 200_000
	for range flood {
		f.log.Record(place, refused(firstCase, attemptlog.KindToken, "code_unknown"))
	}
	f.record(t, f.Neighbour, ok(secondCase, attemptlog.KindAuthorize), refused(secondCase, attemptlog.KindToken, "code_unknown"))
	steps, err := f.reader.Find(f.Neighbour.Operator(), secondCase)
	if err != nil || len(steps) != 2 {
		t.Errorf("the neighbour has %d steps, %v", len(steps), err)
	}
	stats := f.log.Stats()
	if stats.Recorded+stats.Skipped+stats.Lost != flood+2 {
		t.Errorf("not every step is counted: %+v", stats)
	}
	if stats.Recorded > 5000 || stats.Recorded < 200 {
		t.Errorf("%d steps of a flood were written", stats.Recorded)
	}
	// Steps without a case and successes have budgets of their own.
	f.record(t, f.Acme, ok("", attemptlog.KindMetadata), ok(firstCase, attemptlog.KindAuthorize))
	if after := f.log.Stats(); after.Recorded != stats.Recorded+2 {
		t.Errorf("a flood of failures silenced others: %+v, then %+v", stats, after)
	}
}

func TestLog_TrimsByAgeAndNumber(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.record(t, f.Acme, ok(firstCase, attemptlog.KindAuthorize))
	fill(t, f.DB, f.Acme, f.Clock.Now(), 16_000, secondCase)
	fill(t, f.DB, f.Acme, f.Clock.Now(), 6_000, "")
	fill(t, f.DB, f.Neighbour, f.Clock.Now(), 16_000, secondCase)
	f.Clock.Advance(time.Minute)
	// The writer trims an environment once it wrote a thousand steps.
	for range 8 {
		f.Clock.Advance(10 * time.Second)
		for range 150 {
			f.log.Record(attemptlog.Place{Scope: f.Acme.Scope()}, ok(firstCase, attemptlog.KindAuthorize))
		}
		f.log.Flush(t.Context())
	}
	cases, anonymous := countSteps(t, f.DB, f.Acme)
	if cases > 16_000 || cases < 15_000 || anonymous != 5_000 {
		t.Errorf("%d steps of cases and %d others are kept", cases, anonymous)
	}
	if cases, _ := countSteps(t, f.DB, f.Neighbour); cases != 16_000 {
		t.Errorf("trimming one tenant left the neighbour %d steps", cases)
	}
	f.Clock.Advance(8 * 24 * time.Hour)
	if _, total, err := f.reader.List(f.Acme.Operator(), attemptlog.AttemptFilter{}); err != nil || total != 0 {
		t.Errorf("%d attempts after a week, %v", total, err)
	}
}

func fill(t *testing.T, d *db.DB, tenant *tenanttest.Tenant, at time.Time, n int, caseID string) {
	t.Helper()
	err := d.InTenant(tenant.Context(), func(_ context.Context, tx *gorm.DB) error {
		return tx.Exec(`insert into attempt_steps (tenant_id, environment_id, at, case_id, kind, outcome, reason, detail, asked,
  expected, client_id, client_name, host, user_id, address, agent)
select ?, ?, ?, ?, 'token', 'ok', '', '', '', '', 'app', '', '', '', '', '' from generate_series(1, ?)`,
			tenant.ID, tenant.EnvironmentID, at, caseID, n).Error
	})
	if err != nil {
		t.Fatal(err)
	}
}

func countSteps(t *testing.T, d *db.DB, tenant *tenanttest.Tenant) (cases, anonymous int) {
	t.Helper()
	err := d.InTenant(tenant.Context(), func(_ context.Context, tx *gorm.DB) error {
		return tx.Raw(`select count(*) filter (where case_id <> ''), count(*) filter (where case_id = '') from attempt_steps
where tenant_id = ? and environment_id = ?`, tenant.ID, tenant.EnvironmentID).Row().Scan(&cases, &anonymous)
	})
	if err != nil {
		t.Fatal(err)
	}
	return cases, anonymous
}

func TestClose_WritesWhatIsLeft(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.log.Record(attemptlog.Place{Scope: f.Acme.Scope()}, ok(firstCase, attemptlog.KindAuthorize))
	f.log.Close()
	if steps, err := f.reader.Find(f.Acme.Operator(), firstCase); err != nil || len(steps) != 1 {
		t.Errorf("after Close: %+v, %v", steps, err)
	}
	f.log.Close()
	f.log.Flush(t.Context())
	f.log.Record(attemptlog.Place{Scope: f.Acme.Scope()}, ok(firstCase, attemptlog.KindAuthorize))
}

// BenchmarkRecord is what every step costs beyond the budget, which is where a busy server is.
func BenchmarkRecord(b *testing.B) {
	f := newFixture(b)
	place := attemptlog.Place{Scope: f.Acme.Scope()}
	for range 1000 { // spends the budget
		f.log.Record(place, ok("", attemptlog.KindMetadata))
	}
	s := ok("", attemptlog.KindMetadata)
	b.ReportAllocs()
	b.ReportAllocs()
	for b.Loop() {
		f.log.Record(place, s)
	}
}
