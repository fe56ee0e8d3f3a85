package gate

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/ostiary/ostiary/app/policy"
)

func promptBody(name string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{"name":%q,"arguments":{}}}`, name)
}

func readBody(uri string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":%q}}`, uri)
}

func subscribeBody(uri string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"resources/subscribe","params":{"uri":%q}}`, uri)
}

func completeBody(kind, key, value string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{"ref":{"type":%q,%q:%q},`+
		`"argument":{"name":"a","value":"b"}}}`, kind, key, value)
}

func listenBody(uris ...string) string {
	raw, _ := json.Marshal(uris)
	return `{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{"notifications":{"toolsListChanged":true,` +
		`"resourceSubscriptions":` + string(raw) + `}}}`
}

// guardedContents maps one prompt and one place of contents to reading and another of each to writing.
func guardedContents(d *policy.Document) {
	read := policy.Tool{Scopes: []string{"data:read"}, Match: policy.MatchAll}
	write := policy.Tool{Scopes: []string{"data:write"}, Match: policy.MatchAll}
	d.Prompts = map[string]policy.Tool{"summary": read, "draft": write, "unmapped": {}}
	d.Contents = map[string]policy.Tool{"acme://open/*": read, "acme://open/secret/*": write}
}

func TestContents_WhatTheDocumentMapsIsDecided(t *testing.T) {
	t.Parallel()
	is := newIssuer(t)
	guardedContents(is.doc)
	w := newWorldAt(t, is, nil)
	token := w.token("data:read")
	for name, tc := range map[string]struct {
		body   string
		status int
		says   string
	}{
		"prompt":                    {promptBody("summary"), 200, `"content"`},
		"prompt beyond the token":   {promptBody("draft"), 403, "data:write"},
		"prompt not mapped":         {promptBody("unmapped"), 200, "Unknown prompt: unmapped"},
		"prompt nobody knows":       {promptBody("x"), 200, "Unknown prompt: x"},
		"content":                   {readBody("acme://open/a"), 200, `"content"`},
		"content beyond the token":  {readBody("acme://open/secret/a"), 403, "data:write"},
		"content elsewhere":         {readBody("file:///etc/passwd"), 200, "Unknown resource: file:///etc/passwd"},
		"subscribe":                 {subscribeBody("acme://open/a"), 200, `"content"`},
		"subscribe beyond":          {subscribeBody("acme://open/secret/a"), 403, "data:write"},
		"listen":                    {listenBody("acme://open/a", "acme://open/b"), 200, `"content"`},
		"listen to nothing":         {listenBody(), 200, `"content"`},
		"listen to one beyond":      {listenBody("acme://open/a", "acme://open/secret/b"), 403, "data:write"},
		"listen elsewhere":          {listenBody("acme://open/a", "x:"), 200, "Unknown resource: x:"},
		"complete a prompt":         {completeBody("ref/prompt", "name", "summary"), 200, `"content"`},
		"complete a prompt beyond":  {completeBody("ref/prompt", "name", "draft"), 403, "data:write"},
		"complete a template":       {completeBody("ref/resource", "uri", "acme://open/{a}"), 200, `"content"`},
		"complete a secret one":     {completeBody("ref/resource", "uri", "acme://open/secret/{a}"), 403, "data:write"},
		"complete nothing known":    {completeBody("ref/tool", "name", "draft"), 400, "neither a prompt nor a resource"},
		"complete a nameless one":   {completeBody("ref/prompt", "uri", "draft"), 400, "neither a prompt nor a resource"},
		"complete in capitals":      {strings.Replace(completeBody("ref/prompt", "name", "draft"), `"ref"`, `"Ref"`, 1), 400, "case"},
		"complete, name in capital": {completeBody("ref/prompt", "Name", "draft"), 400, "case"},
		"listen in capitals":        {strings.Replace(listenBody("x:"), "resourceS", "ResourceS", 1), 400, "case"},
		"listen to numbers":         {strings.Replace(listenBody("x:"), `"x:"`, "1", 1), 400, "list of URIs"},
		"listen to text":            {strings.Replace(listenBody("x:"), `["x:"]`, `"x:"`, 1), 400, "list of URIs"},
		"listen, params a list":     {`{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":[]}`, 400, "not an object"},
		"read without uri":          {`{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{}}`, 400, "params.uri"},
		"read, spelled oddly":       {strings.Replace(readBody("x:"), "resources/read", "Resources/Read", 1), 400, "not an MCP method"},
		"unsubscribing is free":     {strings.Replace(subscribeBody("x:"), "subscribe", "unsubscribe", 1), 200, `"content"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if a := w.call(t, http.MethodPost, "/mcp", token, tc.body).want(t, tc.status); !strings.Contains(a.body, tc.says) {
				t.Errorf("%s", a.body)
			}
		})
	}
}

func TestContents_ListsShowWhatTheTokenAllows(t *testing.T) {
	t.Parallel()
	is := newIssuer(t)
	guardedContents(is.doc)
	w := newWorldAt(t, is, nil)
	for method, tc := range map[string]struct{ result, want string }{
		"prompts/list": {
			`"prompts":[{"name":"draft"},{"name":"summary"},{"name":"unmapped"},{"title":"nameless"}]`,
			`"prompts":[{"name":"summary"}]`,
		},
		"resources/list": {
			`"resources":[{"uri":"acme://open/a","name":"a"},{"uri":"acme://open/secret/b"},{"uri":"file:///c"}],"ttlMs":5`,
			`"cacheScope":"private","resources":[{"uri":"acme://open/a","name":"a"}],"ttlMs":5`,
		},
		"resources/templates/list": {
			`"resourceTemplates":[{"uriTemplate":"acme://open/secret/{x}"},{"uriTemplate":"acme://open/{x}"}]`,
			`"resourceTemplates":[{"uriTemplate":"acme://open/{x}"}]`,
		},
	} {
		w.upstream.answer = listAnswer("application/json", `{"jsonrpc":"2.0","id":1,"result":{`+tc.result+`}}`)
		body := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":%q}`, method)
		a := w.call(t, http.MethodPost, "/mcp", w.token("data:read"), body).want(t, http.StatusOK)
		if want := `{"jsonrpc":"2.0","id":1,"result":{` + tc.want + `}}`; a.body != want {
			t.Errorf("%s: %s, want %s", method, a.body, want)
		}
		// On a stream that replays what was lost, too.
		w.upstream.answer = listAnswer("text/event-stream", `data: {"jsonrpc":"2.0","id":1,"result":{`+tc.result+"}}\n\n")
		a = w.call(t, http.MethodGet, "/mcp", w.token("data:read"), "").want(t, http.StatusOK)
		if want := `data: {"jsonrpc":"2.0","id":1,"result":{` + tc.want + "}}\n\n"; a.body != want {
			t.Errorf("%s replayed: %s, want %s", method, a.body, want)
		}
	}
}

func TestContents_WhatTheDocumentDoesNotMapIsOpen(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	const list = `{"jsonrpc":"2.0","id":1,"result":{"prompts":[{"name":"draft"}],"resources":[{"uri":"x:"}]}}`
	w.upstream.answer = listAnswer("application/json", list)
	for _, body := range []string{`{"jsonrpc":"2.0","id":1,"method":"prompts/list"}`,
		`{"jsonrpc":"2.0","id":1,"method":"resources/list"}`, promptBody("draft"), readBody("x:"), listenBody("x:")} {
		if a := w.call(t, http.MethodPost, "/mcp", w.token(""), body).want(t, http.StatusOK); a.body != list {
			t.Errorf("%s: %s", body, a.body)
		}
	}
	w.call(t, http.MethodPost, "/mcp", "", readBody("x:")).want(t, http.StatusUnauthorized)
}

func TestContents_AreRecordedByTheirKind(t *testing.T) {
	t.Parallel()
	is := newIssuer(t)
	guardedContents(is.doc)
	w, seen := recordingWorld(t, is)
	token := w.token("data:read")
	for _, body := range []string{promptBody("summary"), readBody("acme://open/a"), completeBody("ref/prompt", "name", "summary"),
		completeBody("ref/prompt", "name", "draft")} {
		w.call(t, http.MethodPost, "/mcp", token, body)
	}
	var got []string
	for range 3 {
		r := <-seen
		got = append(got, fmt.Sprintf("%s %s %s", r.Kind, r.Tool, r.Reason))
	}
	want := []string{"prompt summary allowed", "content acme://open/a allowed", "prompt draft insufficient_scope"}
	if !slices.Equal(got, want) {
		t.Errorf("recorded %q, want %q", got, want)
	}
}
