package oauth_test

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostiary/ostiary/app/apptest/host"
)

// userinfo calls the endpoint with a token in the header.
func userinfo(t *testing.T, issuer, method, token string) host.Answer {
	t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), method, issuer+"/userinfo", nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return host.Do(t, r)
}

// challenged checks a refusal of RFC 6750 §3.
func challenged(t *testing.T, what string, a host.Answer, status int, code string) {
	t.Helper()
	challenge := a.Header.Get("WWW-Authenticate")
	if a.Status != status || !strings.HasPrefix(challenge, "Bearer ") || strings.Contains(challenge, "error=") != (code != "") ||
		!strings.Contains(challenge, code) || a.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%s: %d, challenge %q, want %d %q", what, a.Status, challenge, status, code)
	}
	if a.Body["sub"] != nil || a.Body["email"] != nil {
		t.Errorf("%s: %s", what, a.Raw)
	}
}

func TestUserinfo_TellsWhatWasAllowed(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	a := s.Register(t, s.Acme, nil).Authorize("openid", "email", "profile", "data:read")
	answer := signIn(t, s, host.NewBrowser(t), a, "data:read", "email", "profile")
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		got := userinfo(t, s.Acme.Issuer, method, answer.Str("access_token"))
		if got.Status != http.StatusOK || got.Body["sub"] != claims(t, answer.Str("id_token"))["sub"] ||
			got.Body["email"] != s.Acme.UserEmail || got.Body["email_verified"] != true || got.Body["name"] != "Demo User" ||
			len(got.Body) != 4 {
			t.Errorf("%s: %d %s", method, got.Status, got.Raw)
		}
		if got.Header.Get("Access-Control-Allow-Origin") != "*" || got.Header.Get("Cache-Control") != "no-store" ||
			got.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %v", method, got.Header)
		}
	}
	inBody := host.PostForm(t, s.Acme.Issuer+"/userinfo", url.Values{"access_token": {answer.Str("access_token")}})
	if inBody.Status != http.StatusOK || inBody.Body["email"] != s.Acme.UserEmail {
		t.Errorf("token in the form (RFC 6750 §2.2): %d %s", inBody.Status, inBody.Raw)
	}
	less := a.Client.RefreshForm(answer.Str("refresh_token"))
	less.Set("scope", "openid data:read")
	got := userinfo(t, s.Acme.Issuer, http.MethodGet, a.Client.Token(t, less).Str("access_token"))
	if got.Body["sub"] != s.Acme.UserID || got.Body["email"] != nil || got.Body["name"] != nil {
		t.Errorf("a token without email and profile: %s", got.Raw)
	}
}

func TestUserinfo_RefusesOtherTokens(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	c := s.Register(t, s.Acme, nil)
	mine := signIn(t, s, host.NewBrowser(t), c.Authorize("openid", "email", "data:read"), "data:read", "email")
	plain := signIn(t, s, host.NewBrowser(t), c.Authorize("data:read"), "data:read")
	token := mine.Str("access_token")
	challenged(t, "no token", userinfo(t, s.Acme.Issuer, http.MethodGet, ""), 401, "")
	challenged(t, "nonsense", userinfo(t, s.Acme.Issuer, http.MethodGet, "nonsense"), 401, "invalid_token")
	challenged(t, "id_token", userinfo(t, s.Acme.Issuer, http.MethodGet, mine.Str("id_token")), 401, "invalid_token")
	challenged(t, "refresh token", userinfo(t, s.Acme.Issuer, http.MethodGet, mine.Str("refresh_token")), 401, "invalid_token")
	challenged(t, "no openid", userinfo(t, s.Acme.Issuer, http.MethodGet, plain.Str("access_token")), 403, "insufficient_scope")
	challenged(t, "another tenant's issuer", userinfo(t, s.Neighbour.Issuer, http.MethodGet, token), 401, "invalid_token")
	challenged(t, "altered", userinfo(t, s.Acme.Issuer, http.MethodGet, token[:len(token)-4]+"AAAA"), 401, "invalid_token")
	policy := host.Get(t, s.Acme.Issuer+"/resources/"+s.Acme.ResourceID+"/policy").Raw
	challenged(t, "signed policy", userinfo(t, s.Acme.Issuer, http.MethodGet, policy), 401, "invalid_token")
	challenged(t, "token in the URL", host.Get(t, s.Acme.Issuer+"/userinfo?access_token="+token), 401, "")
	both, err := http.NewRequestWithContext(context.Background(), http.MethodPost, s.Acme.Issuer+"/userinfo",
		strings.NewReader(url.Values{"access_token": {token}}.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	both.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	both.Header.Set("Authorization", "Bearer "+token)
	challenged(t, "token sent twice", host.Do(t, both), 400, "invalid_request")
	s.Clock.Advance(61 * time.Minute)
	challenged(t, "expired", userinfo(t, s.Acme.Issuer, http.MethodGet, token), 401, "invalid_token")
}

// A signed token says what was true when it was made; userinfo says what is true now.
func TestUserinfo_EndsWithTheGrant(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(s *host.Stack, c *host.Client, answer host.Answer){
		"revoked by the client": func(_ *host.Stack, c *host.Client, answer host.Answer) {
			c.Revoke(t, answer.Str("refresh_token"))
		},
		"revoked by somebody": func(s *host.Stack, _ *host.Client, _ host.Answer) { exec(t, s, `update grants set revoked_at = now()`) },
		"user disabled":       func(s *host.Stack, _ *host.Client, _ host.Answer) { exec(t, s, `update users set disabled_at = now()`) },
		"organization disabled": func(s *host.Stack, _ *host.Client, _ host.Answer) {
			exec(t, s, `update organizations set disabled_at = now()`)
		},
		"client disabled": func(s *host.Stack, _ *host.Client, _ host.Answer) {
			exec(t, s, `update clients set disabled_at = now()`)
		},
		"grant over": func(s *host.Stack, _ *host.Client, _ host.Answer) {
			exec(t, s, `update grants set expires_at = now() - interval '1 minute'`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := host.New(t)
			c := s.Register(t, s.Acme, nil)
			answer := signIn(t, s, host.NewBrowser(t), c.Authorize("openid", "data:read"), "data:read")
			if before := userinfo(t, s.Acme.Issuer, http.MethodGet, answer.Str("access_token")); before.Status != http.StatusOK {
				t.Fatal(before.Raw)
			}
			end(s, c, answer)
			challenged(t, name, userinfo(t, s.Acme.Issuer, http.MethodGet, answer.Str("access_token")), 401, "invalid_token")
		})
	}
}

func TestDiscovery_SatisfiesStrictOpenIDParsers(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	m := host.Get(t, s.Acme.Issuer+"/.well-known/openid-configuration").Body
	for name, path := range map[string]string{
		"userinfo_endpoint": "/userinfo", "end_session_endpoint": "/logout", "introspection_endpoint": "/introspect",
	} {
		if m[name] != s.Acme.Issuer+path {
			t.Errorf("%s = %v", name, m[name])
		}
	}
	for name, want := range map[string][]string{
		"scopes_supported":                              {"openid", "profile", "email", "offline_access"},
		"response_types_supported":                      {"code"},
		"subject_types_supported":                       {"public"},
		"id_token_signing_alg_values_supported":         {"ES256"},
		"introspection_endpoint_auth_methods_supported": {"client_secret_basic", "client_secret_post"},
		"code_challenge_methods_supported":              {"S256"},
	} {
		got, _ := m[name].([]any)
		for _, value := range want {
			if !slices.Contains(got, any(value)) {
				t.Errorf("%s = %v lacks %s", name, got, value)
			}
		}
	}
	for _, name := range []string{"request_parameter_supported", "request_uri_parameter_supported", "claims_parameter_supported"} {
		if m[name] != false { // OpenID Connect Discovery §3: request_uri counts as supported when it is left out
			t.Errorf("%s = %v", name, m[name])
		}
	}
	if listed, _ := m["scopes_supported"].([]any); slices.Contains(listed, any("data:read")) {
		t.Error("a permission of an MCP server is in the metadata: some hosts ask for everything there")
	}
}
