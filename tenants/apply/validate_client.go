package apply

import (
	"cmp"
	"encoding/json"
	"fmt"

	"github.com/ostiary/ostiary/tenants"
	"github.com/ostiary/ostiary/tenants/check"
)

// grantMachine is the grant type of clients that act for themselves (RFC 6749 §4.4).
const grantMachine = "client_credentials"

// validateAuth checks how a client proves itself: by one thing, and by what its method needs.
func (c *Client) validateAuth() check.Problems {
	var p check.Problems
	method := cmp.Or(c.Auth, AuthNone)
	if method != AuthNone && method != AuthSecret && method != AuthPrivateKeyJWT {
		p.Addf("auth", "Choose %s, %s or %s.", AuthNone, AuthSecret, AuthPrivateKeyJWT)
		return p
	}
	p.Join("", c.validateSecrets(method))
	keys := c.JWKS != "" || c.JWKSFile != ""
	switch {
	case method != AuthPrivateKeyJWT && (keys || c.JWKSURI != ""):
		p.Add("auth", "A client with public keys has auth: private_key_jwt.")
	case method == AuthPrivateKeyJWT && keys == (c.JWKSURI != ""):
		p.Add("jwks", "Give the public keys, or the address where they are: one of the two.")
	case c.JWKS != "" && !json.Valid([]byte(c.JWKS)):
		p.Add("jwks", "Write a JSON Web Key Set: {\"keys\": […]}.")
	case c.JWKSURI != "":
		p.Add("jwks_uri", redirectProblem(c.JWKSURI))
	}
	return p
}

func (c *Client) validateSecrets(method AuthMethod) check.Problems {
	var p check.Problems
	secret, previous := c.Secret+c.SecretFile, c.PreviousSecret+c.PreviousSecretFile
	switch {
	case method != AuthSecret && secret+previous != "":
		p.Add("auth", "A client with a secret has auth: secret.")
	case method == AuthSecret && c.Secret != "" && len(c.Secret) < 32:
		p.Add("secret", "Use at least 32 random characters, or leave it out and one is made.")
	case method == AuthSecret && previous != "" && secret == "":
		p.Add("previous_secret", "Name the secret that takes its place, too.")
	}
	return p
}

// validateGrants checks what a client that acts for users may do, and where it returns to.
func (c *Client) validateGrants() check.Problems {
	var p check.Problems
	for i, grant := range c.GrantTypes {
		switch grant {
		case "authorization_code", "refresh_token":
		case grantMachine:
			p.Addf(fmt.Sprintf("grant_types[%d]", i), "Say under machine which MCP server and permissions it is for.")
		default:
			p.Addf(fmt.Sprintf("grant_types[%d]", i), "Choose authorization_code or refresh_token.")
		}
	}
	if len(c.RedirectURIs) == 0 {
		p.Add("redirect_uris", "A client needs an address to return to.")
	}
	for i, uri := range c.RedirectURIs {
		p.Add(fmt.Sprintf("redirect_uris[%d]", i), redirectProblem(uri))
	}
	for i, uri := range c.PostLogoutRedirectURIs {
		p.Add(fmt.Sprintf("post_logout_redirect_uris[%d]", i), redirectProblem(uri))
	}
	return p
}

// validateMachine checks a client that acts for itself. It does nothing else: a token whose subject is a client must never
// be mistaken for a user's.
func (c *Client) validateMachine() check.Problems {
	var p check.Problems
	if c.Auth == "" || c.Auth == AuthNone {
		p.Add("auth", "A machine client proves itself: choose auth: private_key_jwt or auth: secret.")
	}
	for i, grant := range c.GrantTypes {
		if grant != grantMachine {
			p.Addf(fmt.Sprintf("grant_types[%d]", i), "A machine client has client_credentials only; name another client for users.")
		}
	}
	if len(c.RedirectURIs) > 0 {
		p.Add("redirect_uris", "A machine client sends nobody anywhere: leave this out.")
	}
	if len(c.PostLogoutRedirectURIs) > 0 {
		p.Add("post_logout_redirect_uris", "A machine client signs nobody out: leave this out.")
	}
	if _, err := tenants.CanonicalIdentifier(c.Machine.Resource); err != nil {
		p.Add("machine.resource", message(err))
	}
	if len(c.Machine.Scopes) == 0 {
		p.Add("machine.scopes", "Name at least one permission.")
	}
	seen := unique{problems: &p}
	for i, name := range c.Machine.Scopes {
		at := fmt.Sprintf("machine.scopes[%d]", i)
		p.Add(at, check.ScopeToken(name))
		seen.add(at, "permission", name)
	}
	return p
}

// validateAllowance checks a machine client's permissions against its MCP server, when the file describes that server.
func (e *Environment) validateAllowance(m *Machine) check.Problems {
	var p check.Problems
	if m == nil {
		return p
	}
	for _, r := range e.Resources {
		if r.Identifier != m.Resource {
			continue
		}
		for i, name := range m.Scopes {
			if !r.hasScope(name) {
				p.Addf(fmt.Sprintf("machine.scopes[%d]", i), "%s has no permission %q.", r.Name, name)
			}
		}
	}
	return p
}

func (r *Resource) hasScope(name string) bool {
	for _, s := range r.Scopes {
		if s.Name == name {
			return true
		}
	}
	return false
}
