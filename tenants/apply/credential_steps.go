package apply

import (
	"bytes"
	"context"
	"fmt"

	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/secret"
	"github.com/ostiary/ostiary/tenants"
	"github.com/ostiary/ostiary/tenants/check"
)

// Credential is what an MCP server proves itself with when it asks about its tokens (RFC 7662), found by its name. When a
// file lists credentials, those it does not list are revoked; two may be live at a time.
type Credential struct {
	Name       string `yaml:"name"`
	Secret     string `yaml:"secret"` // one is made and printed once when none is given
	SecretFile string `yaml:"secret_file"`
}

// MadeCredential is a credential made for an MCP server.
type MadeCredential struct {
	Environment string // slug
	Resource    string // identifier
	ID          string // the user name to send
	Secret      string // empty when the file gave it
}

func (r *Resource) validateCredentials() check.Problems {
	var p check.Problems
	if len(r.Credentials) > 2 {
		p.Add("credentials", "Two credentials may be live at a time.")
	}
	seen := unique{problems: &p}
	for i, c := range r.Credentials {
		at := fmt.Sprintf("credentials[%d]", i)
		p.Join(at, tenants.ValidateCredential(c.Name, c.Secret))
		seen.add(at+".name", "credential", c.Name)
	}
	return p
}

// credentialSteps ends what is replaced or not listed before it makes anything: there is room for two.
func (w *work) credentialSteps(ctx context.Context, e *Environment) ([]step, error) {
	drafts, err := w.drafts(ctx, e)
	if err != nil {
		return nil, err
	}
	var steps []step
	for i := range e.Resources {
		r := &e.Resources[i]
		if r.Credentials == nil {
			continue
		}
		var live []tenants.Credential
		if current, exists := drafts[r.Identifier]; exists {
			if live, err = w.resources.ListCredentials(ctx, current.Resource.ID); err != nil {
				return nil, err
			}
		}
		steps = append(steps, w.credentialStepsOf(e.Slug, r, live)...)
	}
	return steps, nil
}

func (w *work) credentialStepsOf(environment string, r *Resource, live []tenants.Credential) []step {
	var ending, making []step
	kept := map[string]bool{}
	for _, c := range r.Credentials {
		if hasCredential(live, c) {
			kept[c.Name] = true
			continue
		}
		what := fmt.Sprintf("MCP server %s: credential %s added", r.Name, c.Name)
		making = append(making, step{Change{Op: OpCreate, What: what}, w.createCredential(environment, r, c)})
	}
	for _, c := range live {
		if kept[c.Name] {
			continue
		}
		change := Change{
			Op: OpRemove, What: fmt.Sprintf("MCP server %s: credential %s revoked", r.Name, c.Name),
			Warning: fmt.Sprintf("whoever still uses the credential %s of %s cannot ask about tokens any more.", c.Name, r.Name),
		}
		ending = append(ending, step{change, func(ctx context.Context) error {
			return w.resources.RevokeCredential(w.inEnvironment(ctx), c.ID)
		}})
	}
	return append(ending, making...)
}

// hasCredential reports whether c is live with the secret the file gives, if it gives one.
func hasCredential(live []tenants.Credential, c Credential) bool {
	for _, have := range live {
		if have.Name == c.Name {
			return c.Secret == "" || bytes.Equal(have.SecretHash, secret.Hash(c.Secret))
		}
	}
	return false
}

func (w *work) createCredential(environment string, r *Resource, c Credential) func(context.Context) error {
	return func(ctx context.Context) error {
		ctx = w.inEnvironment(ctx)
		drafts, err := w.resources.ByIdentifier(ctx, []string{r.Identifier})
		if err != nil {
			return err
		}
		d, ok := drafts[r.Identifier]
		if !ok {
			return errs.New(errs.NotFound, "There is no such MCP server.")
		}
		made, text, err := w.resources.CreateCredential(ctx, tenants.NewCredential{
			ResourceID: d.Resource.ID, Name: c.Name, Secret: c.Secret,
		})
		if err != nil {
			return err
		}
		if c.Secret != "" {
			text = "" // whoever wrote the file knows it
		}
		w.credentials = append(w.credentials, MadeCredential{
			Environment: environment, Resource: r.Identifier, ID: made.ID, Secret: text,
		})
		return nil
	}
}
