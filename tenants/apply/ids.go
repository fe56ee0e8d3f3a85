package apply

import (
	"context"

	"github.com/ostiary/ostiary/app/scope"
	"github.com/ostiary/ostiary/tenants"
)

// NamedID is the id that other programs call a part of the file by: a gate its MCP server, a database an organization.
type NamedID struct {
	Environment string // slug
	What        string // for people: "MCP server https://…", "organization northwind"
	ID          string
}

// IDs returns the ids of the file's MCP servers and organizations, in the order of the file, as they are stored now. Only
// the operator may ask. Errors: errs.NotFound when the tenant or an environment of the file is not there, errs.Forbidden.
func (a *Applier) IDs(ctx context.Context, f File) ([]NamedID, error) {
	if err := tenants.AuthorizeOperator(ctx); err != nil {
		return nil, err
	}
	tenantID, err := a.tenants.Find(ctx, f.Tenant.Slug)
	if err != nil {
		return nil, err
	}
	ctx = scope.With(ctx, scope.Scope{TenantID: tenantID})
	var ids []NamedID
	for i := range f.Environments {
		found, err := a.environmentIDs(ctx, &f.Environments[i])
		if err != nil {
			return nil, err
		}
		ids = append(ids, found...)
	}
	return ids, nil
}

func (a *Applier) environmentIDs(ctx context.Context, e *Environment) ([]NamedID, error) {
	env, err := a.environments.Get(ctx, e.Slug)
	if err != nil {
		return nil, err
	}
	ctx = scope.With(ctx, env.Scope())
	identifiers := make([]string, len(e.Resources))
	for i := range e.Resources {
		identifiers[i] = e.Resources[i].Identifier
	}
	servers, err := a.resources.ByIdentifier(ctx, identifiers)
	if err != nil {
		return nil, err
	}
	slugs := make([]string, len(e.Organizations))
	for i := range e.Organizations {
		slugs[i] = e.Organizations[i].Slug
	}
	organizations, err := a.organizations.BySlug(ctx, slugs)
	if err != nil {
		return nil, err
	}
	var ids []NamedID
	for _, identifier := range identifiers {
		if server, ok := servers[identifier]; ok {
			ids = append(ids, NamedID{e.Slug, "MCP server " + identifier, server.Resource.ID})
		}
	}
	for _, slug := range slugs {
		if organization, ok := organizations[slug]; ok {
			ids = append(ids, NamedID{e.Slug, "organization " + slug, organization.ID})
		}
	}
	return ids, nil
}
