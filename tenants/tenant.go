package tenants

import (
	"context"
	"time"

	"github.com/ostiary/ostiary/app/audit"
	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/scope"
	"github.com/ostiary/ostiary/app/secret"
	"github.com/ostiary/ostiary/tenants/check"
	"github.com/ostiary/ostiary/tenants/rows"
)

const (
	maxTenantSlug      = 40
	maxEnvironmentSlug = 60
)

// Tenant is a customer's account.
type Tenant struct {
	ID        string
	Slug      string
	Name      string
	CreatedAt time.Time
}

// Tenants serves the accounts themselves. Only the operator creates them.
type Tenants struct{ base }

// NewTenants returns the service.
func NewTenants(d Deps) *Tenants { return &Tenants{newBase(d)} }

// Find returns the id of the tenant with this slug, before a tenant is known. Errors: errs.NotFound.
func (s *Tenants) Find(ctx context.Context, slug string) (string, error) {
	return s.findSlug(ctx, slug)
}

// ValidateTenant returns what is wrong with a tenant's slug and name.
func ValidateTenant(slug, name string) check.Problems {
	var p check.Problems
	p.Add("slug", check.Slug(slug, maxTenantSlug))
	p.Add("name", check.Text(name, maxName))
	return p
}

// Create adds a tenant. Errors: errs.Invalid, errs.Conflict when the slug is taken, errs.Forbidden.
func (s *Tenants) Create(ctx context.Context, slug, name string) (Tenant, error) {
	if err := AuthorizeOperator(ctx); err != nil {
		return Tenant{}, err
	}
	if err := ValidateTenant(slug, name).Err(); err != nil {
		return Tenant{}, err
	}
	t := Tenant{ID: secret.NewID("ten"), Slug: slug, Name: name, CreatedAt: s.now()}
	ctx = scope.With(ctx, scope.Scope{TenantID: t.ID})
	err := s.inTenant(ctx, func(ctx context.Context) error {
		if err := s.insertTenant(ctx, t); err != nil {
			return err
		}
		return s.audit.Record(ctx, audit.Event{
			Action: "tenant.created", TargetKind: "tenant", TargetID: t.ID, Detail: map[string]any{"slug": slug, "name": name},
		})
	})
	if rows.Violates(err, "tenant_slugs_pkey") {
		return Tenant{}, &errs.Error{
			Kind: errs.Conflict, Code: "slug_taken", Msg: "There is a workspace with this name already.",
			Fields: map[string]string{"slug": "This is taken."},
		}
	}
	return t, err
}

// Get returns the tenant of the scope in ctx. Errors: errs.NotFound, errs.Forbidden.
func (s *Tenants) Get(ctx context.Context) (Tenant, error) {
	if err := AuthorizeView(ctx); err != nil {
		return Tenant{}, err
	}
	sc, err := scope.From(ctx)
	if err != nil {
		return Tenant{}, err
	}
	return s.loadTenant(ctx, sc)
}

// Rename changes the name of the tenant in ctx. Errors: errs.Invalid, errs.NotFound, errs.Forbidden.
func (s *Tenants) Rename(ctx context.Context, name string) error {
	if err := AuthorizeManage(ctx); err != nil {
		return err
	}
	sc, err := scope.From(ctx)
	if err != nil {
		return err
	}
	var p check.Problems
	p.Add("name", check.Text(name, maxName))
	if err := p.Err(); err != nil {
		return err
	}
	return s.inTenant(ctx, func(ctx context.Context) error {
		environments, err := s.renameTenant(ctx, sc, name)
		if err != nil {
			return err
		}
		for _, id := range environments { // consent pages show the name
			if err := s.deps.DB.Notify(ctx, id); err != nil {
				return err
			}
		}
		return s.audit.Record(ctx, audit.Event{
			Action: "tenant.renamed", TargetKind: "tenant", TargetID: sc.TenantID, Detail: map[string]any{"name": name},
		})
	})
}
