package host

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/ostiary/ostiary/app/secret"
	"github.com/ostiary/ostiary/tenants/tenanttest"
)

// Redirect is where a Client is sent back to: a loopback URI, as most hosts on a computer use.
const Redirect = "http://127.0.0.1:53682/callback"

// WebRedirect is a redirect URI on a host that can be checked, so that consent is remembered.
const WebRedirect = "https://host.example/callback"

// Client is a registered client of one issuer.
type Client struct {
	Issuer      string
	ID          string
	Secret      string
	RedirectURI string
	Resource    string

	http *http.Client
}

// Answer is an HTTP answer with its JSON body.
type Answer struct {
	Status int
	Header http.Header
	Body   map[string]any
	Raw    string
}

// Str returns a string member of the body, empty when absent.
func (a Answer) Str(name string) string {
	s, _ := a.Body[name].(string)
	return s
}

// noRedirects sees redirects instead of following them.
func noRedirects() *http.Client {
	return &http.Client{Transport: transport(), CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// Register registers a client by dynamic registration; metadata overrides what it sends.
func (s *Stack) Register(t testing.TB, tenant *tenanttest.Tenant, metadata map[string]any) *Client {
	t.Helper()
	body := map[string]any{
		"client_name": "Test host", "redirect_uris": []string{Redirect}, "token_endpoint_auth_method": "none",
		"grant_types": []string{"authorization_code", "refresh_token"}, "response_types": []string{"code"},
	}
	for name, value := range metadata {
		body[name] = value
	}
	answer := PostJSON(t, tenant.Issuer+"/register", body)
	if answer.Status != http.StatusCreated {
		t.Fatalf("register: %d %s", answer.Status, answer.Raw)
	}
	uris, _ := answer.Body["redirect_uris"].([]any)
	first, _ := uris[0].(string)
	return &Client{
		Issuer: tenant.Issuer, ID: answer.Str("client_id"), Secret: answer.Str("client_secret"), RedirectURI: first,
		Resource: tenant.File.Environments[0].Resources[0].Identifier, http: noRedirects(),
	}
}

// Authorization is one authorization request of a client, with what it must remember.
type Authorization struct {
	Client   *Client
	Verifier string
	State    string
	Params   url.Values
}

// Authorize prepares an authorization request.
func (c *Client) Authorize(scopes ...string) *Authorization {
	a := &Authorization{Client: c, Verifier: secret.NewToken(), State: secret.NewToken()}
	sum := sha256.Sum256([]byte(a.Verifier))
	a.Params = url.Values{
		"response_type": {"code"}, "client_id": {c.ID}, "redirect_uri": {c.RedirectURI}, "state": {a.State},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"}, "resource": {c.Resource},
	}
	if len(scopes) > 0 {
		a.Params.Set("scope", strings.Join(scopes, " "))
	}
	return a
}

// URL is the authorization URL the host opens in the browser.
func (a *Authorization) URL() string { return a.Client.Issuer + "/authorize?" + a.Params.Encode() }

// TokenForm is the form that redeems a code.
func (a *Authorization) TokenForm(code string) url.Values {
	return a.Client.form(url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {a.Client.RedirectURI}, "code_verifier": {a.Verifier},
		"resource": {a.Client.Resource},
	})
}

// Redeem redeems a code.
func (a *Authorization) Redeem(t testing.TB, code string) Answer {
	t.Helper()
	return a.Client.Token(t, a.TokenForm(code))
}

// RefreshForm is the form that exchanges a refresh token.
func (c *Client) RefreshForm(token string) url.Values {
	return c.form(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}, "resource": {c.Resource}})
}

// Refresh exchanges a refresh token.
func (c *Client) Refresh(t testing.TB, token string) Answer {
	t.Helper()
	return c.Token(t, c.RefreshForm(token))
}

// Revoke revokes a token.
func (c *Client) Revoke(t testing.TB, token string) Answer {
	t.Helper()
	return PostForm(t, c.Issuer+"/revoke", c.form(url.Values{"token": {token}}))
}

func (c *Client) form(v url.Values) url.Values {
	v.Set("client_id", c.ID)
	if c.Secret != "" {
		v.Set("client_secret", c.Secret)
	}
	return v
}

// Token posts to the token endpoint.
func (c *Client) Token(t testing.TB, form url.Values) Answer {
	t.Helper()
	return PostForm(t, c.Issuer+"/token", form)
}

// PostForm posts a form without cookies.
func PostForm(t testing.TB, target string, form url.Values) Answer {
	t.Helper()
	return Post(t, target, "application/x-www-form-urlencoded", []byte(form.Encode()), nil)
}

// PostJSON posts JSON.
func PostJSON(t testing.TB, target string, body any) Answer {
	t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	return Post(t, target, "application/json", raw, nil)
}

// Post posts a body and reads the answer.
func Post(t testing.TB, target, contentType string, body []byte, header http.Header) Answer {
	t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", contentType)
	for name, values := range header {
		r.Header[name] = values
	}
	return Do(t, r)
}

// Get reads a URL.
func Get(t testing.TB, target string) Answer {
	t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, target, nil)
	if err != nil {
		t.Fatal(err)
	}
	return Do(t, r)
}

// Do sends a request and reads the answer; redirects are not followed.
func Do(t testing.TB, r *http.Request) Answer {
	t.Helper()
	answer, err := noRedirects().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close() //nolint:errcheck // read to its end
	raw, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	out := Answer{Status: answer.StatusCode, Header: answer.Header, Raw: string(raw)}
	if strings.HasPrefix(answer.Header.Get("Content-Type"), "application/json") {
		if err := json.Unmarshal(raw, &out.Body); err != nil {
			t.Fatalf("%s answers %q, which is not JSON", r.URL.Path, raw)
		}
	}
	return out
}
