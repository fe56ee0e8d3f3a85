package gate

import (
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/oauthex"
)

func TestChallenge_CannotBeBrokenOutOf(t *testing.T) {
	t.Parallel()
	c := challenge{code: codeInsufficientScope, metadataURL: `https://a.example/x", realm="y`,
		description: "tool \"x\\\r\nSet-Cookie: a=b\r\n\x7f ünicode " + strings.Repeat("long ", 100),
		scopes:      []string{"data:read", `bad"scope`, "two words", "", "läng", "data:write", strings.Repeat("s", 200)}}
	const want = `Bearer error="insufficient_scope", scope="data:read data:write `
	got := c.header()
	if !strings.HasPrefix(
		got,
		want+strings.Repeat(
			"s",
			200,
		)+`", resource_metadata="https://a.example/x?, realm=?y", error_description="tool ?x???Set-Cookie`,
	) {
		t.Errorf("got %s", got)
	}
	if len(got) > 900 {
		t.Errorf("%d characters", len(got))
	}
}

// FuzzChallenge holds the header to one line, one challenge and the values put in, as a client's parser reads it.
func FuzzChallenge(f *testing.F) {
	f.Add("insufficient_scope", "This call needs more", "data:read data:write", "https://a.example/.well-known/x")
	f.Add("", `"`, `\`, "a, Basic realm=\"x\"")
	f.Add("invalid_token", "\r\nX: y", "a\"b", "")
	f.Fuzz(func(t *testing.T, code, description, scope, metadata string) {
		c := challenge{code: code, description: description, scopes: strings.Split(scope, " "), metadataURL: metadata}
		got := c.header()
		for i := range len(got) {
			if got[i] < ' ' || got[i] > '~' {
				t.Fatalf("%q has byte %x", got, got[i])
			}
		}
		if got == "Bearer " {
			return
		}
		parsed, err := oauthex.ParseWWWAuthenticate([]string{got})
		if err != nil || len(parsed) != 1 || parsed[0].Scheme != "bearer" {
			t.Fatalf("%q: %v %v", got, parsed, err)
		}
		for name, value := range parsed[0].Params {
			switch name {
			case "error", "scope", "resource_metadata", "error_description":
			default:
				t.Fatalf("%q has a parameter %q=%q", got, name, value)
			}
		}
		for s := range strings.FieldsSeq(parsed[0].Params["scope"]) {
			if !strings.Contains(" "+scope+" ", " "+s+" ") {
				t.Fatalf("scope %q was not asked for in %q", s, scope)
			}
		}
	})
}
