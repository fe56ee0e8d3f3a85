package tenants_test

import (
	"context"
	"testing"

	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/scope"
	"github.com/ostiary/ostiary/tenants"
	"github.com/ostiary/ostiary/tenants/tenanttest"
)

func TestTenants_OnlyTheOperatorCreates(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, err := w.Tenants.Create(w.Acme.Member(tenants.RoleOwner), "other", "Other")
	wantKind(t, err, errs.Forbidden)
	_, err = w.Tenants.Create(tenanttest.Operator(), "acme", "Other")
	wantKind(t, err, errs.Conflict)
	_, err = w.Tenants.Create(tenanttest.Operator(), "-x", "")
	wantField(t, err, "slug")
	wantField(t, err, "name")
	made := must[tenants.Tenant](t)(w.Tenants.Create(tenanttest.Operator(), "other", "Other"))
	if id := must[string](t)(w.Tenants.Find(context.Background(), "other")); id != made.ID {
		t.Errorf("found %s, made %s", id, made.ID)
	}
	_, err = w.Tenants.Find(context.Background(), "nobody")
	wantKind(t, err, errs.NotFound)
}

func TestTenants_RenameReachesConsentPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	changes := listen(t, w)
	wantKind(t, w.Tenants.Rename(w.Acme.Member(tenants.RoleViewer), "X"), errs.Forbidden)
	wantKind(t, w.Tenants.Rename(scope.With(w.Acme.Member(tenants.RoleOwner), w.Neighbour.Scope()), "X"), errs.Forbidden)
	if err := w.Tenants.Rename(w.Acme.Member(tenants.RoleOwner), "Acme Inc"); err != nil {
		t.Fatal(err)
	}
	changes.wait(t, w.Acme.Scope())
	if got := must[tenants.Tenant](t)(w.Tenants.Get(w.Acme.Member(tenants.RoleViewer))); got.Name != "Acme Inc" ||
		got.Slug != "acme" {
		t.Errorf("Get = %+v", got)
	}
	if got := must[tenants.Tenant](t)(w.Tenants.Get(w.Neighbour.Operator())); got.Name != "Neighbour" {
		t.Errorf("the neighbour is called %s", got.Name)
	}
}

// Nobody in particular may do nothing; a member's rights end at the tenant.
func TestAuthorize(t *testing.T) {
	t.Parallel()
	acme := scope.Scope{TenantID: "ten_A"}
	member := func(role tenants.Role) context.Context {
		return tenants.WithMember(context.Background(), tenants.Member{TenantID: "ten_A", ID: "mem_A", Role: role})
	}
	actor := func(kind scope.ActorKind) context.Context {
		return scope.WithActor(scope.With(context.Background(), acme), scope.Actor{Kind: kind, ID: "x"})
	}
	cases := map[string]struct {
		ctx                context.Context
		view, edit, manage bool
	}{
		"owner":        {member(tenants.RoleOwner), true, true, true},
		"admin":        {member(tenants.RoleAdmin), true, true, true},
		"editor":       {member(tenants.RoleEditor), true, true, false},
		"viewer":       {member(tenants.RoleViewer), true, false, false},
		"unknown role": {member("superuser"), false, false, false},
		"elsewhere":    {scope.With(member(tenants.RoleOwner), scope.Scope{TenantID: "ten_B"}), false, false, false},
		"operator":     {actor(scope.ActorOperator), true, true, true},
		"user":         {actor(scope.ActorUser), false, false, false},
		"client":       {actor(scope.ActorClient), false, false, false},
		"nobody":       {scope.With(context.Background(), acme), false, false, false},
		"no scope":     {context.Background(), false, false, false},
		"posing as a member": {
			scope.WithActor(member(tenants.RoleViewer), scope.Actor{Kind: scope.ActorMember, ID: "mem_B"}), false, false, false,
		},
	}
	for name, c := range cases {
		for what, check := range map[string]struct {
			got  error
			want bool
		}{
			"view":   {tenants.AuthorizeView(c.ctx), c.view},
			"edit":   {tenants.AuthorizeEdit(c.ctx), c.edit},
			"manage": {tenants.AuthorizeManage(c.ctx), c.manage},
		} {
			if (check.got == nil) != check.want {
				t.Errorf("%s may %s: %v, want %t", name, what, check.got, check.want)
			}
		}
	}
}
