package oauth

import (
	"slices"

	"github.com/ostiary/ostiary/app/policy"
)

// The authorization server's own scopes: three say what a client learns of the user (OpenID Connect Core §5.4), one that it
// wants to stay connected (§11). They belong to no MCP server.
const (
	scopeOpenID        = "openid"
	scopeProfile       = "profile"
	scopeEmail         = "email"
	scopeOfflineAccess = "offline_access"
)

func ownScopes() []string { return []string{scopeOpenID, scopeProfile, scopeEmail, scopeOfflineAccess} }

// isOwnScope reports whether a scope is ours and not an MCP server's.
func isOwnScope(name string) bool {
	return isSilentScope(name) || name == scopeProfile || name == scopeEmail
}

// isSilentScope reports whether a scope is granted without a question: openid tells a client no more than its access token
// does (who the user is by number, when they signed in), and offline_access changes nothing here.
func isSilentScope(name string) bool { return name == scopeOpenID || name == scopeOfflineAccess }

// ownScopesOf returns what of a request are our scopes, in our order. profile and email mean nothing without openid
// (OpenID Connect Core §3.1.2.1), so nobody is asked about them then.
func ownScopesOf(requested []string) []string {
	var own []string
	for _, name := range ownScopes() {
		useless := !isSilentScope(name) && !slices.Contains(requested, scopeOpenID)
		if slices.Contains(requested, name) && !useless {
			own = append(own, name)
		}
	}
	return own
}

// silentOf returns what of a request is granted without a question.
func silentOf(requested []string) []string {
	var silent []string
	for _, name := range requested {
		if isSilentScope(name) {
			silent = append(silent, name)
		}
	}
	return silent
}

// scope returns a scope with the wording that people read: one of the MCP server's, or an identity scope.
func (r *Resource) scope(name string) (policy.Scope, bool) {
	switch name {
	case scopeProfile:
		return policy.Scope{
			Risk: policy.RiskRead, Title: "Know your name", Description: "The name on your account here, nothing else of it.",
		}, true
	case scopeEmail:
		return policy.Scope{
			Risk: policy.RiskRead, Title: "Know your e-mail address",
			Description: "The address you sign in with here, and whether it was confirmed.",
		}, true
	}
	s, ok := r.Scopes[name]
	return s, ok
}

// identity is what a client may learn of a user.
type identity struct {
	Email         string
	EmailVerified bool
	Name          string
}

// identityClaims are the claims of OpenID Connect Core §5.1 that we have.
type identityClaims struct {
	Name          string `json:"name,omitempty"`
	Email         string `json:"email,omitempty"`
	EmailVerified *bool  `json:"email_verified,omitempty"`
}

// claims returns what scopes tell of the user (OpenID Connect Core §5.4).
func (who identity) claims(scopes []string) identityClaims {
	var c identityClaims
	if slices.Contains(scopes, scopeProfile) {
		c.Name = who.Name
	}
	if slices.Contains(scopes, scopeEmail) {
		c.Email, c.EmailVerified = who.Email, &who.EmailVerified
	}
	return c
}
