package gate

import (
	"encoding/json"
	"net/http"
	"reflect"
	"testing"
)

func TestMetadata_IsTheDocumentOfRFC9728(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	const path = "/.well-known/oauth-protected-resource/mcp"
	a := w.call(t, http.MethodGet, path, "", "", "MCP-Protocol-Version: 2026-07-28").
		want(t, 200)
	var got map[string]any
	if err := json.Unmarshal([]byte(a.body), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"resource": "https://mcp.acme.example/mcp", "authorization_servers": []any{w.testIssuer.url},
		"scopes_supported": []any{
			"data:read",
			"data:list",
		}, "bearer_methods_supported": []any{"header"}, "resource_name": "Acme Data",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if a.header.Get("Content-Type") != "application/json" || a.header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("headers %v", a.header)
	}
	head := w.call(t, http.MethodHead, "/.well-known/oauth-protected-resource/mcp", "", "").want(t, 200)
	if head.header.Get("Content-Type") != "application/json" {
		t.Error("HEAD differs from GET")
	}
	w.call(t, http.MethodPost, "/.well-known/oauth-protected-resource/mcp", "", "{}").want(t, http.StatusMethodNotAllowed)
}

func TestWellKnown_NothingElseIsThere(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	for _, path := range []string{
		"/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/",
		"/.well-known/oauth-protected-resource/other",
		"/.well-known/oauth-protected-resource/mcp/x", "/.well-known/oauth-protected-resourcemcp",
		"/.well-known/oauth-authorization-server",
		"/.well-known/oauth-authorization-server/mcp", "/.well-known/openid-configuration", "/.well-known/", "/.well-known/x",
		"/.well-known/oauth-protected-resource/m%63p", "/.well-known/oauth-protected-resource//mcp",
	} {
		a := w.call(t, http.MethodGet, path, w.token("data:read"), "")
		if a.status != http.StatusNotFound || a.header.Get("Cache-Control") != "no-store" || a.body != "" {
			t.Errorf("%s: %d %v %q", path, a.status, a.header, a.body)
		}
	}
	if w.upstream.count() != 0 {
		t.Error("a well-known request reached the MCP server")
	}
}

func TestPaths_OnlyTheEndpointIsServed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	token := w.token("data:read")
	for _, path := range []string{"/", "/mcp/admin", "/mcpx", "//mcp", "/mcp//", "/x/../mcp", "/mcp/../admin",
		"/mcp/%2e%2e/admin", "/m%63p", "/MCP", "/sse", "/messages"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.URL.Opaque = "//" + req.URL.Host + path // exactly as written
		req.Header.Set("Authorization", "Bearer "+token)
		if a := send(t, http.DefaultClient, req); a.status != http.StatusNotFound {
			t.Errorf("%s: %d", path, a.status)
		}
	}
	if w.upstream.count() != 0 {
		t.Error("another path reached the MCP server")
	}
}

func TestPaths_TrailingSlashIsTheSameEndpoint(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	a := w.call(t, http.MethodPost, "/mcp/", "", callBody(1, "read_data")).want(t, 401)
	if got := challengeOf(t, a)["resource_metadata"]; got != "https://mcp.acme.example/.well-known/oauth-protected-resource/mcp" {
		t.Errorf("metadata at %q", got)
	}
	if got := resourceAt(t, w, "/.well-known/oauth-protected-resource/mcp/", ""); got != "https://mcp.acme.example/mcp" {
		t.Errorf("resource %q", got)
	}
	w.call(t, http.MethodPost, "/mcp/", w.token("data:read"), callBody(1, "read_data")).want(t, 200)
	if r, _ := w.upstream.last(t); r.URL.Path != "/mcp" {
		t.Errorf("reached %q", r.URL.Path)
	}
}

func resourceAt(t *testing.T, w *world, path, host string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if host != "" {
		req.Host = host
	}
	var doc struct{ Resource string }
	if err := json.Unmarshal([]byte(send(t, http.DefaultClient, req).want(t, 200).body), &doc); err != nil {
		t.Fatal(err)
	}
	return doc.Resource
}

func TestAliases_AreAnsweredInTheirOwnSpelling(t *testing.T) {
	t.Parallel()
	is := newIssuer(t)
	is.doc = testDocument(
		"https://mcp.acme.example/mcp",
		"https://mcp.acme.example/mcp/",
		"https://old.acme.example/mcp",
		"https://acme.example",
	)
	w := newWorldAt(t, is, nil)
	const prm = "/.well-known/oauth-protected-resource"
	for _, tc := range []struct{ path, host, want string }{
		{prm + "/mcp", "", "https://mcp.acme.example/mcp"},
		{prm + "/mcp", "mcp.acme.example", "https://mcp.acme.example/mcp"},
		{prm + "/mcp", "MCP.acme.example:443", "https://mcp.acme.example/mcp"},
		{prm + "/mcp/", "mcp.acme.example", "https://mcp.acme.example/mcp/"},
		{prm + "/mcp", "old.acme.example", "https://old.acme.example/mcp"},
		{prm + "/mcp/", "old.acme.example", "https://old.acme.example/mcp"},
		{prm + "/mcp", "evil.example", "https://mcp.acme.example/mcp"},
		{prm, "acme.example", "https://acme.example"},
		{prm + "/", "acme.example", "https://acme.example"},
	} {
		if got := resourceAt(t, w, tc.path, tc.host); got != tc.want {
			t.Errorf("%s at %q: resource %q, want %q", tc.path, tc.host, got, tc.want)
		}
	}
	// Tokens are minted for the identifier, never for an alias.
	w.tool(t, w.token("data:read", map[string]any{"aud": "https://old.acme.example/mcp"}), "read_data").want(t, 401)
}

func TestRootEndpoint_ServesRootMetadata(t *testing.T) {
	t.Parallel()
	for _, identifier := range []string{"https://mcp.acme.example", "https://mcp.acme.example/"} {
		is := newIssuer(t)
		is.doc = testDocument(identifier)
		w := newWorldAt(t, is, nil)
		for _, path := range []string{"/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/"} {
			if got := resourceAt(t, w, path, ""); got != identifier {
				t.Errorf("%s: %q", path, got)
			}
		}
		a := w.call(t, http.MethodPost, "/", "", "").want(t, 401)
		if got := challengeOf(t, a)["resource_metadata"]; got != "https://mcp.acme.example/.well-known/oauth-protected-resource" {
			t.Errorf("metadata at %q", got)
		}
		w.call(t, http.MethodPost, "/", w.token("data:read"), callBody(1, "read_data")).want(t, 200)
		w.call(t, http.MethodPost, "/mcp", w.token("data:read"), callBody(1, "read_data")).want(t, 404)
	}
}

func TestIdentifierOption_PicksTheAliasThisGateIsReachedBy(t *testing.T) {
	t.Parallel()
	is := newIssuer(t)
	is.doc = testDocument("https://mcp.acme.example/mcp", "http://localhost:8090/mcp")
	w := newWorldAt(t, is, func(o *Options) { o.Identifier = "http://localhost:8090/mcp" })
	a := w.tool(t, "", "read_data").want(t, 401)
	if got := challengeOf(t, a)["resource_metadata"]; got != "http://localhost:8090/.well-known/oauth-protected-resource/mcp" {
		t.Errorf("metadata at %q", got)
	}
	w.tool(t, w.token("data:read"), "read_data").want(t, 200)
}
