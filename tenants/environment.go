package tenants

import (
	"context"
	"fmt"
	"time"

	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/scope"
)

// Kind says what an environment is for.
type Kind string

// The kinds of environments.
const (
	KindDevelopment Kind = "development"
	KindProduction  Kind = "production"
)

// Environment is an isolated space in a tenant: an issuer with its own keys, clients, users and resources.
type Environment struct {
	TenantID   string
	TenantName string
	ID         string
	Slug       string
	Name       string
	Kind       Kind
	Issuer     string
	Secret     []byte // root secret, 32 bytes: derive a key per purpose, never use it as it is. Only Load fills it in
	Choices    SettingChoices
	Settings   Settings // Choices with defaults
	Branding   Branding
	CreatedAt  time.Time
	UpdatedAt  time.Time

	longer longerTokens
}

// longerTokens remembers that tokens lived longer before somebody shortened their life, until the last of them is gone.
type longerTokens struct {
	lifetime time.Duration
	until    *time.Time
}

// takeUp is how long a node may go on with what was before a change.
const takeUp = 5 * time.Minute

// LongestToken is how long an access token that exists now can live, counted from its issue: what it rests on is listed as
// ended for that long.
func (e *Environment) LongestToken(now time.Time) time.Duration {
	if e.longer.until == nil || !now.Before(*e.longer.until) {
		return e.Settings.AccessTokenLifetime
	}
	return max(e.Settings.AccessTokenLifetime, e.longer.lifetime)
}

// after returns what to remember when tokens live for next from now on.
func (e *Environment) after(next time.Duration, now time.Time) longerTokens {
	if next >= e.Settings.AccessTokenLifetime {
		return e.longer
	}
	longest := e.LongestToken(now)
	until := now.Add(longest + takeUp)
	return longerTokens{lifetime: longest, until: &until}
}

// Scope returns the scope of this environment.
func (e *Environment) Scope() scope.Scope {
	return scope.Scope{TenantID: e.TenantID, EnvironmentID: e.ID}
}

// ProductName is what users know this environment as.
func (e *Environment) ProductName() string {
	if e.Branding.ProductName != "" {
		return e.Branding.ProductName
	}
	return e.TenantName
}

// Environments serves the environments of a tenant.
type Environments struct{ base }

// NewEnvironments returns the service.
func NewEnvironments(d Deps) *Environments { return &Environments{newBase(d)} }

// Resolve finds which environment an issuer URL belongs to. The issuer calls it before a tenant is known; what it answers is
// public. Errors: errs.NotFound.
func (s *Environments) Resolve(ctx context.Context, issuerURL string) (scope.Scope, error) {
	return s.findIssuer(ctx, issuerURL)
}

// Load returns the environment of the scope in ctx, with its root secret. The issuer calls it; members use Get.
// Errors: errs.NotFound, errs.Internal without an environment in scope or when the secret does not open.
func (s *Environments) Load(ctx context.Context) (*Environment, error) {
	sc, err := environmentScope(ctx)
	if err != nil {
		return nil, err
	}
	env, sealed, err := s.loadEnvironment(ctx, sc)
	if err != nil {
		return nil, err
	}
	if env.Secret, err = s.deps.Keyring.Open(sealed, secretAAD(sc.EnvironmentID)); err != nil {
		return nil, fmt.Errorf("open root secret of environment %s: %w", sc.EnvironmentID, err)
	}
	return env, nil
}

func secretAAD(environmentID string) string { return "environment:" + environmentID }

// environmentScope returns the scope of ctx, which must name an environment.
func environmentScope(ctx context.Context) (scope.Scope, error) {
	s, err := scope.From(ctx)
	if err == nil && s.EnvironmentID == "" {
		err = errs.New(errs.Internal, "no environment in scope")
	}
	return s, err
}
