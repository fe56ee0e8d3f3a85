package tenants_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/ostiary/ostiary/app/audit"
	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/scope"
	"github.com/ostiary/ostiary/tenants"
	"github.com/ostiary/ostiary/tenants/apply"
	"github.com/ostiary/ostiary/tenants/attempts"
	"github.com/ostiary/ostiary/tenants/tenanttest"
)

func TestMembers_AuthenticateFindsTheTenant(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, tenant := range []*tenanttest.Tenant{w.Acme, w.Neighbour} {
		m, err := w.Members.Authenticate(context.Background(), tenants.Credentials{
			Email: " " + strings.ToUpper(tenant.OwnerEmail), Password: tenanttest.Password, Address: "192.0.2.1",
		})
		if err != nil || m.TenantID != tenant.ID || m.Role != tenants.RoleOwner || m.TenantName == "" {
			t.Errorf("%s signed in as %+v, %v", tenant.OwnerEmail, m, err)
		}
	}
	actions := map[string]int{}
	recorder := audit.NewRecorder(audit.Deps{DB: w.DB, Now: w.Clock.Now})
	for _, e := range must[[]audit.Entry](t)(recorder.List(scope.With(context.Background(),
		scope.Scope{TenantID: w.Acme.ID}), 50)) {
		if e.Action == "member.signed_in" && (e.Actor.Kind != scope.ActorMember ||
			e.Actor.ID != w.Acme.MemberOf(tenants.RoleOwner).ID) {
			t.Errorf("signed in by %+v", e.Actor)
		}
		actions[e.Action]++
	}
	if actions["member.signed_in"] != 1 {
		t.Errorf("audit has %v, want one sign-in", actions)
	}
}

func TestMembers_AuthenticateAnswersEveryFailureAlike(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tenanttest.WithFile(func(f *apply.File) {
		f.Members = append(f.Members, apply.Member{Email: "nopassword@acme.example", Name: "Demo None",
			Role: tenants.RoleViewer})
	}))
	disabled := w.Acme.MemberOf(tenants.RoleEditor)
	must[tenants.Member](t)(w.Members.Update(w.Acme.Member(tenants.RoleOwner), disabled.ID,
		tenants.MemberUpdate{Name: disabled.Name, Role: disabled.Role, Disabled: true}))
	var first string
	for name, c := range map[string]tenants.Credentials{
		"unknown":        {Email: "nobody@acme.example", Password: tenanttest.Password},
		"wrong password": {Email: w.Acme.OwnerEmail, Password: "wrong"},
		"no password":    {Email: "nopassword@acme.example", Password: ""},
		"disabled":       {Email: disabled.Email, Password: tenanttest.Password},
		"not an address": {Email: "x' or '1'='1", Password: tenanttest.Password},
		"endless":        {Email: w.Acme.OwnerEmail, Password: strings.Repeat("x", 100_000)},
		"a user":         {Email: w.Acme.UserEmail, Password: tenanttest.Password},
	} {
		c.Address = "192.0.2.1"
		m, err := w.Members.Authenticate(context.Background(), c)
		if !errs.Is(err, errs.Unauthenticated) || m != (tenants.Member{}) {
			t.Errorf("%s: %+v, %v", name, m, err)
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

func TestMembers_AuthenticateIsLimited(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	try := func(email, password, address string) error {
		_, err := w.Members.Authenticate(context.Background(), tenants.Credentials{Email: email, Password: password,
			Address: address})
		return err
	}
	w.Clock.BeginWindow(attempts.Window)
	for _, email := range []string{w.Acme.OwnerEmail, "nobody@acme.example"} { // a stranger cannot tell which one exists
		for range 10 {
			wantKind(t, try(email, "wrong", "192.0.2.1"), errs.Unauthenticated)
		}
		err := try(email, tenanttest.Password, "192.0.2.1")
		wantKind(t, err, errs.RateLimited)
		if after, ok := attempts.RetryAfter(err); !ok || after <= 0 || after > attempts.Window {
			t.Errorf("retry after %s, %t", after, ok)
		}
	}
	if err := try(w.Acme.OwnerEmail, tenanttest.Password, "192.0.2.2"); err != nil {
		t.Errorf("an attacker elsewhere locked the member out: %v", err)
	}
	w.Clock.Advance(attempts.Window)
	if err := try(w.Acme.OwnerEmail, tenanttest.Password, "192.0.2.1"); err != nil {
		t.Errorf("the limit outlasts its window: %v", err)
	}
}

func TestMembers_RolesLimitWhoChangesWhom(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	newMember := tenants.NewMember{Email: "new@acme.example", Name: "Demo New", Role: tenants.RoleViewer,
		Password: tenanttest.Password}
	for _, role := range []tenants.Role{tenants.RoleViewer, tenants.RoleEditor} {
		_, err := w.Members.Create(w.Acme.Member(role), newMember)
		wantKind(t, err, errs.Forbidden)
	}
	owner := newMember
	owner.Role = tenants.RoleOwner
	_, err := w.Members.Create(w.Acme.Member(tenants.RoleAdmin), owner)
	wantKind(t, err, errs.Forbidden) // only owners make owners
	m := must[tenants.Member](t)(w.Members.Create(w.Acme.Member(tenants.RoleAdmin), newMember))
	_, err = w.Members.Create(w.Acme.Member(tenants.RoleAdmin), newMember)
	wantKind(t, err, errs.Conflict)
	_, err = w.Members.Create(w.Acme.Member(tenants.RoleAdmin), tenants.NewMember{Email: "x", Role: "king",
		Password: "short"})
	for _, field := range []string{"email", "name", "role", "password"} {
		wantField(t, err, field)
	}

	update := tenants.MemberUpdate{Name: m.Name, Role: tenants.RoleOwner}
	_, err = w.Members.Update(w.Acme.Member(tenants.RoleAdmin), m.ID, update)
	wantKind(t, err, errs.Forbidden)
	first := w.Acme.MemberOf(tenants.RoleOwner)
	demote := tenants.MemberUpdate{Name: first.Name, Role: tenants.RoleViewer}
	_, err = w.Members.Update(w.Acme.Member(tenants.RoleAdmin), first.ID, demote)
	wantKind(t, err, errs.Forbidden)
	_, err = w.Members.Update(w.Acme.Member(tenants.RoleOwner), first.ID, demote)
	wantKind(t, err, errs.Conflict) // the last owner
	must[tenants.Member](t)(w.Members.Update(w.Acme.Member(tenants.RoleOwner), m.ID, update))
	must[tenants.Member](t)(w.Members.Update(w.Acme.Member(tenants.RoleOwner), first.ID, demote))
}

func TestMembers_NeighboursAreNotFound(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := w.Acme.Member(tenants.RoleOwner)
	foreign := w.Neighbour.MemberOf(tenants.RoleEditor)
	_, err := w.Members.Update(ctx, foreign.ID, tenants.MemberUpdate{Name: "Mine", Role: tenants.RoleViewer,
		Disabled: true})
	wantKind(t, err, errs.NotFound)
	for _, m := range must[[]tenants.Member](t)(w.Members.List(ctx)) {
		if m.TenantID != w.Acme.ID {
			t.Errorf("List shows %+v", m)
		}
	}
	_, err = w.Members.List(scope.With(ctx, w.Neighbour.Scope()))
	wantKind(t, err, errs.Forbidden)
	_, err = w.Members.Accounts(ctx)
	wantKind(t, err, errs.Forbidden)
	accounts := must[map[string]tenants.MemberAccount](t)(w.Members.Accounts(w.Acme.Operator()))
	if _, theirs := accounts[foreign.Email]; theirs {
		t.Error("Accounts shows a neighbour's member")
	}
	if _, err := w.Members.Authenticate(ctx, tenants.Credentials{Email: foreign.Email,
		Password: tenanttest.Password}); err != nil {
		t.Errorf("the neighbour's member can no longer sign in: %v", err)
	}
}

func TestMemberSessions_LiveUntilEndedExpiredOrDisabled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := context.Background()
	m := w.Acme.MemberOf(tenants.RoleEditor)
	create := func() string {
		value, expires, err := w.Sessions.Create(ctx, m)
		if err != nil || !expires.After(w.Clock.Now()) {
			t.Fatal(err, expires)
		}
		return value
	}
	value := create()
	got := must[tenants.Member](t)(w.Sessions.Get(ctx, value))
	if got.ID != m.ID || got.Role != tenants.RoleEditor || got.TenantName != "Acme" || got.TenantID != w.Acme.ID {
		t.Errorf("session of %+v", got)
	}
	if err := w.Sessions.End(ctx, value); err != nil {
		t.Fatal(err)
	}
	_, err := w.Sessions.Get(ctx, value)
	wantKind(t, err, errs.Unauthenticated)
	if err := w.Sessions.End(ctx, value); err != nil {
		t.Errorf("ending twice: %v", err)
	}

	value = create()
	update := tenants.MemberUpdate{Name: m.Name, Role: m.Role, Disabled: true}
	must[tenants.Member](t)(w.Members.Update(w.Acme.Member(tenants.RoleOwner), m.ID, update))
	update.Disabled = false
	must[tenants.Member](t)(w.Members.Update(w.Acme.Member(tenants.RoleOwner), m.ID, update))
	_, err = w.Sessions.Get(ctx, value)
	wantKind(t, err, errs.Unauthenticated) // disabling ended it for good

	value = create()
	w.Clock.Advance(tenants.MemberSessionLifetime + time.Minute)
	_, err = w.Sessions.Get(ctx, value)
	wantKind(t, err, errs.Unauthenticated)
}

func TestMemberSessions_TamperedValuesAreNobodys(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := context.Background()
	value, _, err := w.Sessions.Create(ctx, w.Acme.MemberOf(tenants.RoleOwner))
	if err != nil {
		t.Fatal(err)
	}
	_, token, _ := strings.Cut(value, ".")
	for name, forged := range map[string]string{
		"empty":            "",
		"token alone":      token,
		"other tenant":     w.Neighbour.ID + "." + token,
		"no tenant":        "." + token,
		"other token":      value[:len(value)-1] + string(value[len(value)-1]^1),
		"longer":           value + "x",
		"cut short":        value[:len(value)-1],
		"not a tenant id":  "ten_';drop table members;--aaaa." + token,
		"two separators":   w.Acme.ID + "." + token + ".",
		"upper-case token": w.Acme.ID + "." + strings.ToUpper(token),
	} {
		if m, err := w.Sessions.Get(ctx, forged); !errs.Is(err, errs.Unauthenticated) {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
		if err := w.Sessions.End(ctx, forged); err != nil {
			t.Errorf("ending %s: %v", name, err)
		}
	}
	if _, err := w.Sessions.Get(ctx, value); err != nil {
		t.Errorf("the real session ended: %v", err)
	}
}

// What signs in is kept as a hash only.
func TestMembers_NothingReadableIsKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	value, _, err := w.Sessions.Create(context.Background(), w.Acme.MemberOf(tenants.RoleOwner))
	if err != nil {
		t.Fatal(err)
	}
	_, token, _ := strings.Cut(value, ".")
	for _, secret := range []string{token, tenanttest.Password} {
		if place := findText(t, w, w.Acme, secret); place != "" {
			t.Errorf("a secret stands readable in %s", place)
		}
	}
}
