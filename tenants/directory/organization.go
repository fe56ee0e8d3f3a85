package directory

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/ostiary/ostiary/app/audit"
	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/secret"
	"github.com/ostiary/ostiary/tenants"
	"github.com/ostiary/ostiary/tenants/check"
	"github.com/ostiary/ostiary/tenants/rows"
)

// Organization is a tenant's own customer.
type Organization struct {
	ID         string
	Slug       string
	Name       string
	CreatedAt  time.Time
	DisabledAt *time.Time
}

// Organizations serves the organizations of the environment in the context.
type Organizations struct{ base }

// NewOrganizations returns the service.
func NewOrganizations(d tenants.Deps) *Organizations { return &Organizations{newBase(d)} }

// ValidateOrganization returns what is wrong with an organization's slug and name.
func ValidateOrganization(slug, name string) check.Problems {
	var p check.Problems
	p.Add("slug", check.OrganizationSlug(slug))
	p.Add("name", check.Text(name, maxName))
	return p
}

// Create adds an organization. Errors: errs.Invalid, errs.Conflict when the slug is taken, errs.Forbidden.
func (o *Organizations) Create(ctx context.Context, slug, name string) (Organization, error) {
	if err := tenants.AuthorizeManage(ctx); err != nil {
		return Organization{}, err
	}
	sc, err := environmentScope(ctx)
	if err != nil {
		return Organization{}, err
	}
	if err := ValidateOrganization(slug, name).Err(); err != nil {
		return Organization{}, err
	}
	org := Organization{ID: secret.NewID("org"), Slug: slug, Name: name, CreatedAt: o.now()}
	err = o.inTenant(ctx, func(ctx context.Context) error {
		if err := o.insertOrganization(ctx, sc, org); err != nil {
			return err
		}
		return o.audit.Record(ctx, organizationEvent("organization.created", org))
	})
	if rows.Violates(err, "organizations_tenant_id_environment_id_slug_key") {
		return Organization{}, &errs.Error{
			Kind: errs.Conflict, Code: "slug_taken", Msg: "There is an organization with this name already.",
			Fields: map[string]string{"slug": "This is taken."},
		}
	}
	return org, err
}

func organizationEvent(action string, org Organization) audit.Event {
	return audit.Event{
		Action: action, TargetKind: "organization", TargetID: org.ID, Detail: map[string]any{"slug": org.Slug},
	}
}

// Get returns the organization with this id. The issuer calls it. Errors: errs.NotFound.
func (o *Organizations) Get(ctx context.Context, id string) (Organization, error) {
	sc, err := environmentScope(ctx)
	if err != nil {
		return Organization{}, err
	}
	return o.loadOrganization(ctx, sc, id)
}

// List returns organizations by slug, and how many there are in all. Errors: errs.Forbidden.
func (o *Organizations) List(ctx context.Context, f Filter) ([]Organization, int, error) {
	if err := tenants.AuthorizeView(ctx); err != nil {
		return nil, 0, err
	}
	sc, err := environmentScope(ctx)
	if err != nil {
		return nil, 0, err
	}
	if f.Limit <= 0 {
		f.Limit = 20
	}
	f.Limit, f.Offset = min(f.Limit, 100), max(f.Offset, 0)
	return o.listOrganizations(ctx, sc, f)
}

// Rename changes what an organization is called. Errors: errs.Invalid, errs.NotFound, errs.Forbidden.
func (o *Organizations) Rename(ctx context.Context, id, name string) error {
	if err := tenants.AuthorizeManage(ctx); err != nil {
		return err
	}
	sc, err := environmentScope(ctx)
	if err != nil {
		return err
	}
	if err := ValidateOrganization("valid", name).Err(); err != nil {
		return err
	}
	return o.inTenant(ctx, func(ctx context.Context) error {
		org, err := o.loadOrganization(ctx, sc, id)
		if err != nil || org.Name == name {
			return err
		}
		if err := o.renameOrganization(ctx, sc, id, name); err != nil {
			return err
		}
		return o.audit.Record(ctx, organizationEvent("organization.renamed", org))
	})
}

// BySlug returns the organizations with these slugs, by slug. Errors: errs.Forbidden.
func (o *Organizations) BySlug(ctx context.Context, slugs []string) (map[string]Organization, error) {
	if err := tenants.AuthorizeView(ctx); err != nil {
		return nil, err
	}
	sc, err := environmentScope(ctx)
	if err != nil {
		return nil, err
	}
	return o.organizationsBySlug(ctx, sc, slugs)
}

// Slugs returns the slugs of the organizations with these ids, by id. Errors: errs.Forbidden.
func (o *Organizations) Slugs(ctx context.Context, ids map[string]bool) (map[string]string, error) {
	if err := tenants.AuthorizeView(ctx); err != nil {
		return nil, err
	}
	sc, err := environmentScope(ctx)
	if err != nil {
		return nil, err
	}
	return o.organizationSlugs(ctx, sc, slices.Sorted(maps.Keys(ids)))
}
