package apply_test

import (
	"context"
	"slices"
	"testing"

	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/scope"
	"github.com/ostiary/ostiary/tenants/apply"
	"github.com/ostiary/ostiary/tenants/tenanttest"
)

func TestIDs_AreThoseOfTheFileAndItsTenant(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, tenant := range []*tenanttest.Tenant{w.Acme, w.Neighbour} {
		ids, err := w.Applier.IDs(tenanttest.Operator(), tenant.File)
		want := []apply.NamedID{
			{tenant.Environment, "MCP server " + tenant.File.Environments[0].Resources[0].Identifier, tenant.ResourceID},
			{tenant.Environment, "organization northwind", tenant.OrganizationID},
		}
		if err != nil || !slices.Equal(ids, want) {
			t.Errorf("%v, %v, want %v", ids, err, want)
		}
	}
}

func TestIDs_OfWhatIsNotThere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := w.Acme.File
	f.Tenant.Slug = "nobody"
	if _, err := w.Applier.IDs(tenanttest.Operator(), f); !errs.Is(err, errs.NotFound) {
		t.Errorf("no such tenant: %v", err)
	}
	f = w.Acme.File
	f.Environments = w.Neighbour.File.Environments
	if _, err := w.Applier.IDs(tenanttest.Operator(), f); !errs.Is(err, errs.NotFound) {
		t.Errorf("another tenant's environment: %v", err)
	}
	stranger := scope.WithActor(context.Background(), scope.Actor{Kind: scope.ActorMember, ID: "mem_x"})
	if _, err := w.Applier.IDs(stranger, w.Acme.File); !errs.Is(err, errs.Forbidden) {
		t.Errorf("a stranger: %v", err)
	}
}
