package tenants_test

import (
	"bytes"
	"context"
	"reflect"
	"testing"
	"time"

	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/scope"
	"github.com/ostiary/ostiary/tenants"
	"github.com/ostiary/ostiary/tenants/tenanttest"
)

func TestEnvironments_ResolveFindsTheScopeOfAnIssuer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, tenant := range []*tenanttest.Tenant{w.Acme, w.Neighbour} {
		got, err := w.Environments.Resolve(context.Background(), tenant.Issuer)
		if err != nil || got != tenant.Scope() {
			t.Errorf("Resolve(%s) = %v, %v; want %v", tenant.Issuer, got, err, tenant.Scope())
		}
	}
	for _, unknown := range []string{"", w.Acme.Issuer + "/", "http://LOCALHOST:8080/i/acme-dev", "https://other.example"} {
		if _, err := w.Environments.Resolve(context.Background(), unknown); !errs.Is(err, errs.NotFound) {
			t.Errorf("Resolve(%q) = %v, want not found", unknown, err)
		}
	}
}

func TestEnvironments_LoadOpensTheSecretOfItsOwnEnvironmentOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	acme := must[*tenants.Environment](t)(w.Environments.Load(w.Acme.Context()))
	neighbour := must[*tenants.Environment](t)(w.Environments.Load(w.Neighbour.Context()))
	if len(acme.Secret) != 32 || bytes.Equal(acme.Secret, neighbour.Secret) {
		t.Error("environments need root secrets of their own, 32 bytes each")
	}
	if acme.TenantName != "Acme" || acme.ProductName() != "Acme Data" || acme.Kind != tenants.KindDevelopment {
		t.Errorf("loaded %+v", acme)
	}
	if !reflect.DeepEqual(acme.Settings, tenants.DefaultSettings()) {
		t.Errorf("settings %+v, want the defaults", acme.Settings)
	}

	mixed := scope.Scope{TenantID: w.Acme.ID, EnvironmentID: w.Neighbour.EnvironmentID}
	_, err := w.Environments.Load(scope.With(context.Background(), mixed))
	wantKind(t, err, errs.NotFound)
	_, err = w.Environments.Load(scope.With(context.Background(), scope.Scope{TenantID: w.Acme.ID}))
	wantKind(t, err, errs.Internal)
	_, err = w.Environments.Load(context.Background())
	wantKind(t, err, errs.Internal)
}

func TestEnvironments_OtherKeyringDoesNotOpenTheSecret(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	deps := w.Deps
	deps.Keyring = tenanttest.Keyring(t)
	if _, err := tenants.NewEnvironments(deps).Load(w.Acme.Context()); err == nil {
		t.Error("a foreign key-encryption key opened the root secret")
	}
}

func TestEnvironments_ListAndGetShowOnlyTheTenantsOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := w.Acme.Member(tenants.RoleViewer)
	list := must[[]*tenants.Environment](t)(w.Environments.List(ctx))
	if len(list) != 1 || list[0].ID != w.Acme.EnvironmentID || list[0].Secret != nil {
		t.Errorf("List = %+v", list)
	}
	_, err := w.Environments.Get(ctx, w.Neighbour.Environment)
	wantKind(t, err, errs.NotFound)
}

func TestEnvironments_UpdateMovesTheIssuerAndTellsEveryNode(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	changes := listen(t, w)
	lifetime := tenants.Duration(30 * time.Minute)
	update := tenants.EnvironmentUpdate{
		Name: "Dev", Kind: tenants.KindDevelopment, Issuer: "https://Acme.Auth.Example:443/",
		Settings: tenants.SettingChoices{AccessTokenLifetime: &lifetime},
	}
	if err := w.Environments.Update(w.Acme.Member(tenants.RoleAdmin), update); err != nil {
		t.Fatal(err)
	}
	changes.wait(t, w.Acme.Scope())
	env := must[*tenants.Environment](t)(w.Environments.Load(w.Acme.Context()))
	if env.Issuer != "https://acme.auth.example" || env.Settings.AccessTokenLifetime != 30*time.Minute || env.Name != "Dev" {
		t.Errorf("after the update: %+v", env)
	}
	if env.Settings.RefreshGrace != 2*time.Minute {
		t.Errorf("a setting nobody chose became %s", env.Settings.RefreshGrace)
	}
	if got, err := w.Environments.Resolve(context.Background(), "https://acme.auth.example"); err != nil || got != w.Acme.Scope() {
		t.Errorf("the new issuer resolves to %v, %v", got, err)
	}
	_, err := w.Environments.Resolve(context.Background(), w.Acme.Issuer)
	wantKind(t, err, errs.NotFound)
}

func TestEnvironments_UpdateRefusesWhatIsNotTheirs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	update := tenants.EnvironmentUpdate{Name: "Mine now", Kind: tenants.KindDevelopment, Issuer: w.Neighbour.Issuer}

	wantKind(t, w.Environments.Update(w.Acme.Member(tenants.RoleEditor), update), errs.Forbidden)
	wantKind(t, w.Environments.Update(w.Acme.Context(), update), errs.Forbidden)
	wantKind(t, w.Environments.Update(w.Acme.Member(tenants.RoleOwner), update), errs.Conflict) // the neighbour's issuer

	update.Issuer = w.Acme.Issuer
	foreign := scope.With(w.Acme.Member(tenants.RoleOwner), w.Neighbour.Scope())
	wantKind(t, w.Environments.Update(foreign, update), errs.Forbidden) // a member of Acme under the neighbour's scope
	mixed := scope.Scope{TenantID: w.Acme.ID, EnvironmentID: w.Neighbour.EnvironmentID}
	wantKind(t, w.Environments.Update(scope.With(w.Acme.Member(tenants.RoleOwner), mixed), update), errs.NotFound)

	env := must[*tenants.Environment](t)(w.Environments.Load(w.Neighbour.Context()))
	if env.Name == "Mine now" || env.Issuer != w.Neighbour.Issuer {
		t.Errorf("the neighbour's environment changed: %+v", env)
	}
}

func TestEnvironments_CreateValidates(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	good := tenants.NewEnvironment{Slug: "acme-prod", Name: "Production", Kind: tenants.KindProduction, Issuer: "https://auth.acme.example"}
	ctx := w.Acme.Member(tenants.RoleOwner)
	short := tenants.Duration(time.Minute)
	light := func(n *tenants.NewEnvironment) *tenants.Colors { return &n.Branding.Light }
	for name, edit := range map[string]func(*tenants.NewEnvironment){
		"slug":                           func(n *tenants.NewEnvironment) { n.Slug = "Acme Prod" },
		"name":                           func(n *tenants.NewEnvironment) { n.Name = "Pro\u202eduction" },
		"kind":                           func(n *tenants.NewEnvironment) { n.Kind = "staging" },
		"issuer":                         func(n *tenants.NewEnvironment) { n.Issuer = "http://auth.acme.example" },
		"settings.access_token_lifetime": func(n *tenants.NewEnvironment) { n.Settings.AccessTokenLifetime = &short },
		"settings.refresh_grace":         func(n *tenants.NewEnvironment) { n.Settings.RefreshGrace = &short },
		"branding.privacy_url":           func(n *tenants.NewEnvironment) { n.Branding.PrivacyURL = "javascript:alert(1)" },
		"branding.light.brand":           func(n *tenants.NewEnvironment) { light(n).Brand = "red;}body{display:none" },
		"branding.light.hover":           func(n *tenants.NewEnvironment) { light(n).Brand = "#0b5d56" },
		"branding.radius":                func(n *tenants.NewEnvironment) { n.Branding.Radius = "17" },
		"branding.font":                  func(n *tenants.NewEnvironment) { n.Branding.Font = "Comic Sans" },
		"branding.light.on": func(n *tenants.NewEnvironment) {
			n.Branding.Light = tenants.Colors{Brand: "#0b5d56", Hover: "#084a45", Soft: "#e0f0ee", On: "#0b5d00"}
		},
	} {
		n := good
		edit(&n)
		_, err := w.Environments.Create(ctx, n)
		wantField(t, err, name)
	}
	taken := good
	taken.Slug = w.Acme.Environment
	_, err := w.Environments.Create(ctx, taken)
	wantKind(t, err, errs.Conflict)
	if _, err := w.Environments.Create(ctx, good); err != nil {
		t.Fatal(err)
	}
	_, err = w.Environments.Create(w.Acme.Member(tenants.RoleEditor), good)
	wantKind(t, err, errs.Forbidden)
}
