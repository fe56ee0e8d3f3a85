package clients

import (
	"slices"
	"time"
)

// Machine is what a client may do for itself, without a user (RFC 6749 §4.4). It stands on one lasting grant: every token
// of the client carries its id, and revoking it ends them all.
type Machine struct {
	GrantID    string
	ResourceID string
	Scopes     []string
	RevokedAt  *time.Time // no token is issued on a revoked grant; it is given anew by changing what the client may do
}

// MatchPostLogout reports whether the browser may be sent to requested after a sign-out, by the rules of MatchRedirect
// (OpenID Connect RP-Initiated Logout §3).
func (c *Client) MatchPostLogout(requested string) bool {
	return (&Client{RedirectURIs: c.PostLogoutURIs}).MatchRedirect(ParseRedirect(requested))
}

// keptPostLogout returns what of the URIs a browser may be sent to. A bad one is left out and not refused: nothing but the
// way back from a sign-out depends on it.
func keptPostLogout(uris []string, schemes Schemes) []string {
	if len(uris) > maxRedirectURIs {
		uris = uris[:maxRedirectURIs]
	}
	var kept []string
	for _, uri := range uris {
		if schemes.Validate(uri) == nil && !slices.Contains(kept, uri) {
			kept = append(kept, uri)
		}
	}
	return kept
}
