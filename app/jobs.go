package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/jobs"
	"github.com/ostiary/ostiary/app/scope"
	"github.com/ostiary/ostiary/oauth/keys"
	"github.com/ostiary/ostiary/tenants"
	"github.com/ostiary/ostiary/tenants/attempts"
	"github.com/ostiary/ostiary/tenants/calllog"
)

const (
	sweepEvery = time.Hour
	keysEvery  = time.Hour // a key takes over within an hour of its time
)

// Jobs returns the regular work of the installation. Run does it; tests and commands may.
func (a *App) Jobs() *jobs.Runner {
	return jobs.New(jobs.Deps{DB: a.db, Logger: a.log, Now: a.now},
		jobs.Job{Name: "signing-keys", Every: keysEvery, Run: a.advanceKeys},
		jobs.Job{Name: "sweep", Every: sweepEvery, Run: a.sweep},
		jobs.Job{Name: "call-retention", Every: sweepEvery, Run: a.sweepCalls},
	)
}

// advanceKeys takes the steps that are due in the lives of every environment's signing keys.
func (a *App) advanceKeys(ctx context.Context) error {
	environments := tenants.NewEnvironments(a.tenants)
	return a.everyTenant(ctx, func(ctx context.Context) error {
		return environments.Each(ctx, func(ctx context.Context, env *tenants.Environment) error {
			n, err := a.keys.Advance(ctx, keyPolicy(env))
			if n > 0 {
				a.log.InfoContext(ctx, "signing keys advanced", "steps", n)
			}
			return err
		})
	})
}

func keyPolicy(env *tenants.Environment) keys.Policy {
	return keys.Policy{Alg: keys.Alg(env.Settings.SigningAlg), RotateEvery: env.Settings.KeyRotation}
}

// sweep deletes what has expired.
func (a *App) sweep(ctx context.Context) error {
	members, counters := tenants.NewMemberSessions(a.tenants), attempts.NewCounter(a.db)
	return a.everyTenant(ctx, func(ctx context.Context) error {
		_, counting := counters.Sweep(ctx, a.now())
		_, memberSessions := members.Sweep(ctx)
		_, data := a.oauth.Sweep(ctx)
		return errors.Join(counting, memberSessions, data)
	})
}

// sweepCalls deletes the calls that each environment has kept for long enough. It is a job of its own: after somebody shortened
// the time it may take a while, and other sweeps do not wait for it.
func (a *App) sweepCalls(ctx context.Context) error {
	environments, log := tenants.NewEnvironments(a.tenants), calllog.New(a.tenants)
	return a.everyTenant(ctx, func(ctx context.Context) error {
		return environments.Each(ctx, func(ctx context.Context, env *tenants.Environment) error {
			_, err := log.Sweep(ctx, env.Settings.CallRetention)
			return err
		})
	})
}

// everyTenant does something for one tenant after the other. One that fails does not keep it from the others; a database
// that is away does, since they would only wait for it too.
func (a *App) everyTenant(ctx context.Context, do func(ctx context.Context) error) error {
	ctx = scope.WithActor(ctx, scope.Actor{Kind: scope.ActorSystem, ID: "job"})
	failed := 0
	var first error
	err := tenants.NewTenants(a.tenants).Each(ctx, func(ctx context.Context, _ tenants.Tenant) error {
		err := do(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil || errs.Is(err, errs.Unavailable) {
			return err
		}
		failed++
		if first == nil {
			first = err
		}
		a.log.ErrorContext(ctx, "job failed for a tenant", "error", err)
		return nil
	})
	if err == nil && failed > 0 {
		err = fmt.Errorf("%d tenants: %w", failed, first)
	}
	return err
}
