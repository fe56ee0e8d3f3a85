package tenants_test

import (
	"strings"
	"testing"

	"github.com/ostiary/ostiary/app/policy"
	"github.com/ostiary/ostiary/tenants"
)

func TestCanonicalIdentifier(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"https://mcp.example.com/mcp":          "https://mcp.example.com/mcp",
		"HTTPS://MCP.Example.COM:443/mcp":      "https://mcp.example.com/mcp",
		"http://localhost:80/":                 "http://localhost",
		"https://mcp.example.com/":             "https://mcp.example.com",
		"https://mcp.example.com/mcp/":         "https://mcp.example.com/mcp/",
		"https://mcp.example.com/MCP":          "https://mcp.example.com/MCP",
		"https://mcp.example.com:08443/a//b":   "https://mcp.example.com:8443/a//b",
		"http://[::1]:8090/mcp":                "http://[::1]:8090/mcp",
		"http://[2001:DB8::1]/":                "http://[2001:db8::1]",
		"https://xn--bcher-kva.example/mcp":    "https://xn--bcher-kva.example/mcp",
		"https://mcp.example.com:443":          "https://mcp.example.com",
		"https://mcp.example.com/a.b/c..d/...": "https://mcp.example.com/a.b/c..d/...",
	} {
		got, err := tenants.CanonicalIdentifier(raw)
		if err != nil || got != want {
			t.Errorf("CanonicalIdentifier(%q) = %q, %v; want %q", raw, got, err, want)
		}
	}
	for _, raw := range []string{
		"", "mcp", "/mcp", "//mcp.example.com/mcp", "ftp://mcp.example.com", "https:mcp.example.com", "https:///mcp",
		"javascript:alert(1)", "https://user@mcp.example.com/", "https://user:pw@mcp.example.com/",
		"https://mcp.example.com/mcp#x", "https://mcp.example.com/mcp#", "https://mcp.example.com/mcp?a=b",
		"https://mcp.example.com/%6dcp", "https://mcp.example.com/a/../mcp", "https://mcp.example.com/./mcp",
		"https://mcp.example.com\\@evil.example/", "https://mcp.example.com:99999/", "https://mcp.example.com:0/",
		"https://bücher.example/mcp", "https://mcp.example.com./mcp", " https://mcp.example.com/mcp",
		"https://mcp.example.com/m cp", "https://mcp.example.com/mcp\n", "https://" + strings.Repeat("a", 2000),
		"https://[::1%25eth0]/mcp",
	} {
		if got, err := tenants.CanonicalIdentifier(raw); err == nil {
			t.Errorf("CanonicalIdentifier(%q) = %q, want an error", raw, got)
		}
	}
}

func TestCanonicalIssuer(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"https://Acme.auth.example/":        "https://acme.auth.example",
		"http://localhost:8080/i/acme-dev/": "http://localhost:8080/i/acme-dev",
		"http://127.0.0.1:8080/i/a":         "http://127.0.0.1:8080/i/a",
		"http://acme.localhost:8080":        "http://acme.localhost:8080",
	} {
		if got, err := tenants.CanonicalIssuer(raw); err != nil || got != want {
			t.Errorf("CanonicalIssuer(%q) = %q, %v; want %q", raw, got, err, want)
		}
	}
	for _, raw := range []string{"http://auth.example", "https://auth.example?x", "https://", "http://127.evil.example"} {
		if got, err := tenants.CanonicalIssuer(raw); err == nil {
			t.Errorf("CanonicalIssuer(%q) = %q, want an error", raw, got)
		}
	}
}

// What the function accepts is stable, and is an identifier that a policy document may carry.
func FuzzCanonicalIdentifier(f *testing.F) {
	for _, seed := range []string{
		"https://mcp.example.com/mcp", "HTTP://LOCALHOST:80/", "http://[::1]:8090/mcp/", "https://h:443//a/", "https://h:/",
		"https://a@b/", "https://h/%2e", "https://h?x#y", "https://[fe80::1%25eth0]/", "https://h:00080/x",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		canonical, err := tenants.CanonicalIdentifier(raw)
		if err != nil {
			return
		}
		again, err := tenants.CanonicalIdentifier(canonical)
		if err != nil || again != canonical {
			t.Fatalf("%q became %q, then %q, %v", raw, canonical, again, err)
		}
		doc := policy.Document{
			Mode: policy.ModeEnforce, Resource: policy.Resource{ID: "res_x", Identifier: canonical, Name: "x"},
		}
		if err := doc.Validate(); err != nil {
			t.Fatalf("%q became %q, which a policy refuses: %v", raw, canonical, err)
		}
	})
}
