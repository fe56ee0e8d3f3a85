package tenants

import (
	"context"

	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/scope"
)

// tenantPage bounds how many tenants are held in memory at a time.
const tenantPage = 200

// Each calls fn for every tenant, in the order of slugs, under the scope of that tenant; t has id and slug only. It is for
// jobs and the command line. It ends with the first error of fn. Errors: errs.Forbidden, errs.Unavailable.
func (s *Tenants) Each(ctx context.Context, fn func(ctx context.Context, t Tenant) error) error {
	if err := authorizeProcess(ctx); err != nil {
		return err
	}
	for after := ""; ; {
		page, err := s.listSlugs(ctx, after, tenantPage)
		if err != nil {
			return err
		}
		for _, t := range page {
			if err := fn(scope.With(ctx, scope.Scope{TenantID: t.ID}), t); err != nil {
				return err
			}
		}
		if len(page) < tenantPage {
			return nil
		}
		after = page[len(page)-1].Slug
	}
}

// Each calls fn for every environment of the tenant in ctx, under the scope of that environment; secrets are not loaded.
// It is for jobs and the command line. It ends with the first error of fn. Errors: errs.Forbidden, errs.Unavailable.
func (s *Environments) Each(ctx context.Context, fn func(ctx context.Context, env *Environment) error) error {
	if err := authorizeProcess(ctx); err != nil {
		return err
	}
	sc, err := scope.From(ctx)
	if err != nil {
		return err
	}
	list, err := s.listEnvironments(ctx, sc)
	if err != nil {
		return err
	}
	for _, env := range list {
		if err := fn(scope.With(ctx, env.Scope()), env); err != nil {
			return err
		}
	}
	return nil
}

// Reseal wraps the root secrets of the tenant in ctx under the newest key-encryption key, and returns how many it changed.
// It may be repeated and stopped anywhere. Errors: errs.Forbidden, errs.Unavailable; a secret that does not open says so.
func (s *Environments) Reseal(ctx context.Context) (int, error) {
	if err := authorizeProcess(ctx); err != nil {
		return 0, err
	}
	sc, err := scope.From(ctx)
	if err != nil {
		return 0, err
	}
	return s.resealEnvironments(ctx, sc)
}

// authorizeProcess lets the command line and jobs through. No request of a member, user or client gets here.
func authorizeProcess(ctx context.Context) error {
	switch scope.ActorFrom(ctx).Kind {
	case scope.ActorOperator, scope.ActorSystem:
		return nil
	case scope.ActorMember, scope.ActorUser, scope.ActorClient:
	}
	return errs.New(errs.Forbidden, "Only the operator may do this.")
}
