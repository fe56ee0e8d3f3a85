package apply

import (
	"context"
	"fmt"
	"reflect"
	"strings"

	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/scope"
	"github.com/ostiary/ostiary/tenants"
)

// environment returns the steps for an environment and everything in it, publishing last.
func (w *work) environment(ctx context.Context, e *Environment) ([]step, error) {
	w.env = nil
	issuer, err := w.issuer(e)
	if err != nil {
		return nil, err
	}
	if w.tenantID != "" {
		env, err := w.environments.Get(ctx, e.Slug)
		if err != nil && !errs.Is(err, errs.NotFound) {
			return nil, err
		}
		if err == nil {
			w.env = env
			ctx = w.inEnvironment(ctx)
		}
	}
	steps := w.environmentItself(e, issuer)
	for _, part := range []func(context.Context, *Environment) ([]step, error){
		w.organizationSteps, w.userSteps, w.resourceSteps, w.credentialSteps, w.clientSteps, w.publishSteps,
	} {
		more, err := part(ctx, e)
		if err != nil {
			return nil, err
		}
		steps = append(steps, more...)
	}
	for i := range steps {
		steps[i].Environment = e.Slug
	}
	return steps, nil
}

func (w *work) issuer(e *Environment) (string, error) {
	raw := e.Issuer
	if raw == "" {
		raw = w.deps.IssuerURL(e.Slug)
	}
	return tenants.CanonicalIssuer(raw)
}

// inEnvironment returns ctx under the scope of the environment at hand, once it exists.
func (w *work) inEnvironment(ctx context.Context) context.Context {
	return scope.With(ctx, w.env.Scope())
}

func (w *work) environmentItself(e *Environment, issuer string) []step {
	if w.env == nil {
		return []step{{
			Change{Op: OpCreate, What: fmt.Sprintf("environment %s (%s) at %s", e.Slug, e.Kind, issuer)},
			func(ctx context.Context) error { return w.createEnvironment(ctx, e, issuer) },
		}}
	}
	change := Change{Op: OpUpdate}
	var changed []string
	note := func(different bool, what string) {
		if different {
			changed = append(changed, what)
		}
	}
	note(w.env.Name != e.Name, fmt.Sprintf("name %s → %s", w.env.Name, e.Name))
	note(w.env.Kind != e.Kind, fmt.Sprintf("kind %s → %s", w.env.Kind, e.Kind))
	note(!reflect.DeepEqual(w.env.Choices, e.Settings), "settings")
	note(w.env.Branding != e.Branding, "branding")
	if w.env.Issuer != issuer {
		changed = append(changed, fmt.Sprintf("issuer %s → %s", w.env.Issuer, issuer))
		change.Warning = fmt.Sprintf("the issuer of %s changes from %s to %s. Every host must connect again: tokens and "+
			"connections made at the old address stop working.", e.Slug, w.env.Issuer, issuer)
	}
	if len(changed) == 0 {
		return nil
	}
	change.What = fmt.Sprintf("environment %s: %s", e.Slug, strings.Join(changed, ", "))
	update := tenants.EnvironmentUpdate{
		Name: e.Name, Kind: e.Kind, Issuer: issuer, Settings: e.Settings, Branding: e.Branding,
	}
	return []step{{change, func(ctx context.Context) error { return w.environments.Update(w.inEnvironment(ctx), update) }}}
}

func (w *work) createEnvironment(ctx context.Context, e *Environment, issuer string) error {
	env, err := w.environments.Create(ctx, tenants.NewEnvironment{
		Slug: e.Slug, Name: e.Name, Kind: e.Kind, Issuer: issuer, Settings: e.Settings, Branding: e.Branding,
	})
	if err != nil {
		return err
	}
	w.env = env
	if w.deps.OnEnvironment == nil {
		return nil
	}
	return w.deps.OnEnvironment(w.inEnvironment(ctx), env)
}
