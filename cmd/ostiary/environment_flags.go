package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/ostiary/ostiary/app"
	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/scope"
)

// environmentFlags name the environment that a command looks at or changes.
type environmentFlags struct{ tenant, environment string }

func (e *environmentFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&e.tenant, "tenant", "", "slug of the tenant")
	cmd.Flags().StringVar(&e.environment, "environment", "", "slug of the environment; may be left out when there is one")
	if err := cmd.MarkFlagRequired("tenant"); err != nil {
		panic(err) // the flag is declared above
	}
}

// inEnvironment puts the environment that the flags name into the scope.
func inEnvironment(ctx context.Context, a *app.App, e environmentFlags) (context.Context, error) {
	s := a.Services()
	tenantID, err := s.Tenants.Find(ctx, e.tenant)
	if errs.Is(err, errs.NotFound) {
		return nil, fmt.Errorf("there is no tenant %q", e.tenant)
	}
	if err != nil {
		return nil, err
	}
	ctx = scope.With(ctx, scope.Scope{TenantID: tenantID})
	list, err := s.Environments.List(ctx)
	if err != nil {
		return nil, err
	}
	var slugs []string
	for _, env := range list {
		if env.Slug == e.environment || (e.environment == "" && len(list) == 1) {
			return scope.With(ctx, env.Scope()), nil
		}
		slugs = append(slugs, env.Slug)
	}
	return nil, fmt.Errorf("name one of its environments with --environment: %v", slugs)
}
