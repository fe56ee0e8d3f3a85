package oauth_test

import (
	"context"
	"crypto/ecdsa"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/ostiary/ostiary/app/apptest/host"
	"github.com/ostiary/ostiary/app/policy"
)

// wellKnown returns the four URLs at which an issuer's metadata is looked for (RFC 8414 §3.1, OpenID Connect Discovery §4).
// For an issuer without a path they are two.
func wellKnown(t *testing.T, issuer string) []string {
	t.Helper()
	u, err := url.Parse(issuer)
	if err != nil {
		t.Fatal(err)
	}
	origin := u.Scheme + "://" + u.Host
	return []string{
		origin + "/.well-known/oauth-authorization-server" + u.Path,
		origin + "/.well-known/openid-configuration" + u.Path,
		issuer + "/.well-known/openid-configuration",
		issuer + "/.well-known/oauth-authorization-server",
	}
}

func TestDiscovery_FourURLsOneDocument(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	first := ""
	for _, target := range wellKnown(t, s.Acme.Issuer) {
		answer := host.Get(t, target)
		if answer.Status != http.StatusOK || answer.Header.Get("Content-Type") != "application/json" ||
			answer.Header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s: %d %v", target, answer.Status, answer.Header)
		}
		if first == "" {
			first = answer.Raw
		}
		if answer.Raw != first {
			t.Errorf("%s differs", target)
		}
	}
	var m map[string]any
	if err := json.Unmarshal([]byte(first), &m); err != nil {
		t.Fatal(err)
	}
	if m["issuer"] != s.Acme.Issuer || m["authorization_response_iss_parameter_supported"] != true {
		t.Errorf("metadata %s", first)
	}
	for _, name := range []string{"authorization_endpoint", "token_endpoint", "registration_endpoint", "jwks_uri", "revocation_endpoint"} {
		if v, _ := m[name].(string); !strings.HasPrefix(v, s.Acme.Issuer+"/") {
			t.Errorf("%s = %q: must be below the issuer", name, v)
		}
	}
	if scopes, _ := m["scopes_supported"].([]any); len(scopes) != 4 { // our own, no MCP server's
		t.Errorf("scopes_supported %v: some hosts ask for all of them", scopes)
	}
}

func TestDiscovery_UnknownIsABare404(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	targets := []string{
		s.Acme.Issuer + "/.well-known/other", s.Acme.Issuer + "/nothing", s.Acme.Issuer + "/.well-known/oauth-protected-resource",
		s.URL + "/.well-known/oauth-authorization-server", s.URL + "/.well-known/openid-configuration",
		s.URL + "/.well-known/oauth-protected-resource",
		s.URL + "/.well-known/oauth-authorization-server/i/nobody", s.URL + "/.well-known/oauth-authorization-server/i/acme-dev/more",
	}
	if s.Form == host.PathForm {
		targets = append(targets, s.URL+"/i/nobody/.well-known/openid-configuration", s.URL+"/i//.well-known/openid-configuration")
	}
	for _, target := range targets {
		answer := host.Get(t, target)
		if answer.Status != http.StatusNotFound || answer.Raw != "" || answer.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %q %q", target, answer.Status, answer.Raw, answer.Header.Get("Cache-Control"))
		}
	}
}

// The issuer is stored: nothing a request says becomes part of it, and a host nobody configured is answered with nothing.
func TestDiscovery_DoesNotBelieveHost(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	ask := func(change func(*http.Request)) host.Answer {
		r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, s.Acme.Issuer+"/.well-known/openid-configuration", nil)
		if err != nil {
			t.Fatal(err)
		}
		change(r)
		return host.Do(t, r)
	}
	answer := ask(func(r *http.Request) {
		r.Header.Set("X-Forwarded-Host", "evil.example")
		r.Header.Set("X-Forwarded-Proto", "gopher")
		r.Header.Set("Forwarded", "host=evil.example;proto=gopher")
	})
	if answer.Str("issuer") != s.Acme.Issuer || strings.Contains(answer.Raw, "evil") || strings.Contains(answer.Raw, "gopher") {
		t.Errorf("%d %s", answer.Status, answer.Raw)
	}
	if answer := ask(func(r *http.Request) { r.Host = "evil.example" }); answer.Status != http.StatusNotFound || answer.Raw != "" {
		t.Errorf("another host: %d %s", answer.Status, answer.Raw)
	}
}

func TestDiscovery_RevalidatesAndCompresses(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	target := s.Acme.Issuer + "/.well-known/openid-configuration"
	etag := host.Get(t, target).Header.Get("ETag")
	r, _ := http.NewRequestWithContext(context.Background(), http.MethodGet, target, nil)
	r.Header.Set("If-None-Match", etag)
	if answer := host.Do(t, r); answer.Status != http.StatusNotModified || etag == "" {
		t.Errorf("revalidation: %d", answer.Status)
	}
	r, _ = http.NewRequestWithContext(context.Background(), http.MethodHead, target, nil)
	r.Header.Set("Accept-Encoding", "gzip")
	answer, err := host.Transport().RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.Header.Get("Content-Encoding") != "gzip" {
		t.Errorf("Content-Encoding %q", answer.Header.Get("Content-Encoding"))
	}
}

func TestCORS_IsOpenOnProtocolEndpointsOnly(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	preflight := func(path string) host.Answer {
		r, _ := http.NewRequestWithContext(context.Background(), http.MethodOptions, s.Acme.Issuer+path, nil)
		r.Header.Set("Origin", "https://browser-host.example")
		r.Header.Set("Access-Control-Request-Method", "POST")
		r.Header.Set("Access-Control-Request-Headers", "mcp-protocol-version")
		return host.Do(t, r)
	}
	for _, path := range []string{"/token", "/register", "/revoke", "/.well-known/jwks.json", "/.well-known/openid-configuration"} {
		answer := preflight(path)
		if answer.Status != http.StatusNoContent || answer.Header.Get("Access-Control-Allow-Origin") != "*" ||
			!strings.Contains(answer.Header.Get("Access-Control-Allow-Headers"), "MCP-Protocol-Version") ||
			answer.Header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: %d %v", path, answer.Status, answer.Header)
		}
	}
	for _, path := range []string{"/authorize", "/interaction", "/interaction/consent"} {
		if got := preflight(path).Header.Get("Access-Control-Allow-Origin"); got != "" {
			t.Errorf("%s answers other origins: %q", path, got)
		}
	}
}

func TestJWKS_VerifiesTokensAndHoldsNothingPrivate(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	_, tokens := connect(t, s)
	raw := host.Get(t, s.Acme.Issuer+"/.well-known/jwks.json").Raw
	var bare struct{ Keys []map[string]any }
	if err := json.Unmarshal([]byte(raw), &bare); err != nil || len(bare.Keys) == 0 {
		t.Fatalf("%s, %v", raw, err)
	}
	for _, key := range bare.Keys {
		for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
			if _, found := key[private]; found {
				t.Errorf("the key set publishes %q", private)
			}
		}
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(raw), &set); err != nil {
		t.Fatal(err)
	}
	jws, err := jose.ParseSignedCompact(tokens.Access, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	if jws.Signatures[0].Protected.ExtraHeaders["typ"] != "at+jwt" {
		t.Errorf("typ %v, want at+jwt (RFC 9068 §2.1)", jws.Signatures[0].Protected.ExtraHeaders["typ"])
	}
	if _, err := jws.Verify(set.Key(jws.Signatures[0].Protected.KeyID)[0].Key.(*ecdsa.PublicKey)); err != nil {
		t.Error(err)
	}
	foreign := host.Get(t, s.Neighbour.Issuer+"/.well-known/jwks.json").Raw
	if foreign == raw {
		t.Error("two tenants share a key")
	}
}

func TestPolicy_IsSignedAndFollowsPublishing(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	target := s.Acme.Issuer + "/resources/" + s.Acme.ResourceID + "/policy"
	first := host.Get(t, target)
	if first.Status != http.StatusOK || first.Header.Get("Content-Type") != "application/jwt" {
		t.Fatalf("%d %v", first.Status, first.Header)
	}
	raw, err := json.Marshal(claims(t, first.Raw))
	if err != nil {
		t.Fatal(err)
	}
	var bundle policy.Bundle
	if err := json.Unmarshal(raw, &bundle); err != nil {
		t.Fatal(err)
	}
	if bundle.Issuer != s.Acme.Issuer || bundle.Subject != s.Acme.ResourceID || bundle.Policy.Revision != 1 || len(bundle.Policy.Tools) != 7 {
		t.Errorf("bundle %+v", bundle)
	}
	if answer := host.Get(t, s.Neighbour.Issuer+"/resources/"+s.Acme.ResourceID+"/policy"); answer.Status != http.StatusNotFound {
		t.Errorf("another tenant's issuer serves the policy: %d", answer.Status)
	}
	draft, err := s.Resources.Get(s.Acme.Operator(), s.Acme.ResourceID)
	if err != nil {
		t.Fatal(err)
	}
	edited := draft.Scopes[0]
	edited.Title = "Ask your data"
	if _, err := s.Resources.UpdateScope(s.Acme.Operator(), s.Acme.ResourceID, edited); err != nil {
		t.Fatal(err)
	}
	if host.Get(t, target).Header.Get("ETag") != first.Header.Get("ETag") {
		t.Error("a draft changed what is served")
	}
	if _, err := s.Resources.Publish(s.Acme.Operator(), s.Acme.ResourceID, ""); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the new policy", func() bool { return host.Get(t, target).Header.Get("ETag") != first.Header.Get("ETag") })
	b := host.NewBrowser(t)
	p := b.SignIn(t, s.Register(t, s.Acme, nil).Authorize().URL(), s.Acme.UserEmail)
	if !strings.Contains(p.Text("body"), "Ask your data") {
		t.Error("the next consent does not show the new wording")
	}
}

// eventually waits for what another goroutine of the server brings about.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !done() {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not come", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestDiscovery_SwitchedOffRegistrationIsNotAdvertised(t *testing.T) {
	t.Parallel()
	s := host.New(t, host.WithFile(noRegistration))
	answer := host.Get(t, s.Acme.Issuer+"/.well-known/openid-configuration")
	if _, found := answer.Body["registration_endpoint"]; found {
		t.Error("registration is advertised")
	}
	if post := host.PostJSON(t, s.Acme.Issuer+"/register", map[string]any{"redirect_uris": []string{host.Redirect}}); post.Status != http.StatusNotFound {
		t.Errorf("registration: %d", post.Status)
	}
}
