package oauth_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/ostiary/ostiary/app/apptest/host"
	"github.com/ostiary/ostiary/tenants"
	"github.com/ostiary/ostiary/tenants/apply"
)

// The host of a token is what was checked when its grant was made; it stays when the token is refreshed, and MCP servers
// that ask about the token hear the same.
func TestToken_NamesTheHostThatWasChecked(t *testing.T) {
	t.Parallel()
	const code, evil = "https://claude.ai/oauth/claude-code-client-metadata", "https://unknown.example/client"
	s := host.New(t,
		withDocument(t, code, published("Claude Code", nil, "http://127.0.0.1/callback")),
		withDocument(t, evil, published("Claude", nil, "https://claude.ai/api/mcp/auth_callback")),
		host.WithFile(func(f *apply.File) {
			f.Environments[0].Clients = append(f.Environments[0].Clients, apply.Client{
				ID: "acme-portal", Name: "Portal", RedirectURIs: []string{host.WebRedirect},
			})
		}))
	mcp := credential(t, s, s.Acme, s.Acme.ResourceID, "gate").knows(t)
	registered := func(redirect string) *host.Client {
		return s.Register(t, s.Acme, map[string]any{"client_name": "ChatGPT", "redirect_uris": []string{redirect}})
	}
	for name, tt := range map[string]struct {
		client *host.Client
		want   any
	}{
		"registered by a known host":          {registered("https://chatgpt.com/connector/oauth/a1B2c3"), "chatgpt"},
		"registered by a program":             {registered(host.Redirect), nil},
		"registered by who knows":             {registered(host.WebRedirect), nil},
		"document of a known host":            {clientAt(s.Acme, code, "http://127.0.0.1:5000/callback"), "claude-code"},
		"document of another that says so":    {clientAt(s.Acme, evil, "https://claude.ai/api/mcp/auth_callback"), "unknown.example"},
		"named by the tenant, without secret": {clientAt(s.Acme, "acme-portal", host.WebRedirect), "acme-portal"},
	} {
		tokens := s.Connect(t, host.NewBrowser(t), s.Acme, tt.client.Authorize("data:read"), "data:read")
		refreshed := tt.client.Refresh(t, tokens.Refresh)
		if refreshed.Status != http.StatusOK {
			t.Errorf("%s: refresh %d %s", name, refreshed.Status, refreshed.Raw)
			continue
		}
		again := tt.client.Refresh(t, tokens.Refresh) // a predecessor's path is another one
		for step, access := range map[string]string{
			"code": tokens.Access, "refresh": refreshed.Str("access_token"), "repeated refresh": again.Str("access_token"),
		} {
			if got := claims(t, access)["host"]; got != tt.want {
				t.Errorf("%s, %s: host %v, want %v", name, step, got, tt.want)
			}
			if got := mcp.ask(t, access); got.Body["active"] != true || got.Body["host"] != tt.want {
				t.Errorf("%s, %s: introspection says %v", name, step, got.Raw)
			}
		}
	}
}

// When tokens are made to live shorter, those from before live on: what they rest on is listed until they are gone.
func TestRevocations_OutliveTokensFromBeforeTheyWereShortened(t *testing.T) {
	t.Parallel()
	lifetime := tenants.Duration(12 * time.Hour)
	s := host.New(t, host.WithFile(func(f *apply.File) { f.Environments[0].Settings.AccessTokenLifetime = &lifetime }))
	c, tokens := connect(t, s)
	env, err := s.Environments.Load(s.Acme.Operator())
	if err != nil {
		t.Fatal(err)
	}
	shorter := tenants.Duration(time.Hour)
	for range 2 { // the second change leaves it alone
		env.Choices.AccessTokenLifetime = &shorter
		err = s.Environments.Update(s.Acme.Operator(), tenants.EnvironmentUpdate{
			Name: env.Name + "+", Kind: env.Kind, Issuer: env.Issuer, Settings: env.Choices, Branding: env.Branding,
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	c.Revoke(t, tokens.Refresh)
	listed := func() bool { return lists(grantOf(t, tokens))(feedNow(t, s.Acme)) }
	eventually(t, "the revocation", everywhere(listed))
	s.Clock.Advance(11*time.Hour + 59*time.Minute)
	if !listed() {
		t.Error("the token is alive and its grant is not listed")
	}
	s.Clock.Advance(time.Hour)
	if listed() {
		t.Error("the grant is listed for ever")
	}
}
