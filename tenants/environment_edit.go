package tenants

import (
	"context"
	"reflect"

	"github.com/ostiary/ostiary/app/audit"
	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/scope"
	"github.com/ostiary/ostiary/app/secret"
	"github.com/ostiary/ostiary/tenants/check"
	"github.com/ostiary/ostiary/tenants/rows"
)

// NewEnvironment is an environment to be created.
type NewEnvironment struct {
	Slug     string
	Name     string
	Kind     Kind
	Issuer   string // canonicalised by Create
	Settings SettingChoices
	Branding Branding
}

// Validate returns what is wrong with the environment, by the names that files use.
func (n NewEnvironment) Validate() check.Problems {
	var p check.Problems
	p.Add("slug", check.Slug(n.Slug, maxEnvironmentSlug))
	p.Add("name", check.Text(n.Name, maxName))
	if n.Kind != KindDevelopment && n.Kind != KindProduction {
		p.Addf("kind", "Choose %s or %s.", KindDevelopment, KindProduction)
	}
	p.Join("settings", n.Settings.Validate())
	p.Join("branding", n.Branding.Validate())
	return p
}

// Create adds an environment with a fresh root secret. It has no signing key yet. Errors: errs.Invalid, errs.Conflict when
// slug or issuer are taken, errs.Forbidden.
func (s *Environments) Create(ctx context.Context, n NewEnvironment) (*Environment, error) {
	if err := AuthorizeManage(ctx); err != nil {
		return nil, err
	}
	sc, err := scope.From(ctx)
	if err != nil {
		return nil, err
	}
	if err := n.Validate().Err(); err != nil {
		return nil, err
	}
	if n.Issuer, err = CanonicalIssuer(n.Issuer); err != nil {
		return nil, fieldError("issuer", err)
	}
	now := s.now()
	env := &Environment{
		TenantID: sc.TenantID, ID: secret.NewID("env"), Slug: n.Slug, Name: n.Name, Kind: n.Kind, Issuer: n.Issuer,
		Secret: secret.Bytes(secret.KeySize), Choices: n.Settings, Settings: n.Settings.WithDefaults(), Branding: n.Branding,
		CreatedAt: now, UpdatedAt: now,
	}
	ctx = scope.With(ctx, env.Scope())
	err = s.inTenant(ctx, func(ctx context.Context) error {
		if err := s.insertEnvironment(ctx, env, s.deps.Keyring.Seal(env.Secret, secretAAD(env.ID))); err != nil {
			return err
		}
		return s.audit.Record(ctx, audit.Event{
			Action: "environment.created", TargetKind: "environment", TargetID: env.ID,
			Detail: map[string]any{"slug": env.Slug, "kind": string(env.Kind), "issuer": env.Issuer},
		})
	})
	if err != nil {
		return nil, environmentConflict(err)
	}
	return env, nil
}

func environmentConflict(err error) error {
	switch {
	case rows.Violates(err, "issuers_pkey"):
		return &errs.Error{
			Kind: errs.Conflict, Code: "issuer_taken", Msg: "Another environment already has this issuer address.",
			Fields: map[string]string{"issuer": "Another environment already has this address."},
		}
	case rows.Violates(err, "environments_tenant_id_slug_key"):
		return &errs.Error{
			Kind: errs.Conflict, Code: "slug_taken", Msg: "There is an environment with this name already.",
			Fields: map[string]string{"slug": "This is taken."},
		}
	}
	return err
}

// List returns the environments of the tenant in ctx, oldest first. Errors: errs.Forbidden.
func (s *Environments) List(ctx context.Context) ([]*Environment, error) {
	if err := AuthorizeView(ctx); err != nil {
		return nil, err
	}
	sc, err := scope.From(ctx)
	if err != nil {
		return nil, err
	}
	return s.listEnvironments(ctx, sc)
}

// Get returns the environment with this slug of the tenant in ctx, without its secret. Errors: errs.NotFound,
// errs.Forbidden.
func (s *Environments) Get(ctx context.Context, slug string) (*Environment, error) {
	list, err := s.List(ctx)
	if err != nil {
		return nil, err
	}
	for _, env := range list {
		if env.Slug == slug {
			return env, nil
		}
	}
	return nil, errs.New(errs.NotFound, "There is no such environment.")
}

// EnvironmentUpdate is what can be changed about an environment. Another Issuer makes every host reconnect.
type EnvironmentUpdate struct {
	Name     string
	Kind     Kind
	Issuer   string
	Settings SettingChoices
	Branding Branding
}

// Update changes the environment of the scope in ctx; every node takes it up at once. It writes nothing when nothing
// changed. Errors: errs.Invalid, errs.Conflict when the issuer is taken, errs.NotFound, errs.Forbidden.
func (s *Environments) Update(ctx context.Context, u EnvironmentUpdate) error {
	if err := AuthorizeManage(ctx); err != nil {
		return err
	}
	sc, err := environmentScope(ctx)
	if err != nil {
		return err
	}
	next := NewEnvironment{Slug: "unchanged", Name: u.Name, Kind: u.Kind, Settings: u.Settings, Branding: u.Branding}
	if err := next.Validate().Err(); err != nil {
		return err
	}
	if u.Issuer, err = CanonicalIssuer(u.Issuer); err != nil {
		return fieldError("issuer", err)
	}
	err = s.inTenant(ctx, func(ctx context.Context) error { return s.update(ctx, sc, u) })
	return environmentConflict(err)
}

func (s *Environments) update(ctx context.Context, sc scope.Scope, u EnvironmentUpdate) error {
	if _, err := s.lockEnvironment(ctx, sc); err != nil {
		return err
	}
	was, _, err := s.loadEnvironment(ctx, sc)
	if err != nil {
		return err
	}
	if reflect.DeepEqual(u, EnvironmentUpdate{was.Name, was.Kind, was.Issuer, was.Choices, was.Branding}) {
		return nil
	}
	if err := s.updateEnvironment(ctx, sc, was, u, s.now()); err != nil {
		return err
	}
	detail := map[string]any{"name": u.Name}
	if was.Issuer != u.Issuer {
		detail["issuer"], detail["issuer_before"] = u.Issuer, was.Issuer
	}
	err = s.audit.Record(ctx, audit.Event{
		Action: "environment.updated", TargetKind: "environment", TargetID: sc.EnvironmentID, Detail: detail,
	})
	if err != nil {
		return err
	}
	return s.deps.DB.Notify(ctx, sc.EnvironmentID)
}
