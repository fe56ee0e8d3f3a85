package app_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/ostiary/ostiary/app/apptest/host"
	"github.com/ostiary/ostiary/gate"
	"github.com/ostiary/ostiary/tenants/tenanttest"
)

// resourceMetadata returns what the gate says about the MCP server it guards (RFC 9728).
func resourceMetadata(t *testing.T, s *host.Stack) map[string]any {
	t.Helper()
	g, err := gate.New(t.Context(), gate.Options{
		Issuer: s.Acme.Issuer, ResourceID: s.Acme.ResourceID, Upstream: "http://127.0.0.1:1/mcp", Now: s.Clock.Now,
		HTTPClient: &http.Client{Transport: host.Transport()}, Feed: gate.StaticFeed(nil),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	at := strings.Replace(tenanttest.Identifier, "/mcp", "/.well-known/oauth-protected-resource/mcp", 1)
	w := httptest.NewRecorder()
	g.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, at, nil))
	var metadata map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &metadata); err != nil {
		t.Fatalf("%d %s: %v", w.Code, w.Body, err)
	}
	return metadata
}

// claimsOf reads a JWT without checking it.
func claimsOf(t *testing.T, token string) map[string]any {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("not a JWT: %q", token)
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(raw, &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}

// Clients compare the issuer byte for byte, wherever they read it.
func TestIssuer_IsOneStringEverywhere(t *testing.T) {
	t.Parallel()
	for _, form := range forms {
		t.Run(string(form), func(t *testing.T) {
			t.Parallel()
			s := host.New(t, host.WithIssuers(form))
			said := map[string]any{}
			servers, _ := resourceMetadata(t, s)["authorization_servers"].([]any)
			if len(servers) != 1 {
				t.Fatalf("authorization servers %v", servers)
			}
			said["the MCP server's metadata"] = servers[0]
			issuer, _ := servers[0].(string)
			said["metadata"] = host.Get(t, issuer+"/.well-known/openid-configuration").Body["issuer"]
			c := s.Register(t, s.Acme, nil)
			b := host.NewBrowser(t)
			denied := b.Decide(t, b.SignIn(t, c.Authorize("data:read").URL(), s.Acme.UserEmail), "deny")
			said["a refusal"] = denied.Param("iss")
			wrong := c.Authorize("data:read")
			wrong.Params.Set("response_type", "token")
			said["an error"] = b.Open(t, wrong.URL()).Param("iss")
			a := c.Authorize("openid", "data:read")
			allowed := b.Decide(t, b.Open(t, a.URL()), "approve", "data:read")
			said["an answer"] = allowed.Param("iss")
			answer := a.Redeem(t, allowed.Param("code"))
			said["an access token"] = claimsOf(t, answer.Str("access_token"))["iss"]
			said["an id_token"] = claimsOf(t, answer.Str("id_token"))["iss"]
			said["a signed policy"] = claimsOf(t, host.Get(t, issuer+"/resources/"+s.Acme.ResourceID+"/policy").Raw)["iss"]
			for where, got := range said {
				if got != s.Acme.Issuer {
					t.Errorf("%s says %v, not %s", where, got, s.Acme.Issuer)
				}
			}
			for _, answer := range []host.Page{denied, allowed} { // RFC 9207 §2.4: once each
				for name, values := range answer.Location.Query() {
					if len(values) != 1 {
						t.Errorf("%s comes %d times", name, len(values))
					}
				}
			}
		})
	}
}
