package calllog_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ostiary/ostiary/app/calls"
	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/policy"
	"github.com/ostiary/ostiary/app/secret"
	"github.com/ostiary/ostiary/tenants"
	"github.com/ostiary/ostiary/tenants/apply"
	"github.com/ostiary/ostiary/tenants/calllog"
	"github.com/ostiary/ostiary/tenants/tenanttest"
)

func (f *fixture) exec(t *testing.T, tenant *tenanttest.Tenant, statement string, args ...any) {
	t.Helper()
	if err := f.DB.Pipe(tenant.Context(), func(b *pgx.Batch) { b.Queue(statement, args...) }); err != nil {
		t.Fatal(err)
	}
}

// grant gives the tenant a grant of its user.
func (f *fixture) grant(t *testing.T, tenant *tenanttest.Tenant, id string, scopes ...string) string {
	t.Helper()
	now := f.Clock.Now()
	f.exec(t, tenant, `insert into grants (tenant_id, environment_id, id, user_id, client_id, resource_id, organization_id, scopes,
		created_at, expires_at, last_used_at) values ($1, $2, $3, $4, 'https://claude.ai/client', $5, $6, $7, $8, $9, $8)`,
		tenant.ID, tenant.EnvironmentID, id, tenant.UserID, tenant.ResourceID, tenant.OrganizationID, scopes, now, now.Add(time.Hour))
	return id
}

func (f *fixture) stop(t *testing.T, tenant *tenanttest.Tenant, kind policy.StopKind, resourceID any, value string) string {
	t.Helper()
	id := secret.NewID("stp")
	f.exec(t, tenant, `insert into stops (tenant_id, environment_id, id, kind, resource_id, value, reason, created_at, created_by)
		values ($1, $2, $3, $4, $5, $6, 'leaked key', $7, $8)`, tenant.ID, tenant.EnvironmentID, id, kind, resourceID, value,
		f.Clock.Now(), tenant.MemberOf(tenants.RoleAdmin).ID)
	return id
}

// explain explains a call by a token, of whose grant the issuer knows.
func (f *fixture) explain(t *testing.T, r calls.Record) calllog.Explanation {
	t.Helper()
	if r.Proof == calls.ProofToken {
		f.Grant(t, f.Acme, r)
	}
	return f.explainAsItIs(t, r)
}

func (f *fixture) explainAsItIs(t *testing.T, r calls.Record) calllog.Explanation {
	t.Helper()
	f.keep(t, f.Acme, r)
	x, err := f.log.Explain(f.Acme.Member(tenants.RoleViewer), r.ID)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// wants checks an explanation: its standing, and that its text says each of the words.
func wants(t *testing.T, name string, x calllog.Explanation, standing calllog.Standing, words ...string) {
	t.Helper()
	text := strings.Join(slices.Concat([]string{x.Why, x.Fix}, x.Facts, x.Doubts), "\n")
	if x.Standing != standing {
		t.Errorf("%s is %s, want %s:\n%s", name, x.Standing, standing, text)
	}
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("%s does not say %q:\n%s", name, w, text)
		}
	}
}

func reason(allowed bool, r policy.Reason, missing ...string) func(*calls.Record) {
	return func(c *calls.Record) { c.Allowed, c.Reason, c.Missing = allowed, r, missing }
}

func TestExplain_DecidesAgainFromTheRevisionInForce(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	allowed := f.explain(t, f.call(f.Acme))
	wants(t, "allowed", allowed, calllog.Confirmed, "Allowed, because", "“Query your data” (data:read)", "Revision 1 was in force")
	if allowed.Decision != calllog.Allowed || allowed.Fix != "" || allowed.Revision.Number != 1 {
		t.Errorf("%+v", allowed)
	}
	grant := f.grant(t, f.Acme, secret.NewID("grt"), "data:read", "profiles:read", "signals:write")
	denied := f.call(f.Acme, reason(false, policy.ReasonInsufficientScope, "signals:write"))
	denied.Tool = "route_signal"
	wants(t, "insufficient", f.explain(t, denied), calllog.Confirmed, "did not carry “Route signals” (signals:write)", "Demo User can allow it")
	denied.ID, denied.Grant = secret.NewID("call"), grant
	wants(t, "granted since", f.explain(t, denied), calllog.Confirmed, "the user has allowed it since")

	unknown := f.call(f.Acme, reason(false, policy.ReasonUnknownTool))
	unknown.Tool = "drop\u202etables"
	x := f.explain(t, unknown)
	wants(t, "unknown tool", x, calllog.Confirmed, "revision 1 does not know the tool drop\uFFFDtables", "an editor can add it")
	if strings.Contains(x.Why, "\u202e") {
		t.Error("the tool's name changes how the sentence reads")
	}
	silent := f.call(f.Acme, reason(false, policy.ReasonOutOfContact))
	silent.Tool, silent.Scopes, silent.Silence = "delete_segment", []string{"segments:delete"}, 720
	wants(t, "silence", f.explain(t, silent), calllog.Confirmed, "can destroy things may go on for 5 minutes", "nothing for 12 minutes")
	silent.ID, silent.Silence = secret.NewID("call"), 300 // 300.2 s, in whole seconds
	wants(t, "just over the limit", f.explain(t, silent), calllog.Confirmed)
	legacy := f.call(f.Acme, reason(false, policy.ReasonInsufficientScope, "signals:write"))
	legacy.Tool, legacy.Proof, legacy.User, legacy.Grant = "route_signal", calls.ProofLegacy, "pilot", ""
	wants(t, "legacy key", f.explain(t, legacy), calllog.Confirmed, "the legacy key did not carry", "moves to OAuth")
}

func TestExplain_SaysWhoTookItBackAndWhen(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	revoked := f.grant(t, f.Acme, secret.NewID("grt"), "data:read", "profiles:read")
	f.exec(t, f.Acme, `update grants set revoked_at = $1, revoked_reason = 'code_replayed' where id = $2`, f.Clock.Now(), revoked)
	f.grant(t, f.Neighbour, revoked, "data:read") // the same id means nothing elsewhere
	f.Clock.Advance(time.Minute)
	c := f.call(f.Acme, reason(false, policy.ReasonRevoked))
	c.Grant = revoked
	wants(t, "revoked", f.explain(t, c), calllog.Confirmed, "was revoked on", "its code was used twice")
	c.ID, c.Grant = secret.NewID("call"), secret.NewID("grt")
	wants(t, "revoked without a trace", f.explain(t, c), calllog.Unconfirmed, "enabled since")

	late := f.call(f.Acme)
	late.Grant, late.Silence = revoked, 100
	wants(t, "not heard yet", f.explain(t, late), calllog.Confirmed, "did not know yet", "100 seconds")
	stream := late // decided before it was revoked, over long after
	stream.ID, stream.Silence, stream.LatencyUS = secret.NewID("call"), 0, (10 * time.Minute).Microseconds()
	f.Clock.Advance(5 * time.Minute)
	stream.At = f.Clock.Now()
	wants(t, "a stream that outlived it", f.explain(t, stream), calllog.Confirmed, "Allowed, because")
	late.ID, late.Silence = secret.NewID("call"), 2
	f.Clock.Advance(time.Minute)
	late.At = f.Clock.Now()
	wants(t, "heard and allowed", f.explain(t, late), calllog.Contradicted, "had heard from the issuer since")
}

func TestExplain_FindsTheStop(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.stop(t, f.Neighbour, policy.StopHost, nil, "claude")
	x := f.explain(t, f.call(f.Acme, reason(false, policy.ReasonStopped)))
	wants(t, "the neighbour's stop", x, calllog.Contradicted, "No stop was on")
	for kind, value := range map[policy.StopKind]string{
		policy.StopTool: "run_query", policy.StopHost: "claude", policy.StopUser: f.Acme.UserID,
		policy.StopOrganization: f.Acme.OrganizationID, policy.StopServer: f.Acme.ResourceID,
	} {
		var server any
		if kind == policy.StopTool || kind == policy.StopServer {
			server = f.Acme.ResourceID
		}
		id := f.stop(t, f.Acme, kind, server, value)
		f.Clock.Advance(time.Minute)
		x := f.explain(t, f.call(f.Acme, reason(false, policy.ReasonStopped)))
		wants(t, string(kind), x, calllog.Confirmed, "was stopped on", "by Demo admin", "leaked key", "can lift the stop")
		if x.StopID != id {
			t.Errorf("%s: stop %s, want %s", kind, x.StopID, id)
		}
		f.exec(t, f.Acme, `update stops set lifted_at = $1, lifted_by = 'operator' where id = $2`, f.Clock.Now(), id)
		f.Clock.Advance(time.Hour)
		x = f.explain(t, f.call(f.Acme, reason(false, policy.ReasonStopped)))
		wants(t, "after it was lifted", x, calllog.Contradicted, "No stop was on")
	}
}

// An allowed call beside a stop: what was lifted before it held nothing, and clocks are not exact to the second.
func TestExplain_AllowedAfterAStopWasLifted(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := f.stop(t, f.Acme, policy.StopTool, f.Acme.ResourceID, "run_query")
	f.Clock.Advance(time.Hour)
	lift := func(at time.Time) {
		f.exec(t, f.Acme, `update stops set lifted_at = $1, lifted_by = 'operator' where id = $2`, at, id)
	}
	lift(f.Clock.Now().Add(-time.Second))
	x := f.explain(t, f.call(f.Acme))
	wants(t, "lifted before", x, calllog.Confirmed, "Allowed, because")
	if slices.ContainsFunc(x.Facts, func(fact string) bool { return strings.Contains(fact, "stopped") }) {
		t.Errorf("a stop that was over is brought up: %q", x.Facts)
	}
	lift(f.Clock.Now().Add(5 * time.Second))
	wants(t, "lifted a moment later", f.explain(t, f.call(f.Acme)), calllog.Confirmed, "was stopped on", "that was lifted on")
	lift(f.Clock.Now().Add(time.Hour))
	wants(t, "lifted long after", f.explain(t, f.call(f.Acme)), calllog.Contradicted, "had heard from the issuer since")
}

// What does not come out as it was reported is said: an old gate, or a record that somebody made up.
func TestExplain_SaysWhenTheReportDoesNotFit(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for name, c := range map[string]struct {
		change func(*calls.Record)
		says   string
	}{
		"allowed without permission": {func(c *calls.Record) { c.Scopes = nil }, "“insufficient_scope”"},
		"denied with permission":     {reason(false, policy.ReasonInsufficientScope, "data:read"), "“allowed”"},
		"other missing scopes":       {func(c *calls.Record) { c.Scopes = nil; reason(false, policy.ReasonInsufficientScope, "x:y")(c) }, "other missing"},
		"allowed and denied":         {reason(false, policy.ReasonAllowed), "do not fit together"},
		"shadow mode that was not on": {func(c *calls.Record) {
			c.Scopes, c.Shadowed = nil, true
			reason(true, policy.ReasonInsufficientScope, "data:read")(c)
		}, "not in shadow mode"},
		"a revision that never was": {func(c *calls.Record) { c.Revision = 99 }, "never published here"},
		"no revision":               {func(c *calls.Record) { c.Revision = 0 }, "names no policy revision"},
		"silent for ever":           {func(c *calls.Record) { c.Silence = 1 << 30 }, "“out_of_contact”"},
		"before the revision":       {func(c *calls.Record) { c.At = c.At.Add(-time.Hour) }, "published only after the call"},
		"a reason nobody knows":     {reason(false, "moon_phase"), "moon_phase"},
	} {
		r := f.call(f.Acme, c.change)
		wants(t, name, f.explain(t, r), calllog.Contradicted, c.says)
	}
}

func TestExplain_ComparesRevisions(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	before := f.call(f.Acme, reason(false, policy.ReasonUnknownTool))
	before.Tool = "new_tool"
	f.Clock.Advance(time.Hour)
	f.Acme.File.Environments[0].Resources[0].Tools = append(f.Acme.File.Environments[0].Resources[0].Tools, newTool())
	f.Apply(t, f.Acme.File)
	wants(t, "before", f.explain(t, before), calllog.Confirmed, "With revision 2, published since, the same call would be allowed")
	f.Clock.Advance(time.Minute)
	after := f.call(f.Acme, reason(false, policy.ReasonUnknownTool))
	after.Tool = "new_tool"
	wants(t, "after", f.explain(t, after), calllog.Confirmed, "Revision 2 had been published 60 seconds before the call and had not arrived")
}

func TestExplain_IsForItsTenantOnly(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	c := f.call(f.Acme)
	f.keep(t, f.Acme, c)
	if _, err := f.log.Explain(f.Neighbour.Member(tenants.RoleOwner), c.ID); !errs.Is(err, errs.NotFound) {
		t.Errorf("the neighbour: %v", err)
	}
	if _, err := f.log.Explain(f.Acme.Context(), c.ID); !errs.Is(err, errs.Forbidden) {
		t.Errorf("nobody: %v", err)
	}
}

func newTool() apply.Tool {
	return apply.Tool{Name: "new_tool", Wording: "Something new", Scopes: []string{"data:read"}}
}
