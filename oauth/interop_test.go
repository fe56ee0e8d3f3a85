package oauth_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/ostiary/ostiary/app/apptest/host"
)

// What released hosts put into authorization requests, and what libraries write differently, is taken.
func TestAuthorize_TakesWhatHostsSend(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	for name, change := range map[string]func(url.Values){
		"unknown parameters": func(p url.Values) { p.Set("access_type", "offline"); p.Set("ui_locales", "de") },
		"audience":           func(p url.Values) { p.Set("audience", p.Get("resource")) },
		"resource twice":     func(p url.Values) { p.Add("resource", p.Get("resource")) },
		"no resource":        func(p url.Values) { p.Del("resource") },
		"upper-case resource": func(p url.Values) {
			u, _ := url.Parse(p.Get("resource"))
			p.Set("resource", strings.ToUpper(u.Scheme)+"://"+strings.ToUpper(u.Host)+u.Path)
		},
		"scopes apart by anything": func(p url.Values) { p.Set("scope", "  data:read\t\ndata:read  nothing:here ") },
		"response_mode=query":      func(p url.Values) { p.Set("response_mode", "query") },
	} {
		a := s.Register(t, s.Acme, nil).Authorize("data:read")
		change(a.Params)
		b := host.NewBrowser(t)
		p := b.Decide(t, b.SignIn(t, a.URL(), s.Acme.UserEmail), "approve", "data:read")
		answer := a.Redeem(t, p.Param("code"))
		if answer.Str("scope") != "data:read" || claims(t, answer.Str("access_token"))["aud"] != a.Client.Resource {
			t.Errorf("%s: %d %s", name, answer.Status, answer.Raw)
		}
	}
	hinted := s.Register(t, s.Acme, nil).Authorize()
	hinted.Params.Set("login_hint", s.Acme.UserEmail)
	if got := host.NewBrowser(t).Open(t, hinted.URL()).Doc.Find(`[name="email"]`).AttrOr("value", ""); got != s.Acme.UserEmail {
		t.Errorf("login_hint: the form says %q", got)
	}
}

// What released hosts and libraries send to the token endpoint is taken, and the answer is what all of them read.
func TestToken_TakesWhatHostsSend(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	client := s.Register(t, s.Acme, nil)
	for name, send := range map[string]func(form url.Values) host.Answer{
		"an empty secret in the body":       func(f url.Values) host.Answer { f.Set("client_secret", ""); return client.Token(t, f) },
		"no redirect_uri (OAuth 2.1)":       func(f url.Values) host.Answer { f.Del("redirect_uri"); return client.Token(t, f) },
		"no resource":                       func(f url.Values) host.Answer { f.Del("resource"); return client.Token(t, f) },
		"resource twice":                    func(f url.Values) host.Answer { f.Add("resource", f.Get("resource")); return client.Token(t, f) },
		"a name by Basic with empty secret": func(f url.Values) host.Answer { f.Del("client_id"); return basic(t, client, f) },
		"the same name in the body as well": func(f url.Values) host.Answer { return basic(t, client, f) },
	} {
		a := client.Authorize("data:read")
		answer := send(a.TokenForm(code(t, s, a)))
		if answer.Status != http.StatusOK {
			t.Errorf("%s: %d %s", name, answer.Status, answer.Raw)
			continue
		}
		expires, _ := answer.Body["expires_in"].(float64)
		if answer.Str("token_type") != "Bearer" || expires != 3600 || answer.Str("scope") != "data:read" || answer.Str("refresh_token") == "" ||
			!strings.HasPrefix(answer.Header.Get("Content-Type"), "application/json") || answer.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %v %s", name, answer.Header, answer.Raw)
		}
		for member, value := range answer.Body {
			if value == nil {
				t.Errorf("%s: %s is null", name, member)
			}
		}
	}
}

// basic sends a public client's name by Basic, with the empty secret that some libraries send for want of one.
func basic(t *testing.T, c *host.Client, form url.Values) host.Answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.Issuer+"/token", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(c.ID, "")
	return host.Do(t, r)
}

// A refreshed access token is a token of its own: made now, with an id of its own, for as long as any other.
func TestRefresh_MakesATokenOfItsOwn(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	c, tokens := connect(t, s)
	first := claims(t, tokens.Access)
	s.Clock.Advance(2 * time.Hour)
	second := claims(t, c.Refresh(t, tokens.Refresh).Str("access_token"))
	for _, name := range []string{"iss", "sub", "aud", "client_id", "scope", "grant_id", "org_id"} {
		if first[name] != second[name] || first[name] == nil {
			t.Errorf("%s: %v, then %v", name, first[name], second[name])
		}
	}
	made := func(claims map[string]any, name string) float64 { at, _ := claims[name].(float64); return at }
	if first["jti"] == second["jti"] || made(second, "iat")-made(first, "iat") < 7000 || made(second, "exp")-made(second, "iat") != 3600 {
		t.Errorf("first %v, second %v", first, second)
	}
}

// Nothing but codes and refresh tokens makes tokens for a user, and nothing is left in an answer's address.
func TestToken_NoOtherWayToTokens(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	c := s.Register(t, s.Acme, nil)
	for _, grant := range []string{
		"password", "implicit", "urn:ietf:params:oauth:grant-type:jwt-bearer", "urn:ietf:params:oauth:grant-type:device_code",
		"urn:ietf:params:oauth:grant-type:token-exchange", "authorization_code refresh_token", "AUTHORIZATION_CODE",
	} {
		form := url.Values{"grant_type": {grant}, "client_id": {c.ID}, "username": {s.Acme.UserEmail}, "password": {"correct horse battery"}}
		refused(t, grant, c.Token(t, form), 400, "unsupported_grant_type")
	}
	for _, responseType := range []string{"token", "id_token", "code id_token", "code token", "none", "code code"} {
		a := c.Authorize("openid", "data:read")
		a.Params.Set("response_type", responseType)
		p := host.NewBrowser(t).Open(t, a.URL())
		if p.Param("error") != "unsupported_response_type" || p.Location.Fragment != "" {
			t.Errorf("%s: %d %v", responseType, p.Status, p.Location)
		}
	}
	metadata := host.Get(t, s.Acme.Issuer+"/.well-known/oauth-authorization-server").Raw
	for _, never := range []string{"implicit", `"password"`, `"plain"`, "fragment", "registration_access_token"} {
		if strings.Contains(metadata, never) {
			t.Errorf("metadata offers %s", never)
		}
	}
}
