package clients

import (
	"strings"
	"testing"
	"testing/fstest"
)

func TestHosts_AreFoundByTheirOwnAddressesOnly(t *testing.T) {
	t.Parallel()
	h, err := LoadHosts()
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]string{
		"https://claude.ai/oauth/mcp-oauth-client-metadata":    "Claude",
		"https://claude.ai/oauth/claude-code-client-metadata":  "Claude Code",
		"https://chatgpt.com/oauth/client.json":                "ChatGPT",
		"https://chatgpt.com/oauth/a1B2-c3_d4/client.json":     "ChatGPT",
		"https://chatgpt.com/oauth/codex/client.json":          "Codex",
		"https://chatgpt.com/oauth/codex/a1B2c3/client.json":   "Codex",
		"https://vscode.dev/oauth/client-metadata.json":        "Visual Studio Code",
		"https://claude.ai/oauth/other":                        "",
		"https://claude.ai.evil.example/oauth/client.json":     "",
		"https://chatgpt.com/oauth/a/b/client.json":            "",
		"https://chatgpt.com/oauth/../client.json":             "",
		"https://chatgpt.com/oauth/%2e%2e/client.json":         "",
		"https://chatgpt.com/oauth//client.json":               "",
		"https://chatgpt.com/oauth/x/client.json?redirect=y":   "",
		"https://chatgpt.com:8443/oauth/client.json":           "",
		"http://claude.ai/oauth/mcp-oauth-client-metadata":     "",
		"https://evil.example/https://chatgpt.com/client.json": "",
	} {
		if got, ok := h.ByDocument(id); got.Name != want || ok != (want != "") {
			t.Errorf("document %s: %q", id, got.Name)
		}
	}
	for uri, want := range map[string]string{
		"https://claude.ai/api/mcp/auth_callback":                       "Claude",
		"https://chatgpt.com/connector/oauth/a1B2c3":                    "ChatGPT",
		"https://oauth-redirect.googleusercontent.com/r/user_bound_x-1": "Gemini",
		"https://claude.ai/open?to=https://evil.example":                "",
		"https://vscode.dev/redirect?url=https://evil.example":          "",
		"https://claude.ai/api/mcp/auth_callback/":                      "",
		"http://localhost/callback":                                     "",
		"cursor://anysphere.cursor-mcp/oauth/callback":                  "",
	} {
		if got, _ := h.ByRedirect(uri); got.Name != want {
			t.Errorf("redirect %s: %q", uri, got.Name)
		}
	}
	if len(h.All()) < 13 {
		t.Errorf("%d hosts", len(h.All()))
	}
}

func TestHosts_FilesAreChecked(t *testing.T) {
	t.Parallel()
	good := `{"id":"x","name":"X","maker":"Y","checked":"2026-11","source":"observed","documents":["https://x.example/c/{id}"],` +
		`"redirects":["https://x.example/cb","http://127.0.0.1/cb"],"quirks":[]}`
	load := func(files map[string]string) error {
		fs := fstest.MapFS{}
		for name, text := range files {
			fs[name] = &fstest.MapFile{Data: []byte(text)}
		}
		_, err := loadHosts(fs)
		return err
	}
	if err := load(map[string]string{"x.json": good}); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string][2]string{
		"another id":          {`"id":"x"`, `"id":"y"`},
		"no name":             {`"name":"X"`, `"name":""`},
		"hidden name":         {`"name":"X"`, `"name":"X\u202e"`},
		"no date":             {`2026-11`, `soon`},
		"unknown source":      {`observed`, `guessed`},
		"a bad document":      {`https://x.example/c/{id}`, `https://10.0.0.1/c`},
		"a varying host":      {`https://x.example/c/{id}`, `https://{id}.example.com/c`},
		"a bad redirect":      {`http://127.0.0.1/cb`, `http://x.example/cb`},
		"a member we forgot":  {`"quirks":[]`, `"quirks":[],"quirk":1`},
		"a dangerous scheme":  {`"quirks":[]`, `"quirks":[],"schemes":["javascript"]`},
		"a scheme of the web": {`"quirks":[]`, `"quirks":[],"schemes":["https"]`},
		"half a scheme":       {`"quirks":[]`, `"quirks":[],"schemes":["x://"]`},
		"no quirks":           {`,"quirks":[]`, ``},
		"the redirect, again": {`http://127.0.0.1/cb`, `https://x.example/cb`},
	} {
		if err := load(map[string]string{"x.json": strings.Replace(good, change[0], change[1], 1)}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if err := load(map[string]string{"x.json": good, "z.json": strings.Replace(good, `"id":"x"`, `"id":"z"`, 1)}); err == nil {
		t.Error("two hosts with the same addresses were accepted")
	}
}

func TestStandingOf_SaysOnlyWhatWasChecked(t *testing.T) {
	t.Parallel()
	h, err := LoadHosts()
	if err != nil {
		t.Fatal(err)
	}
	document := func(id, host string) *Client {
		return &Client{ID: id, Source: SourceMetadataDocument, Name: "Claude", Document: &Document{Host: host}}
	}
	dynamic := &Client{ID: "dcr_x", Source: SourceDynamic, Name: "Claude"}
	for name, tt := range map[string]struct {
		client   *Client
		redirect string
		want     Standing
	}{
		"document of a known host":   {document("https://claude.ai/oauth/claude-code-client-metadata", "claude.ai"), "http://localhost:1/callback", Standing{"claude.ai", "Claude Code"}},
		"document of an unknown one": {document("https://evil.example/c", "evil.example"), "https://claude.ai/api/mcp/auth_callback", Standing{"evil.example", ""}},
		"other document of a known":  {document("https://claude.ai/other", "claude.ai"), "https://h.example/cb", Standing{"claude.ai", ""}},
		"registered, known redirect": {dynamic, "https://claude.ai/api/mcp/auth_callback", Standing{"claude.ai", "Claude"}},
		"registered, known host":     {dynamic, "https://claude.ai/elsewhere", Standing{}},
		"registered, unknown":        {dynamic, "https://evil.example/cb", Standing{}},
		"registered, loopback":       {dynamic, "http://localhost:1/callback", Standing{}},
		"registered, private":        {dynamic, "cursor://anysphere.cursor-mcp/oauth/callback", Standing{}},
		"preregistered":              {&Client{Source: SourcePreregistered, Name: "Ours"}, "https://h.example/cb", Standing{"h.example", "Ours"}},
	} {
		if got := h.StandingOf(tt.client, ParseRedirect(tt.redirect)); got != tt.want {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// What tokens say of the host is what was checked, and nothing that a client says of itself.
func TestHostOf_NamesWhatWasChecked(t *testing.T) {
	t.Parallel()
	h, err := LoadHosts()
	if err != nil {
		t.Fatal(err)
	}
	document := func(id, host string) *Client {
		return &Client{ID: id, Source: SourceMetadataDocument, Name: "Claude", Document: &Document{Host: host}}
	}
	dynamic := &Client{ID: "dcr_x", Source: SourceDynamic, Name: "ChatGPT", RedirectURIs: []string{"https://chatgpt.com/connector/oauth/x"}}
	named := &Client{ID: "nightly", Source: SourcePreregistered, Name: "Nightly"}
	for name, tt := range map[string]struct {
		client   *Client
		redirect string
		want     string
	}{
		"document of a known host":       {document("https://claude.ai/oauth/claude-code-client-metadata", "claude.ai"), "http://localhost:1/callback", "claude-code"},
		"document of an unknown one":     {document("https://evil.example/c", "evil.example"), "https://claude.ai/api/mcp/auth_callback", "evil.example"},
		"registered, known redirect":     {dynamic, "https://chatgpt.com/connector/oauth/x", "chatgpt"},
		"the same, to a program":         {dynamic, "http://127.0.0.1/callback", ""},
		"registered, unknown":            {dynamic, "https://evil.example/cb", ""},
		"registered, private":            {dynamic, "cursor://anysphere.cursor-mcp/oauth/callback", ""},
		"preregistered":                  {named, "https://h.example/cb", "nightly"},
		"preregistered for a known host": {named, "https://claude.ai/api/mcp/auth_callback", "claude"},
		"a machine":                      {named, "", "nightly"},
	} {
		if got := h.HostOf(tt.client, ParseRedirect(tt.redirect)); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}
