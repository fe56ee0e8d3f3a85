package oauth_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/ostiary/ostiary/app/apptest/host"
	"github.com/ostiary/ostiary/tenants/apply"
	"github.com/ostiary/ostiary/tenants/tenanttest"
)

const machineSecret = "a-secret-of-at-least-32-characters-that-is-random"

// machineClient gives Acme a client that may read and write signals for itself, and one for users beside it.
func machineClient(f *apply.File) {
	e := &f.Environments[0]
	e.Clients = append(e.Clients, apply.Client{
		ID: "nightly-export", Name: "Nightly export", Auth: apply.AuthSecret, Secret: machineSecret,
		Machine: &apply.Machine{Resource: e.Resources[0].Identifier, Scopes: []string{"data:read", "signals:write"}},
	}, apply.Client{
		ID: "web-app", Name: "Web app", Auth: apply.AuthSecret, Secret: machineSecret, RedirectURIs: []string{host.WebRedirect},
	})
}

func machine(s *host.Stack) *host.Client {
	return &host.Client{
		Issuer: s.Acme.Issuer, ID: "nightly-export", Secret: machineSecret,
		Resource: s.Acme.File.Environments[0].Resources[0].Identifier,
	}
}

// machineForm asks for a token for the client itself.
func machineForm(c *host.Client, more url.Values) url.Values {
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {c.ID}}
	if c.Secret != "" {
		form.Set("client_secret", c.Secret)
	}
	for name, values := range more {
		form[name] = values
	}
	return form
}

func TestMachine_GetsTokensForItself(t *testing.T) {
	t.Parallel()
	s := host.New(t, host.WithFile(machineClient))
	c := machine(s)
	server := credential(t, s, s.Acme, s.Acme.ResourceID, "main").knows(t)
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte(c.ID+":"+url.QueryEscape(machineSecret)))
	for name, ask := range map[string]func() host.Answer{
		"secret by post": func() host.Answer { return c.Token(t, machineForm(c, url.Values{"resource": {c.Resource}})) },
		"secret by Basic": func() host.Answer {
			return host.Post(t, s.Acme.Issuer+"/token", "application/x-www-form-urlencoded",
				[]byte(url.Values{"grant_type": {"client_credentials"}, "scope": {"signals:write data:read"}}.Encode()),
				http.Header{"Authorization": {basic}})
		},
		"no resource": func() host.Answer { return c.Token(t, machineForm(c, nil)) },
	} {
		answer := ask()
		if answer.Status != http.StatusOK || answer.Str("scope") != "data:read signals:write" || answer.Str("token_type") != "Bearer" ||
			answer.Body["expires_in"] != 3600.0 || answer.Header.Get("Cache-Control") != "no-store" {
			t.Fatalf("%s: %d %s", name, answer.Status, answer.Raw)
		}
		if answer.Body["refresh_token"] != nil || answer.Body["id_token"] != nil {
			t.Errorf("%s: %s: RFC 6749 §4.4.3 gives no refresh token", name, answer.Raw)
		}
		header, access := verified(t, s.Acme.Issuer, answer.Str("access_token"))
		if header.ExtraHeaders["typ"] != "at+jwt" || access["sub"] != c.ID || access["client_id"] != c.ID || access["aud"] != c.Resource ||
			access["iss"] != s.Acme.Issuer || access["org_id"] != nil || access["auth_time"] != nil || access["grant_id"] == nil {
			t.Errorf("%s: claims %v", name, access)
		}
		got := server.ask(t, answer.Str("access_token"))
		if got.Body["active"] != true || got.Body["sub"] != c.ID || got.Str("scope") != "data:read signals:write" {
			t.Errorf("%s: introspected as %s", name, got.Raw)
		}
	}
}

func TestMachine_GetsNoMoreThanItWasAllowed(t *testing.T) {
	t.Parallel()
	s := host.New(t, host.WithFile(func(f *apply.File) { machineClient(f); twoServers(f) }))
	c := machine(s)
	ask := func(more url.Values) host.Answer { return c.Token(t, machineForm(c, more)) }
	for asked, want := range map[string]string{
		"data:read": "data:read",
		"data:read profiles:read segments:delete":    "data:read",
		"openid profile email offline_access":        "",
		"data:read openid email offline_access":      "data:read",
		"segments:delete":                            "",
		"*":                                          "",
		"DATA:READ":                                  "",
		"data:read data:read":                        "data:read",
		"data:read\tsignals:write\nsegments:delete ": "data:read signals:write",
	} {
		answer := ask(url.Values{"scope": {asked}})
		if want == "" {
			refused(t, asked, answer, 400, "invalid_scope")
		} else if answer.Status != http.StatusOK || answer.Str("scope") != want || claims(t, answer.Str("access_token"))["scope"] != want {
			t.Errorf("%q gives %d %s", asked, answer.Status, answer.Raw)
		}
	}
	refused(t, "another MCP server", ask(url.Values{"resource": {secondServer}}), 400, "invalid_target")
	refused(t, "an MCP server of nobody", ask(url.Values{"resource": {"https://elsewhere.example/mcp"}}), 400, "invalid_target")
	refused(t, "two MCP servers", ask(url.Values{"resource": {c.Resource, secondServer}}), 400, "invalid_target")
	refused(t, "relative", ask(url.Values{"resource": {"/mcp"}}), 400, "invalid_target")
	if same := ask(url.Values{"resource": {c.Resource, c.Resource}}); same.Status != http.StatusOK {
		t.Errorf("the same MCP server twice: %s", same.Raw)
	}
	// A permission the admin takes off the MCP server is gone at once.
	doc := s.Acme.File
	doc.Environments[0].Resources[0].Scopes = slices.Clone(doc.Environments[0].Resources[0].Scopes)
	doc.Environments[0].Resources[0].Scopes = slices.DeleteFunc(doc.Environments[0].Resources[0].Scopes, func(sc apply.Scope) bool { return sc.Name == "signals:write" })
	doc.Environments[0].Resources[0].Tools = nil
	doc.Environments[0].Clients = nil
	reapply(t, s, doc)
	eventually(t, "the end of a removed permission", func() bool { return ask(nil).Str("scope") == "data:read" })
}

// Only a client that the tenant named gets anything, and only with its secret.
func TestMachine_IsNamedByTheTenant(t *testing.T) {
	t.Parallel()
	s := host.New(t, host.WithFile(machineClient))
	public := s.Register(t, s.Acme, nil)
	secret := s.Register(t, s.Acme, map[string]any{
		"token_endpoint_auth_method": "client_secret_post", "grant_types": []string{"authorization_code", "client_credentials"},
	})
	signIn(t, s, host.NewBrowser(t), secret.Authorize("data:read"), "data:read") // it has a row now, like a named one
	webApp := &host.Client{Issuer: s.Acme.Issuer, ID: "web-app", Secret: machineSecret}
	for name, c := range map[string]*host.Client{
		"a public dynamic client": public, "a dynamic client with a secret": secret, "a named client for users": webApp,
	} {
		refused(t, name, c.Token(t, machineForm(c, nil)), 400, "unauthorized_client")
	}
	c := machine(s)
	form := machineForm(c, nil)
	form.Del("client_secret")
	refused(t, "no secret", c.Token(t, form), 401, "invalid_client")
	form.Set("client_secret", "wrong")
	refused(t, "wrong secret", c.Token(t, form), 401, "invalid_client")
	neighbour := *c
	neighbour.Issuer = s.Neighbour.Issuer
	refused(t, "another tenant's issuer", neighbour.Token(t, machineForm(&neighbour, nil)), 401, "invalid_client")
	only := host.PostJSON(t, s.Acme.Issuer+"/register", map[string]any{
		"redirect_uris": []string{host.Redirect}, "grant_types": []string{"client_credentials"},
	})
	if only.Status != http.StatusBadRequest {
		t.Errorf("registered itself for client_credentials: %d %s", only.Status, only.Raw)
	}
}

// A machine client is nobody: what is for users is not for it.
func TestMachine_HasNoUsers(t *testing.T) {
	t.Parallel()
	s := host.New(t, host.WithFile(machineClient))
	c := machine(s)
	token := c.Token(t, machineForm(c, nil)).Str("access_token")
	challenged(t, "userinfo", userinfo(t, s.Acme.Issuer, http.MethodGet, token), 403, "insufficient_scope")
	c.RedirectURI = host.WebRedirect
	if p := host.NewBrowser(t).Open(t, c.Authorize("data:read").URL()); p.Location != nil || p.Status != http.StatusUnprocessableEntity {
		t.Errorf("authorize: %d %v", p.Status, p.Location)
	}
	victim := s.Register(t, s.Acme, nil)
	a := victim.Authorize("data:read")
	stolen := code(t, s, a)
	form := a.TokenForm(stolen)
	form.Set("client_id", c.ID)
	form.Set("client_secret", c.Secret)
	refused(t, "somebody's code", c.Token(t, form), 400, "invalid_grant")
	answer := a.Redeem(t, stolen)
	refused(t, "somebody's refresh token", c.Refresh(t, answer.Str("refresh_token")), 400, "unauthorized_client")
	if revoked := c.Revoke(t, answer.Str("access_token")); revoked.Status != http.StatusOK {
		t.Errorf("revoke: %d", revoked.Status)
	}
	if again := victim.Refresh(t, answer.Str("refresh_token")); again.Status != http.StatusOK {
		t.Errorf("a machine client ended somebody's grant: %s", again.Raw)
	}
}

// RFC 7009 for a client that can always ask again: its tokens so far die, the client does not.
func TestMachine_RevokesItsTokensAndGoesOn(t *testing.T) {
	t.Parallel()
	s := host.New(t, host.WithFile(machineClient))
	c := machine(s)
	server := credential(t, s, s.Acme, s.Acme.ResourceID, "main").knows(t)
	first, second := c.Token(t, machineForm(c, nil)).Str("access_token"), c.Token(t, machineForm(c, nil)).Str("access_token")
	public := s.Register(t, s.Acme, nil)
	if public.Revoke(t, first); server.ask(t, first).Body["active"] != true {
		t.Error("another client revoked it")
	}
	if answer := c.Revoke(t, first); answer.Status != http.StatusOK {
		t.Fatal(answer.Raw)
	}
	inactive(t, "revoked", server.ask(t, first))
	inactive(t, "of the same grant", server.ask(t, second))
	// At once on the node that revoked; on others when they have heard of it.
	third := c.Token(t, machineForm(c, nil)).Str("access_token")
	if len(s.Nodes) == 1 && server.ask(t, third).Body["active"] != true {
		t.Error("the first token after a revocation is dead")
	}
	eventually(t, "a live token after a revocation", everywhere(func() bool {
		third = c.Token(t, machineForm(c, nil)).Str("access_token")
		return server.ask(t, third).Body["active"] == true
	}))
	if answer := c.Revoke(t, first); answer.Status != http.StatusOK || server.ask(t, third).Body["active"] != true {
		t.Error("revoking an old token again ended the new ones")
	}
	var grants int
	query(t, s, `select count(*) from grants where client_id = 'nightly-export'`, &grants)
	if grants != 2 {
		t.Errorf("%d grants", grants)
	}
}

// Somebody else's revocation lasts: neither the client nor applying the same file again brings it back.
func TestMachine_StaysRevoked(t *testing.T) {
	t.Parallel()
	s := host.New(t, host.WithFile(machineClient))
	c := machine(s)
	server := credential(t, s, s.Acme, s.Acme.ResourceID, "main").knows(t)
	token := c.Token(t, machineForm(c, nil)).Str("access_token")
	revoke := func() {
		exec(t, s, `update grants set revoked_at = now(), revoked_reason = 'by_admin' where client_id = 'nightly-export' and revoked_at is null`)
		exec(t, s, `select pg_notify('ostiary_environment', $1)`, s.Acme.ID+" "+s.Acme.EnvironmentID)
	}
	revoke()
	inactive(t, "revoked", server.ask(t, token))
	ends := everywhere(func() bool { return c.Token(t, machineForm(c, nil)).Str("error") == "unauthorized_client" })
	eventually(t, "the end of tokens on a revoked grant", ends)
	c.Revoke(t, token)
	if !ends() {
		t.Error("the client gave itself a new grant")
	}
	reapply(t, s, s.Acme.File)
	s.Clock.Advance(2 * time.Minute)
	if !ends() { // after the clock's move everything is read anew
		t.Error("applying the same file brought it back")
	}
	changed := s.Acme.File
	changed.Environments[0].Clients = slices.Clone(changed.Environments[0].Clients)
	changed.Environments[0].Clients[0].Machine = &apply.Machine{Resource: c.Resource, Scopes: []string{"data:read"}}
	reapply(t, s, changed)
	eventually(t, "a token on what was allowed anew", everywhere(func() bool {
		return c.Token(t, machineForm(c, nil)).Str("scope") == "data:read"
	}))
	inactive(t, "the old token", server.ask(t, token))
}

// The MCP extension recommends that a machine signs instead of sending a secret (RFC 7523 §2.2).
func TestMachine_ProvesItselfByAKey(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "1", Use: "sig"}}})
	if err != nil {
		t.Fatal(err)
	}
	s := host.New(t, host.WithFile(func(f *apply.File) {
		machineClient(f)
		c := &f.Environments[0].Clients[0]
		c.Auth, c.Secret, c.JWKS = apply.AuthPrivateKeyJWT, "", string(public)
	}))
	c := machine(s)
	ask := func(assertion string) host.Answer {
		return host.PostForm(t, s.Acme.Issuer+"/token", url.Values{
			"grant_type": {"client_credentials"}, "client_assertion": {assertion}, "resource": {c.Resource},
			"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
		})
	}
	now := s.Clock.Now().Unix()
	good := map[string]any{"iss": c.ID, "sub": c.ID, "aud": s.Acme.Issuer, "jti": "first", "iat": now, "exp": now + 60}
	assertion := signed(t, key, good)
	if answer := ask(assertion); answer.Status != http.StatusOK || answer.Str("scope") != "data:read signals:write" {
		t.Fatalf("%d %s", answer.Status, answer.Raw)
	}
	refused(t, "the same assertion again", ask(assertion), 401, "invalid_client")
	good["jti"], good["aud"] = "second", s.Neighbour.Issuer
	refused(t, "made for another tenant's issuer", ask(signed(t, key, good)), 401, "invalid_client")
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good["jti"], good["aud"] = "third", s.Acme.Issuer
	refused(t, "another key", ask(signed(t, other, good)), 401, "invalid_client")
	refused(t, "the secret it once had", c.Token(t, machineForm(c, nil)), 401, "invalid_client")
	if plan, err := s.Applier.Plan(tenanttest.Operator(), s.Acme.File); err != nil || !plan.Empty() {
		t.Errorf("the same file again changes something: %s %v", plan, err)
	}
}

// A secret is replaced without a gap: two are live while the file names both, and the old one ends with its last mention.
func TestMachine_TwoSecretsAreLiveAtATime(t *testing.T) {
	t.Parallel()
	s := host.New(t, host.WithFile(machineClient))
	c := machine(s)
	const newSecret = "another-secret-of-at-least-32-characters-at-random"
	with := func(secret string) host.Answer {
		other := *c
		other.Secret = secret
		return c.Token(t, machineForm(&other, nil))
	}
	put := func(secret, previous string) {
		t.Helper()
		client := &s.Acme.File.Environments[0].Clients[0]
		client.Secret, client.PreviousSecret = secret, previous
		plan, err := s.Applier.Plan(tenanttest.Operator(), s.Acme.File)
		if err != nil || plan.Empty() {
			t.Fatalf("plan %v, %v", plan, err)
		}
		if strings.Contains(fmt.Sprint(plan), secret) {
			t.Error("the plan prints a secret")
		}
		if _, err := s.Applier.Apply(tenanttest.Operator(), plan); err != nil {
			t.Fatal(err)
		}
		if again, err := s.Applier.Plan(tenanttest.Operator(), s.Acme.File); err != nil || !again.Empty() {
			t.Errorf("the same file again changes something: %v %v", again, err)
		}
	}
	refused(t, "a secret to come", with(newSecret), 401, "invalid_client")
	put(newSecret, machineSecret)
	eventually(t, "the new secret", func() bool { return with(newSecret).Status == http.StatusOK })
	if answer := with(machineSecret); answer.Status != http.StatusOK {
		t.Errorf("the old secret ended before its time: %s", answer.Raw)
	}
	put(newSecret, "")
	eventually(t, "the end of the old secret", func() bool { return with(machineSecret).Status == http.StatusUnauthorized })
	if answer := with(newSecret); answer.Status != http.StatusOK {
		t.Errorf("the new secret: %s", answer.Raw)
	}
	theirs := *c
	theirs.Issuer, theirs.Secret = s.Neighbour.Issuer, newSecret
	refused(t, "at the neighbour's issuer", theirs.Token(t, machineForm(&theirs, nil)), 401, "invalid_client")
}

// signed returns claims as a JWT.
func signed(t *testing.T, key *ecdsa.PrivateKey, claims map[string]any) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, nil)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	token, err := jws.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// Nothing is read and nothing is written for a token, so it does not matter that Postgres is away.
func TestMachine_NeedsNoDatabase(t *testing.T) {
	t.Parallel()
	s := host.New(t, host.WithFile(machineClient))
	c := machine(s)
	for range s.Nodes {
		c.Token(t, machineForm(c, nil)) // the client is in memory from now on
	}
	s.Cable.Cut()
	for range 20 {
		if answer := c.Token(t, machineForm(c, nil)); answer.Status != http.StatusOK {
			t.Fatalf("%d %s", answer.Status, answer.Raw)
		}
	}
}

func reapply(t *testing.T, s *host.Stack, f apply.File) {
	t.Helper()
	plan, err := s.Applier.Plan(tenanttest.Operator(), f)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Applier.Apply(tenanttest.Operator(), plan); err != nil {
		t.Fatal(err)
	}
}
