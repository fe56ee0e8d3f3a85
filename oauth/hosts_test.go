package oauth_test

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/ostiary/ostiary/app/apptest/host"
	"github.com/ostiary/ostiary/oauth/clients"
)

// play is how one host was seen to connect: what it registers or publishes, asks and sends. A host that connects in several ways
// has several.
type play struct {
	host     string         // of the known hosts
	way      string         // which of its ways
	document string         // its client_id, when it is a URL; members are then the document's
	members  map[string]any // of the document or the registration
	redirect string         // as it comes with the request, port and all
	scope    string
	more     url.Values       // parameters of the authorization request besides the usual
	twice    bool             // resource comes twice, with one value
	refresh  func(url.Values) // what it sends otherwise when it refreshes
	basic    bool             // its secret travels in the header
	title    string           // of the consent page, before "wants to use"
	seal     string           // beside it
	warns    string           // the callout
}

const (
	allScopes = "openid profile email offline_access" // what our metadata lists, which some hosts ask for as a whole
	local     = "An app on this computer"
	unsealed  = "Not verified"
	nobody    = "We cannot tell who made this app."
)

// published is client metadata as most hosts have it.
func published(name string, more map[string]any, redirects ...string) map[string]any {
	members := map[string]any{
		"client_name": name, "redirect_uris": redirects, "token_endpoint_auth_method": "none",
		"grant_types": []string{"authorization_code", "refresh_token"}, "response_types": []string{"code"},
	}
	maps.Copy(members, more)
	return members
}

func sends(name, value string) func(url.Values) { return func(f url.Values) { f.Set(name, value) } }

func plays() []play {
	appType := map[string]any{"application_type": "native"}
	return slices.Concat(playsByDocument(), []play{
		{
			host: "claude", way: "registration", members: published("Claude", nil, "https://claude.ai/api/mcp/auth_callback"),
			redirect: "https://claude.ai/api/mcp/auth_callback", scope: " data:read offline_access", title: "Claude", seal: "Verified: claude.ai",
		},
		{
			host: "claude", way: "custom connector", members: published("Claude", map[string]any{"token_endpoint_auth_method": "client_secret_post"},
				"https://claude.ai/api/mcp/auth_callback", "https://claude.com/api/mcp/auth_callback"),
			redirect: "https://claude.com/api/mcp/auth_callback", title: "Claude", seal: "Verified: claude.com",
		},
		{
			host: "claude-code", way: "registration", members: published("Claude Code (acme)", appType, "http://localhost:41005/callback"),
			redirect: "http://localhost:41005/callback", scope: "data:read", title: local, seal: unsealed, warns: nobody,
		},
		{
			host: "claude-desktop", way: "managed", members: published("Claude", appType, "http://127.0.0.1:53280/callback"),
			redirect: "http://127.0.0.1:53280/callback", title: local, seal: unsealed, warns: nobody,
		},
		{
			host: "chatgpt", way: "registration", members: published("ChatGPT", nil, "https://chatgpt.com/connector/oauth/a1B2c3D4"),
			redirect: "https://chatgpt.com/connector/oauth/a1B2c3D4", scope: allScopes, title: "ChatGPT", seal: "Verified: chatgpt.com",
		},
		{
			host: "codex", way: "registration", members: published("Codex", appType, "http://127.0.0.1:38217/callback/Zm9vYmFyYmF6"),
			redirect: "http://127.0.0.1:38217/callback/Zm9vYmFyYmF6", scope: "data:read offline_access",
			twice: true, refresh: sends("scope", "data:read offline_access"), title: local, seal: unsealed, warns: nobody,
		},
		{
			host: "vscode", way: "registration", members: published("Visual Studio Code", map[string]any{
				"application_type": "native", "client_uri": "https://code.visualstudio.com",
				"grant_types": []string{"authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"},
			}, "https://insiders.vscode.dev/redirect", "https://vscode.dev/redirect", "http://127.0.0.1/", "http://127.0.0.1:33418/"),
			redirect: "https://vscode.dev/redirect", title: "Visual Studio Code", seal: "Verified: vscode.dev",
		},
		{
			host: "vscode", way: "registration, port taken", members: published("Visual Studio Code", appType,
				"https://insiders.vscode.dev/redirect", "https://vscode.dev/redirect", "http://127.0.0.1/", "http://127.0.0.1:33418/"),
			redirect: "http://127.0.0.1:50231/", title: local, seal: unsealed, warns: nobody,
		},
		{
			host: "copilot-cli", way: "registration", members: map[string]any{
				"client_name": "GitHub Copilot CLI", "redirect_uris": []string{"http://127.0.0.1:40123/"}, "token_endpoint_auth_method": "none",
			},
			redirect: "http://127.0.0.1:40123/", scope: "data:read", refresh: sends("scope", "data:read"), title: local, seal: unsealed, warns: nobody,
		},
		{
			host: "cursor", way: "registration", members: published("Cursor", map[string]any{"application_type": "web"},
				"cursor://anysphere.cursor-mcp/oauth/callback", "https://www.cursor.com/agents/mcp/oauth/callback", "http://localhost:8787/callback"),
			redirect: "cursor://anysphere.cursor-mcp/oauth/callback", scope: allScopes, title: "An app on this device", seal: unsealed, warns: nobody,
		},
		{
			host: "cursor", way: "agents", members: published("Cursor", map[string]any{"application_type": "web"},
				"cursor://anysphere.cursor-mcp/oauth/callback", "https://www.cursor.com/agents/mcp/oauth/callback", "http://localhost:8787/callback"),
			redirect: "https://www.cursor.com/agents/mcp/oauth/callback", scope: allScopes, title: "Cursor", seal: "Verified: www.cursor.com",
		},
		{
			host: "gemini-cli", way: "registration", members: published("Gemini CLI MCP Client", map[string]any{"scope": ""}, "http://localhost:41277/oauth/callback"),
			redirect: "http://localhost:41277/oauth/callback", scope: allScopes, title: local, seal: unsealed, warns: nobody,
		},
		{
			host: "gemini", way: "connected apps", members: published("Gemini", map[string]any{"token_endpoint_auth_method": "client_secret_post"},
				"https://oauth-redirect.googleusercontent.com/r/user_bound_custom-mcp-1234"),
			redirect: "https://oauth-redirect.googleusercontent.com/r/user_bound_custom-mcp-1234", title: "Gemini",
			seal: "Verified: oauth-redirect.googleusercontent.com",
		},
		{
			host: "antigravity", way: "registration", members: published("Antigravity", nil, "https://antigravity.google/oauth-callback"),
			redirect: "https://antigravity.google/oauth-callback", title: "Antigravity", seal: "Verified: antigravity.google",
		},
		{
			host: "inspector", way: "web", members: published("MCP Inspector", map[string]any{
				"application_type": "native", "client_uri": "https://github.com/modelcontextprotocol/inspector",
			}, "http://localhost:6274/oauth/callback"),
			redirect: "http://localhost:6274/oauth/callback", scope: "data:read offline_access", more: url.Values{"prompt": {"consent"}},
			title: local, seal: unsealed, warns: nobody,
		},
		{
			host: "inspector", way: "command line", members: published("MCP Inspector", appType, "http://127.0.0.1:6276/oauth/callback"),
			redirect: "http://127.0.0.1:6276/oauth/callback", title: local, seal: unsealed, warns: nobody,
		},
		{
			host: "mcp-remote", way: "registration", members: published("MCP CLI Proxy", map[string]any{
				"application_type": "native", "client_uri": "https://github.com/modelcontextprotocol/mcp-cli",
				"software_id": "2e6dc280-f3c3-4e01-99a7-8181dbd1d23d", "software_version": "0.15.1",
			}, "http://localhost:27196/oauth/callback"),
			redirect: "http://localhost:27196/oauth/callback", scope: "data:read offline_access", more: url.Values{"prompt": {"consent"}},
			refresh: sends("scope", "data:read offline_access"), title: local, seal: unsealed, warns: nobody,
		},
		{
			host: "opencode", way: "registration", members: published("OpenCode", map[string]any{"client_uri": "https://opencode.ai"},
				"http://127.0.0.1:19876/mcp/oauth/callback"),
			redirect: "http://127.0.0.1:19876/mcp/oauth/callback", title: local, seal: unsealed, warns: nobody,
		},
		{
			host: "cline", way: "registration", members: published("Cline", nil, "http://127.0.0.1:1456/mcp/oauth/callback"),
			redirect: "http://127.0.0.1:1456/mcp/oauth/callback", title: local, seal: unsealed, warns: nobody,
		},
		{
			host: "mcporter", way: "registration", members: published("mcporter (acme)", nil, "http://127.0.0.1:39021/callback"),
			redirect: "http://127.0.0.1:39021/callback", title: local, seal: unsealed, warns: nobody,
		},
		{
			host: "perplexity", way: "registration", members: published("Perplexity", nil, "https://www.perplexity.ai/rest/connections/oauth_callback"),
			redirect: "https://www.perplexity.ai/rest/connections/oauth_callback", title: "Perplexity", seal: "Verified: www.perplexity.ai",
		},
		{
			host: "le-chat", way: "registration", members: published("Le Chat", map[string]any{"token_endpoint_auth_method": "client_secret_basic"},
				"https://callback.mistral.ai/v1/integrations_auth/oauth2_callback"), basic: true,
			redirect: "https://callback.mistral.ai/v1/integrations_auth/oauth2_callback", title: "Le Chat", seal: "Verified: callback.mistral.ai",
		},
		{
			host: "devin", way: "registration", members: published("Devin", nil, "https://api.devin.ai/mcp/oauth/callback"),
			redirect: "https://api.devin.ai/mcp/oauth/callback", title: "Devin", seal: "Verified: api.devin.ai",
		},
		{
			host: "power-platform", way: "registration", members: published("Copilot Studio", nil, "https://global.consent.azure-apim.net/redirect/acme-5f2c"),
			redirect: "https://global.consent.azure-apim.net/redirect/acme-5f2c", title: "Microsoft Power Platform",
			seal: "Verified: global.consent.azure-apim.net",
		},
		{
			host: "m365-copilot", way: "registration", members: map[string]any{
				"client_name": "Microsoft 365 Copilot", "redirect_uris": []string{"https://teams.microsoft.com/api/platform/v1.0/oAuthRedirect"},
			},
			basic: true, redirect: "https://teams.microsoft.com/api/platform/v1.0/oAuthRedirect", title: "Microsoft 365 Copilot",
			seal: "Verified: teams.microsoft.com",
		},
	})
}

func playsByDocument() []play {
	listed := []string{}
	for _, name := range []string{"127.0.0.1", "localhost"} {
		for port := 13316; port <= 13325; port++ {
			listed = append(listed, "http://"+name+":"+strconv.Itoa(port)+"/callback")
		}
	}
	return []play{
		{
			host: "claude", way: "document", document: "https://claude.ai/oauth/mcp-oauth-client-metadata",
			members: published("Claude", map[string]any{
				"client_uri": "https://claude.ai", "grant_types": []string{"authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:jwt-bearer"},
			}, "https://claude.ai/api/mcp/auth_callback"),
			redirect: "https://claude.ai/api/mcp/auth_callback", scope: "data:read offline_access", title: "Claude", seal: "Verified: claude.ai",
		},
		{
			host: "claude-code", way: "document", document: "https://claude.ai/oauth/claude-code-client-metadata",
			members:  published("Claude Code", nil, "http://localhost/callback", "http://127.0.0.1/callback"),
			redirect: "http://localhost:53999/callback", scope: "data:read", title: "Claude Code", seal: "Verified: claude.ai",
			warns: "Any program on this computer could say it is Claude Code.",
		},
		{
			host: "chatgpt", way: "document", document: "https://chatgpt.com/oauth/client.json",
			members: published("ChatGPT", map[string]any{
				"token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_methods_supported": []string{"none", "private_key_jwt"},
				"token_endpoint_auth_signing_alg": "RS256", "jwks_uri": "https://chatgpt.com/oauth/jwks.json",
			}, "https://chatgpt.com/connector_platform_oauth_redirect"),
			redirect: "https://chatgpt.com/connector_platform_oauth_redirect", scope: allScopes, title: "ChatGPT", seal: "Verified: chatgpt.com",
		},
		{
			host: "chatgpt", way: "document per connection", document: "https://chatgpt.com/oauth/a1B2c3D4/client.json",
			members: published("ChatGPT", map[string]any{
				"token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_methods_supported": []string{"none", "private_key_jwt"},
				"jwks_uri": "https://chatgpt.com/oauth/jwks.json",
			}, "https://chatgpt.com/connector/oauth/a1B2c3D4"),
			redirect: "https://chatgpt.com/connector/oauth/a1B2c3D4", title: "ChatGPT", seal: "Verified: chatgpt.com",
		},
		{
			host: "codex", way: "document", document: "https://chatgpt.com/oauth/codex/client.json",
			members:  published("Codex", nil, "http://127.0.0.1/callback", "http://localhost/callback"),
			redirect: "http://127.0.0.1:38217/callback", scope: "data:read offline_access", refresh: sends("scope", "data:read offline_access"),
			title: "Codex", seal: "Verified: chatgpt.com", warns: "Any program on this computer could say it is Codex.",
		},
		{
			host: "vscode", way: "document", document: "https://vscode.dev/oauth/client-metadata.json",
			members: published("Visual Studio Code", map[string]any{
				"client_uri": "https://vscode.dev/", "application_type": "native",
				"grant_types": []string{"authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"},
			}, "http://127.0.0.1:33418/", "https://vscode.dev/redirect"),
			redirect: "http://127.0.0.1:33418/", title: "Visual Studio Code", seal: "Verified: vscode.dev",
			warns: "Any program on this computer could say it is Visual Studio Code.",
		},
		{
			host: "copilot-cli", way: "document", document: "https://github.com/copilot/cli/client-metadata.json",
			members:  published("GitHub Copilot CLI", nil, "http://127.0.0.1/callback"),
			redirect: "http://127.0.0.1:40123/callback", refresh: sends("scope", "data:read"), scope: "data:read",
			title: "GitHub Copilot CLI", seal: "Verified: github.com", warns: "Any program on this computer could say it is GitHub Copilot CLI.",
		},
		{
			host: "goose", way: "document", document: "https://goose-docs.ai/oauth/client-metadata.json",
			members:  published("Goose", nil, "http://127.0.0.1/oauth_callback"),
			redirect: "http://127.0.0.1:40999/oauth_callback", title: "Goose", seal: "Verified: goose-docs.ai",
			warns: "Any program on this computer could say it is Goose.",
		},
		{
			host: "zed", way: "document", document: "https://zed.dev/oauth/client-metadata.json", members: published("Zed", nil, "http://127.0.0.1/callback"),
			redirect: "http://127.0.0.1:40998/callback", title: "Zed", seal: "Verified: zed.dev", warns: "Any program on this computer could say it is Zed.",
		},
		{
			host: "opencode", way: "document", document: "https://opencode.ai/oauth/opencode/client.json",
			members:  published("OpenCode", nil, "http://127.0.0.1/callback", "http://localhost/callback"),
			redirect: "http://127.0.0.1:19876/callback", title: "OpenCode", seal: "Verified: opencode.ai",
			warns: "Any program on this computer could say it is OpenCode.",
		},
		{
			host: "grok", way: "document", document: "https://grok.com/oauth/mcp-client.json",
			members:  published("Grok", nil, "https://grok.com/connectors-oauth-exchange-code/", "https://console.x.ai/connectors-oauth-exchange-code/"),
			redirect: "https://console.x.ai/connectors-oauth-exchange-code/", title: "Grok", seal: "Verified: grok.com",
		},
		{
			host: "mcpc", way: "document", document: "https://apify.github.io/mcpc/client-metadata.json", members: published("mcpc", nil, listed...),
			redirect: "http://localhost:13320/callback", title: "mcpc", seal: "Verified: apify.github.io",
			warns: "Any program on this computer could say it is mcpc.",
		},
	}
}

// Every known host connects as it was recorded: discovery, registration or document, consent, token, refresh.
func TestHosts_ConnectAsRecorded(t *testing.T) {
	t.Parallel()
	opts := []host.Option{}
	for _, p := range plays() {
		if p.document != "" {
			document := maps.Clone(p.members)
			document["client_id"] = p.document
			raw, err := json.Marshal(document)
			if err != nil {
				t.Fatal(err)
			}
			opts = append(opts, host.WithClientDocument(p.document, string(raw)))
		}
	}
	key := newKey(t, jose.RS256, "chatgpt-1")
	raw, err := json.Marshal(keySet(key))
	if err != nil {
		t.Fatal(err)
	}
	s := host.New(t, append(opts, host.WithClientDocument("https://chatgpt.com/oauth/jwks.json", string(raw)))...)
	played := map[string]bool{}
	for _, p := range plays() {
		played[p.host] = true
		t.Run(p.host+" by "+p.way, func(t *testing.T) { p.run(t, s, key) })
	}
	known, err := clients.LoadHosts()
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range known.All() {
		if !played[h.ID] {
			t.Errorf("nothing plays %s", h.ID)
		}
	}
}

func (p play) run(t *testing.T, s *host.Stack, key keyPair) {
	c := clientAt(s.Acme, p.document, p.redirect)
	if p.document == "" {
		answer := host.PostJSON(t, s.Acme.Issuer+"/register", p.members)
		if answer.Status != http.StatusCreated {
			t.Fatalf("registration: %d %s", answer.Status, answer.Raw)
		}
		c.ID, c.Secret = answer.Str("client_id"), answer.Str("client_secret")
	}
	a := c.Authorize()
	if p.scope != "" {
		a.Params.Set("scope", p.scope)
	}
	maps.Copy(a.Params, p.more)
	if p.twice {
		a.Params.Add("resource", c.Resource)
	}
	b := host.NewBrowser(t)
	page := b.SignIn(t, a.URL(), s.Acme.UserEmail)
	if got := page.Text("h1"); got != p.title+" wants to use Acme Data" {
		t.Errorf("title %q", got)
	}
	if got := page.Text(".seal"); got != p.seal {
		t.Errorf("seal %q", got)
	}
	if got := page.Text(".who .callout"); (p.warns == "") != (got == "") || !strings.HasPrefix(got, p.warns) {
		t.Errorf("warning %q", got)
	}
	page = b.Decide(t, page, "approve", "data:read")
	if page.Param("iss") != s.Acme.Issuer || page.Param("state") != a.State || len(page.Location.Query()["code"]) != 1 ||
		!strings.HasPrefix(page.Location.String(), p.redirect+"?") {
		t.Fatalf("answer %v", page.Location)
	}
	answer := p.send(t, c, key, a.TokenForm(page.Param("code")))
	if answer.Status != http.StatusOK || !strings.HasPrefix(answer.Str("scope"), "data:read") || answer.Str("token_type") != "Bearer" {
		t.Fatalf("token: %d %s", answer.Status, answer.Raw)
	}
	form := c.RefreshForm(answer.Str("refresh_token"))
	if p.refresh != nil {
		p.refresh(form)
	}
	if answer = p.send(t, c, key, form); answer.Status != http.StatusOK || answer.Str("refresh_token") == "" {
		t.Errorf("refresh: %d %s", answer.Status, answer.Raw)
	}
}

// send sends a token request with the client's kind of proof.
func (p play) send(t *testing.T, c *host.Client, key keyPair, form url.Values) host.Answer {
	t.Helper()
	switch {
	case p.members["token_endpoint_auth_method"] == "private_key_jwt":
		return c.Token(t, proving(form, key.assert(t, c, nil)))
	case p.basic:
		form.Del("client_id")
		form.Del("client_secret")
		basic := base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(c.ID) + ":" + url.QueryEscape(c.Secret)))
		return host.Post(t, c.Issuer+"/token", "application/x-www-form-urlencoded", []byte(form.Encode()), http.Header{"Authorization": {"Basic " + basic}})
	}
	return c.Token(t, form)
}
