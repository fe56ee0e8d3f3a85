package tenants_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/ostiary/ostiary/app/apptest"
	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/scope"
	"github.com/ostiary/ostiary/app/secret"
	"github.com/ostiary/ostiary/tenants"
	"github.com/ostiary/ostiary/tenants/tenanttest"
)

func TestEach_VisitsEveryTenantUnderItsOwnScope(t *testing.T) {
	t.Parallel()
	w := tenanttest.New(t, apptest.Database(t).AppURL)
	var seen []string
	err := w.Tenants.Each(context.Background(), func(ctx context.Context, tenant tenants.Tenant) error {
		return w.Environments.Each(ctx, func(ctx context.Context, env *tenants.Environment) error {
			sc, err := scope.From(ctx)
			if err != nil || sc.TenantID != tenant.ID || sc.EnvironmentID != env.ID {
				t.Errorf("scope %+v, %v", sc, err)
			}
			seen = append(seen, tenant.Slug+" "+env.Slug)
			return nil
		})
	})
	if err != nil || !slices.Contains(seen, "acme acme-dev") || !slices.Contains(seen, "neighbour neighbour-dev") {
		t.Errorf("%v, %v", seen, err)
	}
	stop := errors.New("stop")
	calls := 0
	err = w.Tenants.Each(context.Background(), func(context.Context, tenants.Tenant) error { calls++; return stop })
	if !errors.Is(err, stop) || calls != 1 {
		t.Errorf("%d calls, %v", calls, err)
	}
}

func TestEach_IsNotForMembers(t *testing.T) {
	t.Parallel()
	w := tenanttest.New(t, apptest.Database(t).AppURL)
	owner := w.Acme.Member(tenants.RoleOwner)
	if err := w.Tenants.Each(owner, nil); !errs.Is(err, errs.Forbidden) {
		t.Errorf("a member lists every tenant: %v", err)
	}
	if err := w.Environments.Each(owner, nil); !errs.Is(err, errs.Forbidden) {
		t.Errorf("environments: %v", err)
	}
	if _, err := w.Environments.Reseal(owner); !errs.Is(err, errs.Forbidden) {
		t.Errorf("reseal: %v", err)
	}
}

func TestReseal_MovesRootSecretsToTheNewestKey(t *testing.T) {
	t.Parallel()
	database := apptest.Database(t)
	first, second := bytes.Repeat([]byte{1}, secret.KeySize), bytes.Repeat([]byte{2}, secret.KeySize)
	ring := func(keys ...[]byte) *secret.Keyring {
		r, err := secret.NewKeyring(keys...)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	w := tenanttest.New(t, database.AppURL, tenanttest.WithKeyring(ring(first)))
	before, err := w.Environments.Load(w.Acme.Operator())
	if err != nil {
		t.Fatal(err)
	}
	with := func(r *secret.Keyring) *tenants.Environments {
		d := w.Deps
		d.Keyring = r
		return tenants.NewEnvironments(d)
	}
	if _, err := with(ring(second)).Reseal(w.Acme.Operator()); err == nil {
		t.Error("resealed without the key that opens it")
	}
	environments, err := w.Environments.List(w.Acme.Operator())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []int{len(environments), 0} { // the second time there is nothing left to do
		if n, err := with(ring(second, first)).Reseal(w.Acme.Operator()); err != nil || n != want {
			t.Errorf("%d resealed, want %d: %v", n, want, err)
		}
	}
	after, err := with(ring(second)).Load(w.Acme.Operator())
	if err != nil || !bytes.Equal(after.Secret, before.Secret) {
		t.Errorf("the secret is another one: %v", err)
	}
	if _, err := w.Environments.Load(w.Neighbour.Operator()); err != nil {
		t.Errorf("the neighbour's secrets were touched: %v", err)
	}
}
