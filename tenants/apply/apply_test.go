package apply_test

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/ostiary/ostiary/app/apptest"
	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/policy"
	"github.com/ostiary/ostiary/tenants"
	"github.com/ostiary/ostiary/tenants/apply"
	"github.com/ostiary/ostiary/tenants/tenanttest"
)

func newWorld(t *testing.T, opts ...tenanttest.Option) *tenanttest.World {
	t.Helper()
	return tenanttest.New(t, apptest.Database(t).AppURL, opts...)
}

func plan(t *testing.T, w *tenanttest.World, f apply.File) apply.Plan {
	t.Helper()
	p, err := w.Applier.Plan(tenanttest.Operator(), f)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func lines(p apply.Plan) []string {
	var list []string
	for _, c := range p.Changes {
		list = append(list, string(c.Op)+" "+c.What)
	}
	return list
}

func wantLines(t *testing.T, p apply.Plan, want ...string) {
	t.Helper()
	if got := lines(p); !slices.Equal(got, want) {
		t.Errorf("plan:\n  %s\nwant:\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

func TestApply_SecondTimeChangesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := plan(t, w, w.Acme.File)
	if !p.Empty() || len(p.LeftAlone) != 0 || !strings.HasSuffix(p.String(), "\nNo changes.\n") {
		t.Errorf("the second plan:\n%s", p)
	}
	result, err := w.Applier.Apply(tenanttest.Operator(), p)
	if err != nil || result.TenantID != w.Acme.ID || result.Environments["acme-dev"] != w.Acme.Scope() {
		t.Errorf("applying nothing: %+v, %v", result, err)
	}
	published, err := w.Resources.Published(w.Acme.Context())
	if err != nil || len(published) != 1 || published[0].Document.Revision != 1 {
		t.Errorf("applying nothing published %+v, %v", published, err)
	}
}

func TestPlan_OfANewTenant(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := apply.Demo("https://mcp.acme.example/mcp", apply.DemoPasswords{Member: tenanttest.Password, User: tenanttest.Password})
	f.Tenant.Slug, f.Environments[0].Slug, f.Members[0].Email = "other", "other-dev", "owner@other.example"
	want, err := os.ReadFile("testdata/new_tenant.golden")
	if err != nil {
		t.Fatal(err)
	}
	p := plan(t, w, f)
	if p.String() != string(want) {
		t.Errorf("the plan differs from testdata/new_tenant.golden:\n%s", p)
	}
	if strings.Contains(p.String(), tenanttest.Password) {
		t.Error("the plan prints a password")
	}
	if _, err := w.Tenants.Find(context.Background(), "other"); !errs.Is(err, errs.NotFound) {
		t.Errorf("planning created the tenant: %v", err)
	}
}

func TestApply_MakesAServerEqualToTheFile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	before, err := w.Resources.Get(w.Acme.Operator(), w.Acme.ResourceID)
	if err != nil {
		t.Fatal(err)
	}
	// What a member added in the dashboard goes: the file is the truth about this server.
	if _, err := w.Resources.CreateTool(w.Acme.Member(tenants.RoleEditor), w.Acme.ResourceID,
		tenants.Tool{Name: "by_hand"}); err != nil {
		t.Fatal(err)
	}
	f := tenanttest.Demo()
	r := &f.Environments[0].Resources[0]
	r.Name, r.Mode, r.Aliases = "Acme Warehouse", policy.ModeShadow, []string{"http://localhost:8090/mcp/"}
	r.Scopes[0].Title = "See your data"
	r.Scopes = slices.Delete(r.Scopes, 3, 4)
	r.Tools = slices.Delete(r.Tools, 6, 7)
	r.Tools[4].Scopes, r.Tools[4].Match = []string{"data:read", "signals:write"}, policy.MatchAny
	r.Tools = append(r.Tools, apply.Tool{Name: "export_rows", Wording: "Write results to a file"})

	p := plan(t, w, f)
	wantLines(t, p,
		"~ MCP server Acme Warehouse: name Acme Data → Acme Warehouse",
		"~ MCP server Acme Warehouse: mode enforce → shadow",
		"+ MCP server Acme Warehouse: alias http://localhost:8090/mcp/ added",
		"~ MCP server Acme Warehouse: data:read: wording changed",
		"- MCP server Acme Warehouse: segments:delete: removed",
		"- MCP server Acme Warehouse: by_hand: removed",
		"- MCP server Acme Warehouse: delete_segment: removed",
		"+ MCP server Acme Warehouse: export_rows: added",
		"~ MCP server Acme Warehouse: route_signal: needs any of data:read, signals:write",
		"^ publish Acme Warehouse as revision 2 (8 changes)")
	if _, err := w.Applier.Apply(tenanttest.Operator(), p); err != nil {
		t.Fatal(err)
	}
	if again := plan(t, w, f); !again.Empty() {
		t.Errorf("planned again:\n%s", again)
	}
	after, err := w.Resources.Get(w.Acme.Operator(), w.Acme.ResourceID)
	if err != nil {
		t.Fatal(err)
	}
	if after.Resource.Revision != 2 || after.Resource.DraftChangedAt != nil || after.Scopes[0].ID != before.Scopes[0].ID {
		t.Errorf("after: %+v", after.Resource)
	}
	published, err := w.Resources.Published(w.Acme.Context())
	if err != nil {
		t.Fatal(err)
	}
	doc := published[0].Document
	if _, gone := doc.Tools["delete_segment"]; gone || doc.Mode != policy.ModeShadow ||
		doc.Scopes["data:read"].Title != "See your data" {
		t.Errorf("published %+v", doc)
	}
	theirs, err := w.Resources.Published(w.Neighbour.Context())
	if err != nil || theirs[0].Document.Revision != 1 || len(theirs[0].Document.Tools) != 7 {
		t.Errorf("the neighbour's policy changed: %+v, %v", theirs, err)
	}
}

func TestApply_LeavesAloneWhatTheFileDoesNotName(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := tenanttest.Demo()
	f.Members = f.Members[:1]
	e := &f.Environments[0]
	e.Users, e.Organizations = nil, nil
	e.Resources[0].Identifier = "https://second.acme.example/mcp"
	p := plan(t, w, f)
	wantLines(t, p,
		"+ MCP server Acme Data (https://second.acme.example/mcp): 4 permissions, 7 tools",
		"^ publish Acme Data as revision 1 (11 changes)")
	want := []string{"3 members", "1 organization in acme-dev", "1 user in acme-dev", "1 MCP server in acme-dev"}
	if !slices.Equal(p.LeftAlone, want) {
		t.Errorf("left alone %v, want %v", p.LeftAlone, want)
	}
	if _, err := w.Applier.Apply(tenanttest.Operator(), p); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"user":   second(w.Users.Get(w.Acme.Context(), w.Acme.UserID)),
		"server": second(w.Resources.Get(w.Acme.Operator(), w.Acme.ResourceID)),
	} {
		if err != nil {
			t.Errorf("the %s went: %v", name, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestApply_ChangesOfPeople(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := tenanttest.Demo()
	f.Tenant.Name = "Acme Inc"
	f.Members[3].Role, f.Members[3].Password = tenants.RoleEditor, "another password"
	f.Members[1].Password = "" // absent: the existing one stays
	e := &f.Environments[0]
	e.Organizations = append(e.Organizations, apply.Organization{Slug: "contoso", Name: "Contoso"})
	e.Organizations[0].Name = "Northwind"
	e.Users[0].Organization, e.Users[0].Password = "contoso", "another password"
	e.Users = append(e.Users, apply.User{Email: "New@contoso.example", Name: "Demo New", Organization: "contoso",
		PasswordHash: hash(t, w, tenanttest.Password)})
	p := plan(t, w, f)
	wantLines(t, p,
		"~ tenant acme: name Acme → Acme Inc",
		"~ member viewer@acme.example: role viewer → editor, password",
		"~ organization northwind: name Northwind Logistics → Northwind",
		"+ organization contoso (Contoso)",
		"~ user user@northwind.example: organization, password",
		"+ user New@contoso.example")
	if _, err := w.Applier.Apply(tenanttest.Operator(), p); err != nil {
		t.Fatal(err)
	}
	if again := plan(t, w, f); !again.Empty() {
		t.Errorf("planned again:\n%s", again)
	}
	for email, password := range map[string]string{"user@northwind.example": "another password",
		"new@contoso.example": tenanttest.Password} {
		u, err := w.Users.Authenticate(w.Acme.Context(), tenants.Credentials{Email: email, Password: password,
			Address: "192.0.2.1"}, nil)
		if err != nil || u.OrganizationName != "Contoso" {
			t.Errorf("%s signs in as %+v, %v", email, u, err)
		}
	}
	for email, password := range map[string]string{"viewer@acme.example": "another password",
		"admin@acme.example": tenanttest.Password} {
		_, err := w.Members.Authenticate(context.Background(), tenants.Credentials{Email: email, Password: password,
			Address: "192.0.2.1"})
		if err != nil {
			t.Errorf("%s: %v", email, err)
		}
	}
}

func hash(t *testing.T, w *tenanttest.World, password string) string {
	t.Helper()
	text, err := w.Deps.Passwords.Hash(t.Context(), password)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestApply_AnotherIssuerIsSaidLoudly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := tenanttest.Demo()
	f.Environments[0].Issuer = "https://auth.acme.example/"
	p := plan(t, w, f)
	wantLines(t, p, "~ environment acme-dev: issuer http://localhost:8080/i/acme-dev → https://auth.acme.example")
	if len(p.Warnings()) != 1 || !strings.Contains(p.String(), "WARNING: the issuer of acme-dev changes") {
		t.Errorf("plan:\n%s", p)
	}
	if _, err := w.Applier.Apply(tenanttest.Operator(), p); err != nil {
		t.Fatal(err)
	}
	if got, err := w.Environments.Resolve(context.Background(), "https://auth.acme.example"); err != nil || got != w.Acme.Scope() {
		t.Errorf("resolves to %v, %v", got, err)
	}
	taken := tenanttest.Demo()
	taken.Environments[0].Issuer = w.Neighbour.Issuer
	if _, err := w.Applier.Apply(tenanttest.Operator(), plan(t, w, taken)); !errs.Is(err, errs.Conflict) {
		t.Errorf("taking the neighbour's issuer: %v", err)
	}
}

func TestApply_RefusesWhatChangedAfterThePlan(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := tenanttest.Demo()
	f.Environments[0].Resources[0].Scopes[0].Title = "See your data"
	p := plan(t, w, f)
	if _, err := w.Resources.CreateTool(w.Acme.Member(tenants.RoleEditor), w.Acme.ResourceID,
		tenants.Tool{Name: "by_hand"}); err != nil {
		t.Fatal(err)
	}
	_, err := w.Applier.Apply(tenanttest.Operator(), p)
	if !errs.Is(err, errs.Conflict) {
		t.Fatalf("applied a plan nobody saw: %v", err)
	}
	d, err := w.Resources.Get(w.Acme.Operator(), w.Acme.ResourceID)
	if err != nil || d.Scopes[0].Title != "Query your data" || len(d.Tools) != 8 {
		t.Errorf("half of it was applied: %v, %v", d, err)
	}
}

// An environment is applied whole or not at all.
func TestApply_AnEnvironmentIsOneTransaction(t *testing.T) {
	t.Parallel()
	broken := errors.New("the client could not be stored")
	w := newWorld(t, tenanttest.WithClients(func(tenants.Deps) apply.Clients { return failingClients{broken} }))
	f := tenanttest.Demo()
	e := &f.Environments[0]
	e.Name = "Renamed"
	e.Users = append(e.Users, apply.User{Email: "new@northwind.example", Name: "Demo New"})
	e.Resources[0].Name = "Renamed"
	e.Clients = []apply.Client{{ID: "client", Name: "Client", RedirectURIs: []string{"https://client.example/cb"}}}
	_, err := w.Applier.Apply(tenanttest.Operator(), plan(t, w, f))
	if !errors.Is(err, broken) {
		t.Fatalf("got %v", err)
	}
	wantLines(t, plan(t, w, tenanttest.Demo())) // as before
}

type failingClients struct{ err error }

func (failingClients) Diff(_ context.Context, c []apply.Client) ([]apply.ClientDiff, error) {
	diffs := make([]apply.ClientDiff, len(c))
	for i := range diffs {
		diffs[i].Missing = true
	}
	return diffs, nil
}

func (f failingClients) Upsert(context.Context, apply.Client) (string, error) { return "", f.err }

func TestApply_HooksRunUnderTheNewEnvironment(t *testing.T) {
	t.Parallel()
	var hooked []string
	w := newWorld(t, tenanttest.WithOnEnvironment(func(d tenants.Deps) func(context.Context, *tenants.Environment) error {
		return func(ctx context.Context, env *tenants.Environment) error {
			loaded, err := tenants.NewEnvironments(d).Load(ctx) // in the transaction that made it
			if err != nil {
				return err
			}
			hooked = append(hooked, loaded.Slug)
			return nil
		}
	}))
	if !slices.Equal(hooked, []string{"acme-dev", "neighbour-dev"}) {
		t.Errorf("hooks ran for %v", hooked)
	}
	w.Apply(t, w.Acme.File)
	if len(hooked) != 2 {
		t.Errorf("a hook ran for an environment that existed: %v", hooked)
	}
}

func TestApply_OnlyTheOperator(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := w.Acme.Member(tenants.RoleOwner)
	if _, err := w.Applier.Plan(ctx, w.Acme.File); !errs.Is(err, errs.Forbidden) {
		t.Errorf("an owner plans: %v", err)
	}
	if _, err := w.Applier.Apply(ctx, plan(t, w, w.Acme.File)); !errs.Is(err, errs.Forbidden) {
		t.Errorf("an owner applies: %v", err)
	}
	broken := tenanttest.Demo()
	broken.Environments[0].Resources[0].Tools[0].Scopes = []string{"x"}
	_, err := w.Applier.Plan(tenanttest.Operator(), broken)
	var invalid *apply.InvalidError
	if !errors.As(err, &invalid) || invalid.Problems[0].Path != "environments[0].resources[0].tools[0].scopes" {
		t.Errorf("planned an invalid file: %v", err)
	}
}
