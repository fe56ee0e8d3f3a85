package oauth_test

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/ostiary/ostiary/app/apptest/host"
	"github.com/ostiary/ostiary/tenants"
	"github.com/ostiary/ostiary/tenants/tenanttest"
)

// asker is an MCP server that asks about tokens.
type asker struct{ issuer, id, secret string }

// credential gives a tenant's MCP server a credential.
func credential(t *testing.T, s *host.Stack, tenant *tenanttest.Tenant, resourceID, name string) asker {
	t.Helper()
	made, secret, err := s.Resources.CreateCredential(tenant.Operator(), tenants.NewCredential{ResourceID: resourceID, Name: name})
	if err != nil {
		t.Fatal(err)
	}
	return asker{issuer: tenant.Issuer, id: made.ID, secret: secret}
}

func (a asker) ask(t *testing.T, token string) host.Answer {
	t.Helper()
	return host.PostForm(t, a.issuer+"/introspect", url.Values{"token": {token}, "client_id": {a.id}, "client_secret": {a.secret}})
}

// everywhere asks often enough in a row for every node behind a proxy to have answered.
func everywhere(is func() bool) func() bool {
	return func() bool {
		for range 6 {
			if !is() {
				return false
			}
		}
		return true
	}
}

// knows waits until every node has heard of the credential: they are notified.
func (a asker) knows(t *testing.T) asker {
	t.Helper()
	eventually(t, "the credential", everywhere(func() bool { return a.ask(t, "x").Status == http.StatusOK }))
	return a
}

func inactive(t *testing.T, what string, a host.Answer) {
	t.Helper()
	if a.Status != http.StatusOK || strings.TrimSpace(a.Raw) != `{"active":false}` || a.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%s: %d %s", what, a.Status, a.Raw)
	}
}

func TestIntrospect_TellsAnMCPServerAboutItsOwnTokens(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	server := credential(t, s, s.Acme, s.Acme.ResourceID, "main").knows(t)
	c := s.Register(t, s.Acme, nil)
	answer := signIn(t, s, host.NewBrowser(t), c.Authorize("data:read", "signals:write"), "data:read", "signals:write")
	got := server.ask(t, answer.Str("access_token"))
	access := claims(t, answer.Str("access_token"))
	for name, want := range map[string]any{
		"active": true, "scope": "data:read signals:write", "client_id": c.ID, "token_type": "Bearer", "sub": s.Acme.UserID,
		"aud": c.Resource, "iss": s.Acme.Issuer, "exp": access["exp"], "iat": access["iat"], "jti": access["jti"],
		"grant_id": access["grant_id"], "org_id": s.Acme.OrganizationID, "auth_time": access["auth_time"],
	} {
		if got.Body[name] != want {
			t.Errorf("%s: %v, want %v", name, got.Body[name], want)
		}
	}
	if got.Header.Get("Content-Type") != "application/json" || got.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%v", got.Header)
	}
	basic := host.Post(t, s.Acme.Issuer+"/introspect", "application/x-www-form-urlencoded",
		[]byte(url.Values{"token": {answer.Str("access_token")}, "token_type_hint": {"refresh_token"}}.Encode()),
		http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(server.id+":"+server.secret))}})
	if basic.Body["active"] != true {
		t.Errorf("by Basic: %d %s", basic.Status, basic.Raw)
	}
	exec(t, s, `update grants set scopes = array['data:read']`)
	if got := server.ask(t, answer.Str("access_token")); got.Str("scope") != "data:read" || got.Body["active"] != true {
		t.Errorf("after the user took one permission away: %s", got.Raw)
	}
}

func TestIntrospect_SaysNothingAboutOtherTokens(t *testing.T) {
	t.Parallel()
	s := host.New(t, host.WithFile(twoServers))
	resources, _, err := s.Resources.List(s.Acme.Operator(), tenants.ResourceFilter{Search: "Second"})
	if err != nil || len(resources) != 1 {
		t.Fatal(len(resources), err)
	}
	server := credential(t, s, s.Acme, s.Acme.ResourceID, "main").knows(t)
	second := credential(t, s, s.Acme, resources[0].ID, "main").knows(t)
	foreign := credential(t, s, s.Neighbour, s.Neighbour.ResourceID, "main").knows(t)

	c := s.Register(t, s.Acme, nil)
	answer := signIn(t, s, host.NewBrowser(t), c.Authorize("openid", "data:read"), "data:read")
	token := answer.Str("access_token")
	if server.ask(t, token).Body["active"] != true {
		t.Fatal("the token is not alive")
	}
	inactive(t, "another MCP server asks", second.ask(t, token))
	inactive(t, "another tenant's MCP server asks its own issuer", foreign.ask(t, token))
	inactive(t, "refresh token", server.ask(t, answer.Str("refresh_token")))
	inactive(t, "id_token", server.ask(t, answer.Str("id_token")))
	inactive(t, "altered", server.ask(t, token[:len(token)-4]+"AAAA"))
	inactive(t, "nonsense", server.ask(t, "nonsense"))
	inactive(t, "signed policy", server.ask(t, host.Get(t, s.Acme.Issuer+"/resources/"+s.Acme.ResourceID+"/policy").Raw))

	foreign.issuer = s.Acme.Issuer
	refused(t, "another tenant's credential", foreign.ask(t, token), 401, "invalid_client")
	c.Revoke(t, answer.Str("refresh_token"))
	inactive(t, "revoked", server.ask(t, token))
}

func TestIntrospect_EndsWithTheGrant(t *testing.T) {
	t.Parallel()
	for name, statement := range map[string]string{
		"grant revoked":         `update grants set revoked_at = now()`,
		"grant over":            `update grants set expires_at = now() - interval '1 minute'`,
		"user disabled":         `update users set disabled_at = now()`,
		"organization disabled": `update organizations set disabled_at = now()`,
		"client disabled":       `update clients set disabled_at = now()`,
	} {
		s := host.New(t)
		server := credential(t, s, s.Acme, s.Acme.ResourceID, "main").knows(t)
		token := signIn(t, s, host.NewBrowser(t), s.Register(t, s.Acme, nil).Authorize("data:read"), "data:read").Str("access_token")
		if server.ask(t, token).Body["active"] != true {
			t.Fatal("the token is not alive")
		}
		exec(t, s, statement)
		inactive(t, name, server.ask(t, token))
	}
	s := host.New(t)
	server := credential(t, s, s.Acme, s.Acme.ResourceID, "main").knows(t)
	token := signIn(t, s, host.NewBrowser(t), s.Register(t, s.Acme, nil).Authorize("data:read"), "data:read").Str("access_token")
	s.Clock.Advance(61 * time.Minute)
	inactive(t, "expired", server.ask(t, token))
}

func TestIntrospect_OnlyForMCPServersThatProveThemselves(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	server := credential(t, s, s.Acme, s.Acme.ResourceID, "main").knows(t)
	c := s.Register(t, s.Acme, map[string]any{"token_endpoint_auth_method": "client_secret_post"})
	token := signIn(t, s, host.NewBrowser(t), c.Authorize("data:read"), "data:read").Str("access_token")
	public := s.Register(t, s.Acme, nil)
	for name, who := range map[string]asker{
		"nobody":                 {},
		"unknown":                {id: "rcr_AAAAAAAAAAAAAAAAAAAAAAAAAA", secret: server.secret},
		"wrong secret":           {id: server.id, secret: "ors_wrong"},
		"no secret":              {id: server.id},
		"the token's client":     {id: c.ID, secret: c.Secret},
		"a public client":        {id: public.ID},
		"the MCP server's id":    {id: s.Acme.ResourceID, secret: server.secret},
		"the hash as the secret": {id: server.id, secret: "\x00"},
	} {
		who.issuer = s.Acme.Issuer
		answer := who.ask(t, token)
		refused(t, name, answer, 401, "invalid_client")
		if !strings.HasPrefix(answer.Header.Get("WWW-Authenticate"), "Basic ") {
			t.Errorf("%s: no challenge", name)
		}
	}
	refused(t, "no token", server.ask(t, ""), 400, "invalid_request")
	refused(t, "token in the URL", host.PostForm(t, s.Acme.Issuer+"/introspect?token="+token,
		url.Values{"client_id": {server.id}, "client_secret": {server.secret}}), 400, "invalid_request")
	if get := host.Get(t, s.Acme.Issuer+"/introspect?token="+token); get.Status != http.StatusMethodNotAllowed && get.Status != http.StatusNotFound {
		t.Errorf("GET: %d", get.Status)
	}
	if err := s.Resources.RevokeCredential(s.Acme.Operator(), server.id); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the end of a revoked credential", func() bool { return server.ask(t, token).Status == http.StatusUnauthorized })
}

// Who asks while Postgres is away must not hear that a live token is dead: people would be signed out for nothing.
func TestOutage_LiveTokensAreNotCalledDead(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	server := credential(t, s, s.Acme, s.Acme.ResourceID, "main").knows(t)
	c, b, answer := signedInHost(t, s)
	s.Cable.Cut()
	for name, got := range map[string]host.Answer{
		"introspection": server.ask(t, answer.Str("access_token")),
		"userinfo":      userinfo(t, s.Acme.Issuer, http.MethodGet, answer.Str("access_token")),
	} {
		if got.Status != http.StatusServiceUnavailable || got.Header.Get("Retry-After") == "" || got.Body["active"] != nil {
			t.Errorf("%s: %d %s", name, got.Status, got.Raw)
		}
	}
	inactive(t, "what needs no database", server.ask(t, "nonsense"))
	hint := logoutURL(s.Acme.Issuer, url.Values{"id_token_hint": {answer.Str("id_token")}})
	if p := b.Open(t, hint); p.Status != http.StatusServiceUnavailable {
		t.Errorf("sign-out: %d", p.Status)
	}
	s.Cable.Mend()
	eventually(t, "the live token", func() bool { return server.ask(t, answer.Str("access_token")).Body["active"] == true })
	if !signedIn(t, b, c) {
		t.Error("the sign-in was lost")
	}
}
