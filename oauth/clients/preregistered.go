package clients

import (
	"bytes"
	"context"
	"slices"
	"strings"

	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/secret"
	"github.com/ostiary/ostiary/tenants/apply"
)

// Preregistered keeps the clients that a tenant file names. It implements apply.Clients.
type Preregistered struct{ store *Store }

// NewPreregistered returns a Preregistered.
func NewPreregistered(s *Store) *Preregistered { return &Preregistered{store: s} }

// Diff says for each client what Upsert would do.
func (p *Preregistered) Diff(ctx context.Context, files []apply.Client) ([]apply.ClientDiff, error) {
	ids := make([]string, 0, len(files))
	for _, f := range files {
		if err := checkRedirects(f); err != nil {
			return nil, err
		}
		ids = append(ids, f.ID)
	}
	known, err := p.store.byID(ctx, ids)
	if err != nil {
		return nil, err
	}
	details, err := p.store.named(ctx, ids)
	if err != nil {
		return nil, err
	}
	diffs := make([]apply.ClientDiff, 0, len(files))
	for _, f := range files {
		have, ok := known[f.ID]
		if !ok {
			diffs = append(diffs, apply.ClientDiff{Missing: true})
			continue
		}
		if have.Source != SourcePreregistered {
			return nil, errs.New(errs.Conflict, "A client that registered itself already has the id "+f.ID+".")
		}
		diffs = append(diffs, apply.ClientDiff{Changed: changesOf(have, details[f.ID], f)})
	}
	return diffs, nil
}

// checkRedirects lets a tenant name any private-use scheme, save what a browser would run or read. Errors: errs.Invalid.
func checkRedirects(f apply.Client) error {
	for _, uri := range slices.Concat(f.RedirectURIs, f.PostLogoutRedirectURIs) {
		if ParseRedirect(uri).Kind == RedirectRefused {
			return &errs.Error{Kind: errs.Invalid, Msg: "Client " + f.ID + ": no answer can be sent to " + uri + ".", Err: ErrRedirect}
		}
	}
	return nil
}

func changesOf(have Client, details namedRow, f apply.Client) []string {
	want := clientOf(f)
	var changed []string
	for _, part := range []struct {
		name string
		same bool
	}{
		{"name", have.Name == want.Name},
		{"redirect addresses", slices.Equal(have.RedirectURIs, want.RedirectURIs)},
		{"grant types", slices.Equal(have.GrantTypes, want.GrantTypes)},
		{"authentication", have.AuthMethod == want.AuthMethod},
		{"secret", f.Secret == "" || sameSecrets(have.SecretHashes, secretsOf(f))},
		{"addresses after a sign-out", slices.Equal(words(details.PostLogout), f.PostLogoutRedirectURIs)},
		{"public keys", sameKeys(details, f)},
		{"what it may do for itself", sameMachine(details, f.Machine)},
	} {
		if !part.same {
			changed = append(changed, part.name)
		}
	}
	return changed
}

// Upsert makes a stored client equal to f. It returns the secret it made when f asks for one and names none.
func (p *Preregistered) Upsert(ctx context.Context, f apply.Client) (string, error) {
	known, err := p.store.byID(ctx, []string{f.ID})
	if err != nil {
		return "", err
	}
	want, made := clientOf(f), ""
	if want.AuthMethod == AuthSecret {
		have := known[f.ID]
		switch {
		case f.Secret != "":
			want.SecretHashes = secretsOf(f)
		case len(have.SecretHashes) == 0:
			made = "ocs_" + secret.NewToken()
			want.SecretHashes = [][]byte{secret.Hash(made)}
		default:
			want.SecretHashes = have.SecretHashes
		}
	}
	if err := p.store.Upsert(ctx, want); err != nil {
		return "", err
	}
	if err := p.store.setNamed(ctx, f); err != nil {
		return "", err
	}
	return made, p.store.setMachine(ctx, f)
}

func words(list string) []string { return strings.Fields(list) }

func clientOf(f apply.Client) Client {
	c := Client{
		ID: f.ID, Source: SourcePreregistered, Name: f.Name, RedirectURIs: f.RedirectURIs, GrantTypes: f.GrantTypes, AuthMethod: AuthNone,
	}
	switch f.Auth {
	case apply.AuthSecret:
		c.AuthMethod = AuthSecret
	case apply.AuthPrivateKeyJWT:
		c.AuthMethod = AuthPrivateKeyJWT
	case apply.AuthNone:
	}
	switch {
	case f.Machine != nil:
		c.GrantTypes = []string{GrantClientCredentials}
	case len(c.GrantTypes) == 0:
		c.GrantTypes = []string{GrantAuthorizationCode, GrantRefreshToken}
	}
	return c
}

// secretsOf returns the hashes of the secrets a file gives a client: two are live while one takes the other's place.
func secretsOf(f apply.Client) [][]byte {
	hashes := [][]byte{secret.Hash(f.Secret)}
	if f.PreviousSecret != "" && f.PreviousSecret != f.Secret {
		hashes = append(hashes, secret.Hash(f.PreviousSecret))
	}
	return hashes
}

func sameSecrets(a, b [][]byte) bool { return slices.EqualFunc(a, b, bytes.Equal) }
