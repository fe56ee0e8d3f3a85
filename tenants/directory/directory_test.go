package directory_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/ostiary/ostiary/app/apptest"
	"github.com/ostiary/ostiary/app/audit"
	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/scope"
	"github.com/ostiary/ostiary/tenants"
	"github.com/ostiary/ostiary/tenants/apply"
	"github.com/ostiary/ostiary/tenants/attempts"
	"github.com/ostiary/ostiary/tenants/directory"
	"github.com/ostiary/ostiary/tenants/tenanttest"
)

func TestMain(m *testing.M) { apptest.Main(m) }

func newWorld(t *testing.T, opts ...tenanttest.Option) *tenanttest.World {
	t.Helper()
	return tenanttest.New(t, apptest.Database(t).AppURL, opts...)
}

func wantKind(t *testing.T, err error, kind errs.Kind) {
	t.Helper()
	if !errs.Is(err, kind) {
		t.Fatalf("got error %v, want kind %s", err, kind)
	}
}

func TestUsers_AuthenticateReturnsTheUserWithTheOrganization(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	u, err := w.Users.Authenticate(w.Acme.Context(), tenants.Credentials{
		Email: " User@Northwind.example ", Password: tenanttest.Password, Address: "192.0.2.1",
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if u.ID != w.Acme.UserID || u.Email != "user@northwind.example" || u.OrganizationName != "Northwind Logistics" ||
		!u.EmailVerified || u.Name != "Demo User" {
		t.Errorf("signed in %+v", u)
	}
	entries, err := audit.NewRecorder(audit.Deps{DB: w.DB, Now: w.Clock.Now}).List(w.Acme.Operator(), 1)
	if err != nil || entries[0].Action != "user.signed_in" || entries[0].Actor != (scope.Actor{Kind: scope.ActorUser,
		ID: u.ID}) {
		t.Errorf("audit %+v, %v", entries, err)
	}
}

func TestUsers_AuthenticateAnswersEveryFailureAlike(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tenanttest.WithFile(func(f *apply.File) {
		f.Environments[0].Users = append(f.Environments[0].Users,
			apply.User{Email: "none@acme.example", Name: "Demo None"},
			apply.User{Email: "off@acme.example", Name: "Demo Off", Password: tenanttest.Password})
	}))
	accounts, err := w.Users.Accounts(w.Acme.Operator(), []string{"off@acme.example"})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Users.Disable(w.Acme.Member(tenants.RoleAdmin), accounts["off@acme.example"].ID, true); err != nil {
		t.Fatal(err)
	}
	var first string
	for name, c := range map[string]tenants.Credentials{
		"unknown":          {Email: "nobody@acme.example", Password: tenanttest.Password},
		"the neighbour's":  {Email: w.Neighbour.UserEmail, Password: tenanttest.Password},
		"a member":         {Email: w.Acme.OwnerEmail, Password: tenanttest.Password},
		"wrong password":   {Email: w.Acme.UserEmail, Password: "wrong"},
		"without password": {Email: "none@acme.example"},
		"disabled":         {Email: "off@acme.example", Password: tenanttest.Password},
		"not an address":   {Email: "' or 1=1 --", Password: tenanttest.Password},
		"endless":          {Email: w.Acme.UserEmail, Password: strings.Repeat("x", 100_000)},
		"no address":       {},
	} {
		c.Address = "192.0.2.1"
		u, err := w.Users.Authenticate(w.Acme.Context(), c, nil)
		if !errs.Is(err, errs.Unauthenticated) || u != (directory.User{}) {
			t.Errorf("%s: %+v, %v", name, u, err)
			continue
		}
		if first == "" {
			first = err.Error()
		}
		if err.Error() != first {
			t.Errorf("%s answers %q, others %q", name, err, first)
		}
	}
}

func TestUsers_AuthenticateIsLimitedPerEnvironment(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	try := func(ctx context.Context, email, password, address string) error {
		_, err := w.Users.Authenticate(ctx, tenants.Credentials{Email: email, Password: password, Address: address}, nil)
		return err
	}
	w.Clock.BeginWindow(attempts.Window)
	for _, email := range []string{w.Acme.UserEmail, "nobody@acme.example"} {
		for range 10 {
			wantKind(t, try(w.Acme.Context(), email, "wrong", "192.0.2.1"), errs.Unauthenticated)
		}
		err := try(w.Acme.Context(), email, tenanttest.Password, "192.0.2.1")
		wantKind(t, err, errs.RateLimited)
		if after, ok := attempts.RetryAfter(err); !ok || after <= 0 {
			t.Errorf("retry after %s, %t", after, ok)
		}
	}
	if err := try(w.Acme.Context(), w.Acme.UserEmail, tenanttest.Password, "192.0.2.2"); err != nil {
		t.Errorf("an attacker elsewhere locked the user out: %v", err)
	}
	if err := try(w.Neighbour.Context(), w.Neighbour.UserEmail, tenanttest.Password, "192.0.2.1"); err != nil {
		t.Errorf("the neighbour's user is limited: %v", err)
	}
	w.Clock.Advance(attempts.Window)
	if err := try(w.Acme.Context(), w.Acme.UserEmail, tenanttest.Password, "192.0.2.1"); err != nil {
		t.Errorf("the limit outlasts its window: %v", err)
	}
}

// Every method of Users, asked in Acme's scope with the neighbour's ids, answers as if nothing were there.
func TestUsers_NeighboursAreNotFound(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	owner := w.Acme.Member(tenants.RoleOwner)
	mixed := scope.With(owner, scope.Scope{TenantID: w.Acme.ID, EnvironmentID: w.Neighbour.EnvironmentID})
	for _, ctx := range []context.Context{owner, mixed} {
		_, err := w.Users.Get(ctx, w.Neighbour.UserID)
		wantKind(t, err, errs.NotFound)
		_, err = w.Users.Update(ctx, w.Neighbour.UserID, directory.UserUpdate{Name: "Mine", Password: "mine, mine"})
		wantKind(t, err, errs.NotFound)
		wantKind(t, w.Users.Disable(ctx, w.Neighbour.UserID, true), errs.NotFound)
	}
	_, err := w.Users.Create(owner, directory.NewUser{Email: "x@acme.example", Name: "X",
		OrganizationID: w.Neighbour.OrganizationID})
	wantKind(t, err, errs.NotFound) // the neighbour's organization
	_, err = w.Users.Update(owner, w.Acme.UserID, directory.UserUpdate{Name: "X",
		OrganizationID: w.Neighbour.OrganizationID})
	wantKind(t, err, errs.NotFound)

	list, total, err := w.Users.List(owner, directory.Filter{})
	if err != nil || total != 1 || list[0].ID != w.Acme.UserID {
		t.Errorf("List = %+v, %d, %v", list, total, err)
	}
	accounts, err := w.Users.Accounts(w.Acme.Operator(), []string{w.Acme.UserEmail, w.Neighbour.UserEmail})
	if err != nil || len(accounts) != 1 {
		t.Errorf("Accounts = %v, %v", accounts, err)
	}
	foreign := scope.With(owner, w.Neighbour.Scope())
	_, _, err = w.Users.List(foreign, directory.Filter{})
	wantKind(t, err, errs.Forbidden)
	_, err = w.Users.Accounts(owner, nil)
	wantKind(t, err, errs.Forbidden) // not even owners read hashes
	u, err := w.Users.Get(w.Neighbour.Context(), w.Neighbour.UserID)
	if err != nil || u.Name != "Demo User" || u.DisabledAt != nil {
		t.Errorf("the neighbour's user changed: %+v, %v", u, err)
	}
}

func TestUsers_ChangesNeedAManager(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, role := range []tenants.Role{tenants.RoleViewer, tenants.RoleEditor} {
		ctx := w.Acme.Member(role)
		_, err := w.Users.Create(ctx, directory.NewUser{Email: "x@acme.example", Name: "X"})
		wantKind(t, err, errs.Forbidden)
		_, err = w.Users.Update(ctx, w.Acme.UserID, directory.UserUpdate{Name: "X"})
		wantKind(t, err, errs.Forbidden)
		wantKind(t, w.Users.Disable(ctx, w.Acme.UserID, true), errs.Forbidden)
		_, err = w.Organizations.Create(ctx, "x", "X")
		wantKind(t, err, errs.Forbidden)
		wantKind(t, w.Organizations.Rename(ctx, w.Acme.OrganizationID, "X"), errs.Forbidden)
	}
	_, _, err := w.Users.List(w.Acme.Context(), directory.Filter{})
	wantKind(t, err, errs.Forbidden)
	_, err = w.Users.Get(context.Background(), w.Acme.UserID)
	wantKind(t, err, errs.Internal) // no tenant, no answer
}

func TestUsers_CreateUpdateSearch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := w.Acme.Member(tenants.RoleAdmin)
	u, err := w.Users.Create(ctx, directory.NewUser{Email: "New@Acme.example", Name: "Demo_New",
		Password: tenanttest.Password})
	if err != nil || u.Email != "new@acme.example" || !u.HasPassword {
		t.Fatalf("created %+v, %v", u, err)
	}
	_, err = w.Users.Create(ctx, directory.NewUser{Email: "new@acme.example", Name: "Twice"})
	wantKind(t, err, errs.Conflict)
	_, err = w.Users.Create(ctx, directory.NewUser{Email: "x", Name: "a\u202eb", Password: "short", PasswordHash: "plain"})
	var e *errs.Error
	if !errors.As(err, &e) || len(e.Fields) != 4 {
		t.Errorf("problems %v", err)
	}
	u, err = w.Users.Update(ctx, u.ID, directory.UserUpdate{Name: "Renamed", OrganizationID: w.Acme.OrganizationID,
		EmailVerified: true})
	if err != nil || u.OrganizationName != "Northwind Logistics" || !u.HasPassword {
		t.Errorf("updated %+v, %v", u, err)
	}
	credentials := tenants.Credentials{Email: u.Email, Password: tenanttest.Password, Address: "192.0.2.1"}
	if _, err := w.Users.Authenticate(w.Acme.Context(), credentials, nil); err != nil {
		t.Errorf("the password went with an update that did not name it: %v", err)
	}
	for search, want := range map[string]int{"": 2, "renamed": 1, "NORTHWIND.example": 1, "_": 0, "%": 0} {
		list, total, err := w.Users.List(ctx, directory.Filter{Search: search})
		if err != nil || len(list) != want || total != want {
			t.Errorf("search %q found %d, %v; want %d", search, len(list), err, want)
		}
	}
	for _, disabled := range []bool{true, true, false} {
		if err := w.Users.Disable(ctx, u.ID, disabled); err != nil {
			t.Fatal(err)
		}
		_, err := w.Users.Authenticate(w.Acme.Context(), credentials, nil)
		if (err != nil) != disabled {
			t.Errorf("disabled %t, signing in: %v", disabled, err)
		}
	}
}

func TestOrganizations(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := w.Acme.Member(tenants.RoleAdmin)
	org, err := w.Organizations.Create(ctx, "contoso", "Contoso")
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.Organizations.Create(ctx, "contoso", "Again")
	wantKind(t, err, errs.Conflict)
	_, err = w.Organizations.Create(ctx, "No Slug", "")
	wantKind(t, err, errs.Invalid)
	if err := w.Organizations.Rename(ctx, org.ID, "Contoso Ltd"); err != nil {
		t.Fatal(err)
	}
	if got, err := w.Organizations.Get(w.Acme.Context(), org.ID); err != nil || got.Name != "Contoso Ltd" {
		t.Errorf("Get = %+v, %v", got, err)
	}
	list, total, err := w.Organizations.List(ctx, directory.Filter{Search: "contoso"})
	if err != nil || total != 1 || list[0].ID != org.ID {
		t.Errorf("List = %+v, %d, %v", list, total, err)
	}

	_, err = w.Organizations.Get(w.Acme.Context(), w.Neighbour.OrganizationID)
	wantKind(t, err, errs.NotFound)
	wantKind(t, w.Organizations.Rename(ctx, w.Neighbour.OrganizationID, "Mine"), errs.NotFound)
	bySlug, err := w.Organizations.BySlug(ctx, []string{"northwind", "contoso"})
	if err != nil || len(bySlug) != 2 || bySlug["northwind"].ID != w.Acme.OrganizationID {
		t.Errorf("BySlug = %v, %v", bySlug, err)
	}
	slugs, err := w.Organizations.Slugs(ctx, map[string]bool{org.ID: true, w.Neighbour.OrganizationID: true})
	if err != nil || len(slugs) != 1 || slugs[org.ID] != "contoso" {
		t.Errorf("Slugs = %v, %v", slugs, err)
	}
}
