package app

import (
	"context"
	"fmt"
	"time"

	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/oauth/keys"
	"github.com/ostiary/ostiary/tenants"
)

// KeySelection names environments by slugs. Empty means every one.
type KeySelection struct {
	Tenant      string
	Environment string
}

// EnvironmentKeys are the signing keys of one environment.
type EnvironmentKeys struct {
	Tenant      string // slug
	Environment string // slug
	Keys        []keys.Info
}

// ListKeys returns the signing keys of the selected environments, retired ones too. Errors: errs.Forbidden,
// errs.NotFound when nothing is selected, errs.Unavailable.
func (a *App) ListKeys(ctx context.Context, s KeySelection) ([]EnvironmentKeys, error) {
	var list []EnvironmentKeys
	err := a.eachSelected(ctx, s, func(ctx context.Context, t tenants.Tenant, env *tenants.Environment) error {
		all, err := a.keys.Describe(ctx)
		list = append(list, EnvironmentKeys{Tenant: t.Slug, Environment: env.Slug, Keys: all})
		return err
	})
	return list, err
}

// KeyRotation says which signing keys to replace, and how.
type KeyRotation struct {
	KeySelection
	Now    bool // the new key signs at once instead of after keys.PublishLead
	Revoke bool // with Now: the old key's tokens die with it
}

// RotatedKey is the next or new key of an environment.
type RotatedKey struct {
	Tenant      string // slug
	Environment string // slug
	Key         keys.Info
}

// settle is how long every node has to learn of a new key before it signs. It is waited for even in an emergency: a resource
// server that asks a node for a key which that node does not know yet refuses good tokens for seconds.
const settle = 2 * time.Second

// RotateKeys publishes a new key for each selected environment; the regular work lets it sign in time, or this does with
// Now. It may be repeated: an environment whose next key is published already gets no other. Errors as for ListKeys.
func (a *App) RotateKeys(ctx context.Context, r KeyRotation) ([]RotatedKey, error) {
	var rotated []RotatedKey
	publish := func(ctx context.Context, t tenants.Tenant, env *tenants.Environment) error {
		next, err := a.keys.Publish(ctx, keyPolicy(env).Alg)
		if err != nil {
			return fmt.Errorf("environment %s: %w", env.Slug, err)
		}
		rotated = append(rotated, RotatedKey{Tenant: t.Slug, Environment: env.Slug, Key: next})
		return nil
	}
	if err := a.eachSelected(ctx, r.KeySelection, publish); err != nil || !r.Now {
		return rotated, err
	}
	select {
	case <-time.After(settle):
	case <-ctx.Done():
		return rotated, ctx.Err()
	}
	next := 0
	activate := func(ctx context.Context, t tenants.Tenant, env *tenants.Environment) error {
		if next == len(rotated) || rotated[next].Tenant != t.Slug || rotated[next].Environment != env.Slug {
			return nil // made meanwhile, with a key of its own
		}
		key := &rotated[next].Key
		next++
		if err := a.keys.Activate(ctx, key.ID, r.Revoke); err != nil {
			return fmt.Errorf("environment %s: %w", env.Slug, err)
		}
		key.State = keys.StateActive
		return nil
	}
	return rotated, a.eachSelected(ctx, r.KeySelection, activate)
}

// Resealed counts what Reseal wrapped anew.
type Resealed struct {
	Keys         int // private signing keys
	Environments int // root secrets
}

// Reseal wraps every sealed value under the newest master key, after which the previous ones can be forgotten. It may be
// repeated, and stopped anywhere. Errors: errs.Forbidden, errs.Unavailable; a value that no key at hand opens says so.
func (a *App) Reseal(ctx context.Context) (Resealed, error) {
	var total Resealed
	environments := tenants.NewEnvironments(a.tenants)
	err := tenants.NewTenants(a.tenants).Each(ctx, func(ctx context.Context, t tenants.Tenant) error {
		n, err := a.keys.Reseal(ctx)
		total.Keys += n
		if err == nil {
			n, err = environments.Reseal(ctx)
			total.Environments += n
		}
		if err != nil {
			return fmt.Errorf("workspace %s: %w", t.Slug, err)
		}
		return nil
	})
	return total, err
}

// eachSelected visits environments. Environments of different tenants may share a slug: one that is named without its tenant
// must be the only one.
func (a *App) eachSelected(
	ctx context.Context, s KeySelection, visit func(context.Context, tenants.Tenant, *tenants.Environment) error,
) error {
	type found struct {
		ctx    context.Context
		tenant tenants.Tenant
		env    *tenants.Environment
	}
	var selected []found
	environments := tenants.NewEnvironments(a.tenants)
	err := tenants.NewTenants(a.tenants).Each(ctx, func(ctx context.Context, t tenants.Tenant) error {
		if s.Tenant != "" && t.Slug != s.Tenant {
			return nil
		}
		return environments.Each(ctx, func(ctx context.Context, env *tenants.Environment) error {
			if s.Environment == "" || env.Slug == s.Environment {
				selected = append(selected, found{ctx, t, env})
			}
			return nil
		})
	})
	switch {
	case err != nil:
		return err
	case len(selected) == 0:
		return errs.New(errs.NotFound, "There is no such environment.")
	case s.Environment != "" && len(selected) > 1:
		return errs.New(errs.Conflict, fmt.Sprintf("%d workspaces have an environment %q: name the workspace, too.",
			len(selected), s.Environment))
	}
	for _, f := range selected {
		if err := visit(f.ctx, f.tenant, f.env); err != nil {
			return err
		}
	}
	return nil
}
