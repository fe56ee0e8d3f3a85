package tenants_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/policy"
	"github.com/ostiary/ostiary/app/secret"
	"github.com/ostiary/ostiary/tenants"
	"github.com/ostiary/ostiary/tenants/tenanttest"
)

func stopOf(kind policy.StopKind, t *tenanttest.Tenant, value string) tenants.NewStop {
	return tenants.NewStop{Kind: kind, ResourceID: t.ResourceID, Value: value, Reason: "An incident."}
}

func TestStops_HoldUntilTheyAreLifted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	heard := listen(t, w)
	ctx := w.Acme.Member(tenants.RoleEditor)
	for _, n := range []tenants.NewStop{
		stopOf(policy.StopTool, w.Acme, "run_query"), stopOf(policy.StopHost, w.Acme, "chatgpt"),
		stopOf(policy.StopUser, w.Acme, w.Acme.UserEmail), stopOf(policy.StopOrganization, w.Acme, w.Acme.OrganizationID),
		stopOf(policy.StopServer, w.Acme, ""),
	} {
		made := must[tenants.Stop](t)(w.Stops.Create(ctx, n))
		if made.Kind != n.Kind || made.Name == "" || made.LiftedAt != nil || made.CreatedBy != w.Acme.MemberOf(tenants.RoleEditor).ID {
			t.Errorf("%+v", made)
		}
		heard.wait(t, w.Acme.Scope())
	}
	live, lifted, err := w.Stops.List(w.Acme.Member(tenants.RoleViewer))
	if err != nil || len(live) != 5 || len(lifted) != 0 || live[0].Kind != policy.StopServer || live[0].Name == live[0].Value {
		t.Fatalf("%+v %+v %v", live, lifted, err)
	}
	byKind := map[policy.StopKind]tenants.Stop{}
	for _, s := range live {
		byKind[s.Kind] = s
	}
	if byKind[policy.StopUser].Value != w.Acme.UserID || byKind[policy.StopUser].Name != w.Acme.UserEmail ||
		byKind[policy.StopTool].Server == "" || byKind[policy.StopHost].ResourceID != "" || byKind[policy.StopServer].Value != w.Acme.ResourceID {
		t.Errorf("%+v", byKind)
	}
	if _, err := w.Stops.Create(ctx, stopOf(policy.StopHost, w.Acme, "chatgpt")); !errs.Is(err, errs.Conflict) {
		t.Errorf("twice: %v", err)
	}
	host := byKind[policy.StopHost].ID
	must[tenants.Stop](t)(w.Stops.Lift(ctx, host))
	if _, err := w.Stops.Lift(ctx, host); !errs.Is(err, errs.NotFound) {
		t.Errorf("lifted twice: %v", err)
	}
	again := must[tenants.Stop](t)(w.Stops.Create(ctx, stopOf(policy.StopHost, w.Acme, "chatgpt")))
	live, lifted, err = w.Stops.List(ctx)
	if err != nil || len(live) != 5 || len(lifted) != 1 || lifted[0].LiftedBy == "" || again.ID == host {
		t.Errorf("after all: %d %+v %v", len(live), lifted, err)
	}
	if issuers := must[[]tenants.Stop](t)(w.Stops.Live(w.Acme.Context())); len(issuers) != 5 {
		t.Errorf("the issuer has %d", len(issuers))
	}
	events := must[int](t)(audited(w, w.Acme, "stop."))
	if events != 7 {
		t.Errorf("%d events, want six stops and a lift", events)
	}
}

func audited(w *tenanttest.World, tenant *tenanttest.Tenant, prefix string) (n int, err error) {
	err = w.DB.InTenant(tenant.Context(), func(_ context.Context, tx *gorm.DB) error {
		return tx.Raw(`select count(*) from audit_events where position(? in action) = 1`, prefix).Scan(&n).Error
	})
	return n, err
}

func TestStops_AreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := w.Acme.Member(tenants.RoleOwner)
	for name, tt := range map[string]struct {
		stop  tenants.NewStop
		field string
	}{
		"no kind":               {tenants.NewStop{Value: "x"}, "kind"},
		"another kind":          {stopOf("everything", w.Acme, "x"), "kind"},
		"no tool":               {stopOf(policy.StopTool, w.Acme, ""), "value"},
		"unknown tool":          {stopOf(policy.StopTool, w.Acme, "no_such_tool"), "value"},
		"tool of a neighbour":   {stopOf(policy.StopTool, w.Neighbour, "run_query"), "server"},
		"server of a neighbour": {stopOf(policy.StopServer, w.Neighbour, ""), "server"},
		"user of a neighbour":   {stopOf(policy.StopUser, w.Acme, w.Neighbour.UserID), "value"},
		"their address":         {stopOf(policy.StopUser, w.Acme, w.Neighbour.UserEmail), "value"},
		"their organization":    {stopOf(policy.StopOrganization, w.Acme, w.Neighbour.OrganizationID), "value"},
		"invisible host":        {stopOf(policy.StopHost, w.Acme, "chat\u200bgpt"), "value"},
		"long host":             {stopOf(policy.StopHost, w.Acme, strings.Repeat("x", 257)), "value"},
		"long reason":           {tenants.NewStop{Kind: policy.StopHost, Value: "x", Reason: strings.Repeat("x", 201)}, "reason"},
		"no server":             {tenants.NewStop{Kind: policy.StopServer}, "server"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.Stops.Create(ctx, tt.stop)
			wantField(t, err, tt.field)
			_, err = w.Stops.Impact(ctx, tt.stop)
			wantField(t, err, tt.field)
		})
	}
	if live := must[[]tenants.Stop](t)(w.Stops.Live(w.Acme.Context())); len(live) != 0 {
		t.Errorf("%d hold", len(live))
	}
}

func TestStops_BelongToTheirTenantAndItsEditors(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	theirs := must[tenants.Stop](t)(w.Stops.Create(w.Neighbour.Operator(), stopOf(policy.StopHost, w.Neighbour, "chatgpt")))
	ctx := w.Acme.Member(tenants.RoleOwner)
	if _, err := w.Stops.Lift(ctx, theirs.ID); !errs.Is(err, errs.NotFound) {
		t.Errorf("lift: %v", err)
	}
	if _, err := w.Stops.Get(ctx, theirs.ID); !errs.Is(err, errs.NotFound) {
		t.Errorf("get: %v", err)
	}
	if live, lifted, err := w.Stops.List(ctx); err != nil || len(live)+len(lifted) != 0 {
		t.Errorf("list: %v %v %v", live, lifted, err)
	}
	if live := must[[]tenants.Stop](t)(w.Stops.Live(w.Acme.Context())); len(live) != 0 {
		t.Errorf("live: %v", live)
	}
	if impact := must[tenants.Impact](t)(w.Stops.Impact(ctx, stopOf(policy.StopHost, w.Acme, "chatgpt"))); impact.Live != nil {
		t.Errorf("impact: %+v", impact)
	}
	viewer, nobody := w.Acme.Member(tenants.RoleViewer), w.Acme.Context()
	for name, ctx := range map[string]context.Context{"viewer": viewer, "nobody": nobody} {
		if _, err := w.Stops.Create(ctx, stopOf(policy.StopHost, w.Acme, "x")); !errs.Is(err, errs.Forbidden) {
			t.Errorf("%s creates: %v", name, err)
		}
		if _, err := w.Stops.Lift(ctx, theirs.ID); !errs.Is(err, errs.Forbidden) {
			t.Errorf("%s lifts: %v", name, err)
		}
	}
	if _, err := w.Stops.Impact(nobody, stopOf(policy.StopHost, w.Acme, "x")); !errs.Is(err, errs.Forbidden) {
		t.Errorf("nobody measures: %v", err)
	}
	if left := must[[]tenants.Stop](t)(w.Stops.Live(w.Neighbour.Context())); len(left) != 1 {
		t.Errorf("the neighbour has %d left", len(left))
	}
}

// The numbers that are shown before anybody acts are those of this tenant, of what is alive, and of what the stop would hold.
func TestStops_ImpactCountsWhatWouldStop(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, tenant := range []*tenanttest.Tenant{w.Acme, w.Neighbour} {
		connections(t, w, tenant)
	}
	measure := func(kind policy.StopKind, value string) tenants.Impact {
		return must[tenants.Impact](t)(w.Stops.Impact(w.Acme.Member(tenants.RoleViewer), stopOf(kind, w.Acme, value)))
	}
	for name, tt := range map[string]struct {
		impact               tenants.Impact
		grants, users, calls int
		tools                string
	}{
		"user":         {measure(policy.StopUser, w.Acme.UserEmail), 3, 1, 3, "run_query,list_datasets"},
		"organization": {measure(policy.StopOrganization, w.Acme.OrganizationID), 2, 1, 2, "list_datasets,run_query"},
		"host":         {measure(policy.StopHost, "claude"), 1, 1, 2, "list_datasets,run_query"},
		"unverified":   {measure(policy.StopHost, policy.HostUnverified), 2, 1, 1, "run_query"},
		"tool":         {measure(policy.StopTool, "run_query"), 2, 1, 2, "run_query"},
		"no host":      {measure(policy.StopHost, "nobody"), 0, 0, 0, ""},
	} {
		got := tt.impact
		if got.Grants != tt.grants || got.Users != tt.users || got.Calls != tt.calls || strings.Join(got.Tools, ",") != tt.tools || got.Live != nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if server := measure(policy.StopServer, ""); server.Grants != 3 || server.Calls != 3 || len(server.Tools) != 7 || !slices.IsSorted(server.Tools) {
		t.Errorf("server: %+v", server)
	}
	must[tenants.Stop](t)(w.Stops.Create(w.Acme.Operator(), stopOf(policy.StopHost, w.Acme, "claude")))
	if again := measure(policy.StopHost, "claude"); again.Live == nil || again.Live.Reason == "" {
		t.Errorf("it holds already: %+v", again)
	}
}

// connections gives a tenant three live grants, one revoked and one expired, and calls, one of them old and one denied.
func connections(t *testing.T, w *tenanttest.World, tenant *tenanttest.Tenant) {
	t.Helper()
	now := w.Clock.Now()
	err := w.DB.InTenant(tenant.Context(), func(_ context.Context, tx *gorm.DB) error {
		for _, g := range []struct {
			host, org, scope string
			revoked          *time.Time
			expires          time.Time
		}{
			{"claude", tenant.OrganizationID, "data:read", nil, now.Add(time.Hour)},
			{"", tenant.OrganizationID, "data:read", nil, now.Add(time.Hour)},
			{"", "", "signals:write", nil, now.Add(time.Hour)},
			{"claude", tenant.OrganizationID, "data:read", &now, now.Add(time.Hour)},
			{"claude", tenant.OrganizationID, "data:read", nil, now.Add(-time.Hour)},
		} {
			err := tx.Exec(`insert into grants (tenant_id, environment_id, id, user_id, client_id, resource_id, organization_id, scopes,
				created_at, expires_at, revoked_at, last_used_at, host) values (?, ?, ?, ?, 'c', ?, nullif(?, ''), array[?], ?, ?, ?, ?, ?)`,
				tenant.ID, tenant.EnvironmentID, secret.NewID("grt"), tenant.UserID, tenant.ResourceID, g.org, g.scope,
				now.Add(-2*time.Hour), g.expires, g.revoked, now, g.host).Error
			if err != nil {
				return err
			}
		}
		for _, c := range []struct {
			host, org, tool string
			at              time.Time
			allowed         bool
		}{
			{"claude", tenant.OrganizationID, "list_datasets", now, true},
			{"claude", tenant.OrganizationID, "run_query", now, true},
			{"", "", "run_query", now, true},
			{"", "", "run_query", now, false},
			{"", "", "run_query", now.Add(-25 * time.Hour), true},
		} {
			err := tx.Exec(`insert into tool_calls (tenant_id, environment_id, resource_id, id, at, received_at, kind, tool, user_id,
				organization_id, client_id, host, grant_id, proof, scopes, allowed, shadowed, reason, missing, revision, sequence, silence,
				status, latency_us) values (?, ?, ?, ?, ?, ?, 'tool', ?, ?, ?, 'c', ?, 'g', 'token', '{}', ?, false, 'allowed', '{}', 1, 1, 0, 200, 1)`,
				tenant.ID, tenant.EnvironmentID, tenant.ResourceID, secret.NewID("call"), c.at, c.at, c.tool, tenant.UserID, c.org, c.host,
				c.allowed).Error
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
