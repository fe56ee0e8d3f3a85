package tenants

import (
	"context"
	"time"

	"github.com/ostiary/ostiary/app/audit"
	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/secret"
	"github.com/ostiary/ostiary/tenants/check"
)

// Credential is what an MCP server proves itself with when it asks the issuer about a token (RFC 7662 §2.1). Its ID is the
// user name, its secret, of which a hash is kept, the password. Two may be live at a time, so that a secret is replaced
// without a gap.
type Credential struct {
	ID         string
	ResourceID string
	Name       string
	SecretHash []byte // SHA-256
	CreatedAt  time.Time
}

// NewCredential is a credential to be made. Secret is made when it is empty.
type NewCredential struct {
	ResourceID string
	Name       string
	Secret     string
}

const (
	credentialPrefix = "ors_"
	minSecret        = 32
)

// ValidateCredential returns what is wrong with a credential, by the names that files use.
func ValidateCredential(name, given string) check.Problems {
	var p check.Problems
	p.Add("name", check.Text(name, 80))
	if given != "" && len(given) < minSecret {
		p.Add("secret", "Use at least 32 random characters, or leave it out and one is made.")
	}
	return p
}

// CreateCredential gives an MCP server a credential and returns its secret, which nobody can read later.
// Errors: errs.Invalid, errs.NotFound, errs.Conflict when two are live or one has the name, errs.Forbidden.
func (s *Resources) CreateCredential(ctx context.Context, n NewCredential) (c Credential, made string, err error) {
	if err := AuthorizeManage(ctx); err != nil {
		return Credential{}, "", err
	}
	sc, err := environmentScope(ctx)
	if err != nil {
		return Credential{}, "", err
	}
	if err := ValidateCredential(n.Name, n.Secret).Err(); err != nil {
		return Credential{}, "", err
	}
	if n.Secret == "" {
		n.Secret = credentialPrefix + secret.NewToken()
	}
	c = Credential{
		ID: secret.NewID("rcr"), ResourceID: n.ResourceID, Name: n.Name, SecretHash: secret.Hash(n.Secret), CreatedAt: s.now(),
	}
	err = s.inTenant(ctx, func(ctx context.Context) error {
		if err := s.lockResource(ctx, sc, n.ResourceID); err != nil {
			return err
		}
		live, err := s.listCredentials(ctx, sc, n.ResourceID)
		if err != nil {
			return err
		}
		if err := roomFor(c, live); err != nil {
			return err
		}
		if err := s.insertCredential(ctx, sc, c); err != nil {
			return err
		}
		return s.credentialChanged(ctx, "credential.created", c)
	})
	return c, n.Secret, err
}

func roomFor(c Credential, live []Credential) error {
	for _, other := range live {
		if other.Name == c.Name {
			return errs.New(errs.Conflict, "There is a credential with this name already.")
		}
	}
	if len(live) >= maxLiveCredentials {
		return errs.New(errs.Conflict, "Two credentials are live. Revoke one before you make another.")
	}
	return nil
}

const maxLiveCredentials = 2

// RevokeCredential ends a credential. Errors: errs.NotFound when none with this id is live, errs.Forbidden.
func (s *Resources) RevokeCredential(ctx context.Context, id string) error {
	if err := AuthorizeManage(ctx); err != nil {
		return err
	}
	sc, err := environmentScope(ctx)
	if err != nil {
		return err
	}
	return s.inTenant(ctx, func(ctx context.Context) error {
		c, err := s.endCredential(ctx, sc, id, s.now())
		if err != nil {
			return err
		}
		return s.credentialChanged(ctx, "credential.revoked", c)
	})
}

// credentialChanged records what happened and tells every node.
func (s *Resources) credentialChanged(ctx context.Context, action string, c Credential) error {
	sc, err := environmentScope(ctx)
	if err != nil {
		return err
	}
	err = s.audit.Record(ctx, audit.Event{
		Action: action, TargetKind: "resource", TargetID: c.ResourceID, Detail: map[string]any{"id": c.ID, "name": c.Name},
	})
	if err != nil {
		return err
	}
	return s.deps.DB.Notify(ctx, sc.EnvironmentID)
}

// ListCredentials returns the live credentials of an MCP server, oldest first. Errors: errs.Forbidden.
func (s *Resources) ListCredentials(ctx context.Context, resourceID string) ([]Credential, error) {
	if err := AuthorizeView(ctx); err != nil {
		return nil, err
	}
	sc, err := environmentScope(ctx)
	if err != nil {
		return nil, err
	}
	return s.listCredentials(ctx, sc, resourceID)
}

// Credentials returns the live credentials of the environment in ctx. The issuer calls it and keeps the answer until the
// environment is notified.
func (s *Resources) Credentials(ctx context.Context) ([]Credential, error) {
	sc, err := environmentScope(ctx)
	if err != nil {
		return nil, err
	}
	return s.listCredentials(ctx, sc, "")
}
