//go:build e2e

package e2e

import (
	"slices"
	"strings"
	"testing"
)

// Two libraries that check every answer against OAuth and OpenID Connect, through the whole life of a connection, by each
// way a client can authenticate itself.
func TestOIDC_StrictLibraries(t *testing.T) {
	t.Parallel()
	for _, library := range []string{"oauth4webapi", "openid-client"} {
		for _, w := range shared.ways {
			methods := []string{"none", "client_secret_basic", "client_secret_post"}
			if w.document {
				methods = []string{"private_key_jwt"}
			}
			for _, method := range methods {
				t.Run(library+" "+method+" "+w.name, func(t *testing.T) {
					t.Parallel()
					strictJourney(t, w.newClient(t), library, method)
				})
			}
		}
	}
}

func strictJourney(t *testing.T, c *client, library, method string) {
	t.Helper()
	arguments := []string{c.server.Issuer, c.server.MCPURL, method}
	if c.document {
		arguments = append(arguments, keyedDocumentURL, shared.privateKey)
	}
	next := events(t, c.node(script(library+".mjs"), arguments...))
	tb := c.server.newTab(t)
	p := tb.toConsent(c.next(t))
	expectConsent(t, p, c.clientName("Ostiary e2e"))
	if !strings.Contains(p.Text, "Know your e-mail address") {
		t.Errorf("the consent page does not say that the app learns the e-mail address:\n%s", p.Text)
	}
	tb.decide(p, approveOnly(allowedScope, "email"))
	first := next("signed-in")
	scopes := strings.Fields(first.Scope)
	if !slices.Contains(scopes, "openid") || !slices.Contains(scopes, allowedScope) || slices.Contains(scopes, "profile") {
		t.Errorf("granted %q", first.Scope)
	}
	for step, claims := range map[string]map[string]any{
		"id_token": first.Claims, "userinfo": next("userinfo").Claims, "refreshed id_token": next("refreshed").Claims,
	} {
		if claims["email"] != c.server.User.Email || claims["email_verified"] != true || claims["name"] != nil ||
			claims["sub"] != first.Claims["sub"] {
			t.Errorf("%s: %v", step, claims)
		}
	}
	if library == "openid-client" {
		tb.open(c.next(t)) // the end_session_endpoint, in the browser that is signed in
		next("signed-out")
	}
	if refused := next("refused"); refused.Error != "401 bearer invalid_token" {
		t.Errorf("userinfo after the revocation: %q", refused.Error)
	}
	next("done")
}
