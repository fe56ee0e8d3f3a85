package app

import (
	"context"

	"github.com/ostiary/ostiary/oauth/clients"
	"github.com/ostiary/ostiary/oauth/keys"
	"github.com/ostiary/ostiary/tenants"
	"github.com/ostiary/ostiary/tenants/apply"
)

// Applier returns what makes tenants equal to files, with the parts that the authorization server keeps.
func (a *App) Applier() *apply.Applier {
	return apply.New(apply.Deps{
		Deps: a.tenants, IssuerURL: a.config.Issuer, Clients: clients.NewPreregistered(a.clients),
		OnEnvironment: func(ctx context.Context, env *tenants.Environment) error {
			return a.keys.EnsureActive(ctx, keys.Alg(env.Settings.SigningAlg))
		},
	})
}
