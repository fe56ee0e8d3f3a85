package tenants_test

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/secret"
	"github.com/ostiary/ostiary/tenants"
)

func TestCredentials_TwoAreLiveAtATime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := w.Acme.Operator()
	create := func(name string) (tenants.Credential, string, error) {
		return w.Resources.CreateCredential(ctx, tenants.NewCredential{ResourceID: w.Acme.ResourceID, Name: name})
	}
	first, text, err := create("first")
	if err != nil || len(text) < 40 || !bytes.Equal(first.SecretHash, secret.Hash(text)) {
		t.Fatalf("%+v %v", first, err)
	}
	if _, _, err = create("first"); !errs.Is(err, errs.Conflict) {
		t.Errorf("the same name twice: %v", err)
	}
	if _, _, err = create("second"); err != nil {
		t.Fatal(err)
	}
	if _, _, err = create("third"); !errs.Is(err, errs.Conflict) {
		t.Errorf("three live credentials: %v", err)
	}
	if err := w.Resources.RevokeCredential(ctx, first.ID); err != nil {
		t.Fatal(err)
	}
	if err := w.Resources.RevokeCredential(ctx, first.ID); !errs.Is(err, errs.NotFound) {
		t.Errorf("revoked twice: %v", err)
	}
	again, other, err := create("first")
	if err != nil || other == text || again.ID == first.ID {
		t.Errorf("the name of a revoked one: %v", err)
	}
	live := must[[]tenants.Credential](t)(w.Resources.Credentials(w.Acme.Context()))
	if len(live) != 2 || live[0].Name != "second" || live[1].ID != again.ID {
		t.Errorf("live: %+v", live)
	}
}

func TestCredentials_ParallelOnesAreStillTwo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var made atomic.Int32
	var wg sync.WaitGroup
	for _, name := range strings.Split("abcdef", "") {
		wg.Go(func() {
			_, _, err := w.Resources.CreateCredential(w.Acme.Operator(), tenants.NewCredential{ResourceID: w.Acme.ResourceID, Name: name})
			if err == nil {
				made.Add(1)
			} else if !errs.Is(err, errs.Conflict) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if made.Load() != 2 {
		t.Errorf("%d of 6 were made", made.Load())
	}
}

func TestCredentials_NeighboursAreNotFound(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	foreign, _, err := w.Resources.CreateCredential(w.Neighbour.Operator(),
		tenants.NewCredential{ResourceID: w.Neighbour.ResourceID, Name: "theirs"})
	if err != nil {
		t.Fatal(err)
	}
	ctx := w.Acme.Member(tenants.RoleOwner)
	if err := w.Resources.RevokeCredential(ctx, foreign.ID); !errs.Is(err, errs.NotFound) {
		t.Errorf("revoke: %v", err)
	}
	_, _, err = w.Resources.CreateCredential(ctx, tenants.NewCredential{ResourceID: w.Neighbour.ResourceID, Name: "mine"})
	if !errs.Is(err, errs.NotFound) {
		t.Errorf("create: %v", err)
	}
	for name, list := range map[string]func() ([]tenants.Credential, error){
		"of the neighbour's server": func() ([]tenants.Credential, error) { return w.Resources.ListCredentials(ctx, w.Neighbour.ResourceID) },
		"of the environment":        func() ([]tenants.Credential, error) { return w.Resources.Credentials(w.Acme.Context()) },
	} {
		if got, err := list(); err != nil || len(got) != 0 {
			t.Errorf("%s: %d, %v", name, len(got), err)
		}
	}
	if left := must[[]tenants.Credential](t)(w.Resources.Credentials(w.Neighbour.Context())); len(left) != 1 {
		t.Errorf("the neighbour has %d credentials left", len(left))
	}
}

func TestCredentials_AreForAdmins(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := tenants.NewCredential{ResourceID: w.Acme.ResourceID, Name: "main"}
	for _, ctx := range []context.Context{w.Acme.Member(tenants.RoleEditor), w.Acme.Member(tenants.RoleViewer), w.Acme.Context()} {
		if _, _, err := w.Resources.CreateCredential(ctx, n); !errs.Is(err, errs.Forbidden) {
			t.Errorf("create: %v", err)
		}
		if err := w.Resources.RevokeCredential(ctx, "rcr_AAAAAAAAAAAAAAAAAAAAAAAAAA"); !errs.Is(err, errs.Forbidden) {
			t.Errorf("revoke: %v", err)
		}
	}
	if _, _, err := w.Resources.CreateCredential(w.Acme.Member(tenants.RoleAdmin), n); err != nil {
		t.Error(err)
	}
	n.Name, n.Secret = "", "short"
	_, _, err := w.Resources.CreateCredential(w.Acme.Operator(), n)
	wantField(t, err, "name")
	wantField(t, err, "secret")
}
