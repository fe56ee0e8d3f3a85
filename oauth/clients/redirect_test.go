package clients_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/ostiary/ostiary/oauth/clients"
)

func TestParseRedirect_KnowsWhereAURILeads(t *testing.T) {
	t.Parallel()
	for uri, want := range map[string]clients.RedirectKind{
		"https://claude.ai/api/mcp/auth_callback":      clients.RedirectWeb,
		"https://vscode.dev/redirect":                  clients.RedirectWeb,
		"https://app.example.com:8443/cb?x=1":          clients.RedirectWeb,
		"http://localhost/callback":                    clients.RedirectLoopback,
		"http://localhost:3118/callback":               clients.RedirectLoopback,
		"http://127.0.0.1:33418/":                      clients.RedirectLoopback,
		"http://127.9.8.7/cb":                          clients.RedirectLoopback,
		"http://[::1]:9000/cb":                         clients.RedirectLoopback,
		"cursor://anysphere.cursor-mcp/oauth/callback": clients.RedirectPrivate,
		"com.example.app:/oauth2redirect":              clients.RedirectPrivate,

		"":                                                 clients.RedirectRefused,
		"/relative":                                        clients.RedirectRefused,
		"https://":                                         clients.RedirectRefused,
		"https:///path":                                    clients.RedirectRefused,
		"http://example.com/cb":                            clients.RedirectRefused,
		"http://localhost.example.com/cb":                  clients.RedirectRefused,
		"http://x.localhost/cb":                            clients.RedirectRefused,
		"http://127.0.0.1.nip.io/cb":                       clients.RedirectRefused,
		"http://2130706433/cb":                             clients.RedirectRefused,
		"http://user@127.0.0.1/cb":                         clients.RedirectRefused,
		"https://user:pw@example.com/cb":                   clients.RedirectRefused,
		"https://example.com/cb#fragment":                  clients.RedirectRefused,
		"https://*.example.com/cb":                         clients.RedirectRefused,
		"https://example.com\\@evil.com/":                  clients.RedirectRefused,
		"https://exa mple.com/":                            clients.RedirectRefused,
		"https://ex\u00e4mple.com/":                        clients.RedirectRefused,
		"https://example.com/\r\nSet-Cookie":               clients.RedirectRefused,
		"javascript:alert(1)":                              clients.RedirectRefused,
		"JavaScript:/%0aalert(1)":                          clients.RedirectRefused,
		"javascript://example.com/%0aalert(1)":             clients.RedirectRefused,
		"data:text/html,x":                                 clients.RedirectRefused,
		"data:/text/html,x":                                clients.RedirectRefused,
		"vbscript:/x":                                      clients.RedirectRefused,
		"file:///etc/passwd":                               clients.RedirectRefused,
		"blob:https://example.com/x":                       clients.RedirectRefused,
		"about:/blank":                                     clients.RedirectRefused,
		"intent://x/#Intent;end":                           clients.RedirectRefused,
		"urn:ietf:wg:oauth:2.0:oob":                        clients.RedirectRefused,
		"https://example.com/" + strings.Repeat("a", 1000): clients.RedirectRefused,
	} {
		if got := clients.ParseRedirect(uri).Kind; got != want {
			t.Errorf("%q: kind %d, want %d", uri, got, want)
		}
	}
}

func TestSchemes_AreAllowedByRule(t *testing.T) {
	t.Parallel()
	hosts, err := clients.LoadHosts()
	if err != nil {
		t.Fatal(err)
	}
	known := hosts.Schemes()
	for uri, want := range map[string]error{
		"https://h.example/cb": nil, "http://127.0.0.1/cb": nil, "com.example.app:/cb": nil, "COM.Example.App:/cb": nil, "com.example.app://cb": nil,
		"cursor://anysphere.cursor-mcp/oauth/callback": nil, "CURSOR://x/y": nil, "vscode://publisher.extension/cb": nil,
		"vscode-insiders://publisher.extension/cb": nil,
		"myapp://cb": clients.ErrScheme, "a.:/cb": clients.ErrScheme, "a..b:/cb": clients.ErrScheme, "slack://open": clients.ErrScheme,
		"zoommtg://x/y": clients.ErrScheme, "cursor-evil://x/y": clients.ErrScheme,
		"javascript://h.example/x": clients.ErrRedirect, "ms-appinstaller:/x": clients.ErrRedirect, "http://h.example/": clients.ErrRedirect,
	} {
		if got := known.Validate(uri); !errors.Is(got, want) {
			t.Errorf("%s: %v, want %v", uri, got, want)
		}
	}
	for _, h := range hosts.All() {
		for _, uri := range h.Redirects {
			if err := known.Validate(strings.ReplaceAll(uri, "{id}", "x")); err != nil {
				t.Errorf("%s, %s: %v", h.Name, uri, err)
			}
		}
	}
	for _, c := range clients.ErrScheme.Error() { // it becomes an error_description (RFC 6749 §5.2)
		if c < ' ' || c > '~' || c == '"' || c == '\\' {
			t.Errorf("%q may not be in an error description", c)
		}
	}
}

func TestMatchRedirect_IsExactButForLoopbackPorts(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		registered, requested string
		want                  bool
	}{
		{"https://h.example/cb", "https://h.example/cb", true},
		{"https://h.example/cb", "https://h.example/cb/", false},
		{"https://h.example/cb", "https://h.example/cb?x=1", false},
		{"https://h.example/cb", "https://h.example:8443/cb", false},
		{"https://h.example/cb", "https://H.example/cb", false},
		{"https://h.example/cb", "http://h.example/cb", false},
		{"https://h.example/cb", "https://h.example/cb%2e", false},
		{"https://h.example/cb", "https://h.example.evil.com/cb", false},
		{"https://127.0.0.1/cb", "http://127.0.0.1:9/cb", false},
		{"https://127.0.0.1/cb", "https://127.0.0.1:9/cb", false},
		{"http://localhost/callback", "http://localhost:51234/callback", true},
		{"http://localhost:1/callback", "http://localhost/callback", true},
		{"http://127.0.0.1/", "http://127.0.0.1:33418/", true},
		{"http://127.0.0.1/", "http://127.0.0.1:33418", false},
		{"http://[::1]/cb", "http://[::1]:7/cb", true},
		{"http://localhost/callback", "http://127.0.0.1:51234/callback", false},
		{"http://127.0.0.1/callback", "http://localhost/callback", false},
		{"http://localhost/callback", "http://localhost:51234/other", false},
		{"http://localhost/callback", "http://localhost:51234/callback?x", false},
		{"http://localhost/callback", "http://user@localhost:51234/callback", false},
		{"http://localhost/callback", "https://localhost:51234/callback", false},
		{"cursor://anysphere.cursor-mcp/oauth/callback", "cursor://anysphere.cursor-mcp/oauth/callback", true},
		{"cursor://anysphere.cursor-mcp/oauth/callback", "cursor://evil/oauth/callback", false},
		{"javascript:alert(1)", "javascript:alert(1)", false},
	} {
		c := clients.Client{RedirectURIs: []string{tt.registered}}
		if got := c.MatchRedirect(clients.ParseRedirect(tt.requested)); got != tt.want {
			t.Errorf("registered %q, requested %q: %v", tt.registered, tt.requested, got)
		}
	}
}

func TestStaysLocal_MeansNobodyCanCheckWhoWaits(t *testing.T) {
	t.Parallel()
	for uri, want := range map[string]bool{
		"http://localhost/cb": true, "http://127.0.0.1:33418/": true, "cursor://x/y": true, "javascript:alert(1)": true,
		"https://vscode.dev/redirect": false,
	} {
		if got := clients.ParseRedirect(uri).StaysLocal(); got != want {
			t.Errorf("%s: %v", uri, got)
		}
	}
}

func FuzzMatchRedirect(f *testing.F) {
	for _, uri := range []string{
		"https://h.example/cb", "http://localhost:1/cb", "http://127.0.0.1:2/", "cursor://a/b", "javascript:alert(1)",
		"http://localhost@evil.com/cb", "http://localhost:80:80/cb", "http://[::1%25lo]/cb", "https://h.example/cb?a=%00",
	} {
		f.Add(uri)
	}
	c := clients.Client{RedirectURIs: []string{"https://h.example/cb", "http://localhost/cb", "http://127.0.0.1/", "cursor://a/b"}}
	f.Fuzz(func(t *testing.T, requested string) {
		if !c.MatchRedirect(clients.ParseRedirect(requested)) {
			return
		}
		u, err := url.Parse(requested)
		if err != nil {
			t.Fatalf("accepted %q, which does not parse", requested)
		}
		switch {
		case requested == "https://h.example/cb", requested == "cursor://a/b":
		case u.Scheme == "http" && strings.EqualFold(u.Hostname(), "localhost") && u.EscapedPath() == "/cb":
		case u.Scheme == "http" && u.Hostname() == "127.0.0.1" && u.EscapedPath() == "/":
		default:
			t.Fatalf("accepted %q", requested)
		}
		if u.User != nil || u.Fragment != "" || u.RawQuery != "" {
			t.Fatalf("accepted %q", requested)
		}
	})
}
