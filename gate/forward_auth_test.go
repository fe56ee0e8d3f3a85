package gate

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/ostiary/ostiary/app/calls"
	"github.com/ostiary/ostiary/app/policy"
)

// newAsked is a world whose gate is asked by a proxy.
func newAsked(t *testing.T, f ForwardAuth, edit func(*Options)) *world {
	t.Helper()
	is := newIssuer(t)
	w := &world{testIssuer: is, gate: is.newGate(t, edit)}
	front := httptest.NewServer(w.gate.ForwardAuth(f))
	t.Cleanup(front.Close)
	w.url = front.URL
	return w
}

// ask asks about a POST to the MCP endpoint.
func (w *world) ask(t *testing.T, token, body string, headers ...string) answer {
	t.Helper()
	return w.call(t, http.MethodPost, "/check", token, body, append(headers, "X-Forwarded-Uri: /mcp")...)
}

func TestForwardAuth_SaysYesWithWhoItIs(t *testing.T) {
	t.Parallel()
	seen := make(chan calls.Record, 10)
	w := newAsked(t, ForwardAuth{}, func(o *Options) { o.Observe = observing(seen) })
	a := w.ask(t, w.token("data:read", map[string]any{"org_id": nil}), callBody(1, "read_data"), HeaderOrganization+": org_evil").want(t, 200)
	if a.header.Get(HeaderUser) != "usr_ann" || a.header.Get(HeaderScopes) != "data:read" {
		t.Errorf("headers %v", a.header)
	}
	// What is copied must overwrite, also with nothing.
	for _, name := range []string{HeaderOrganization, HeaderIdentity} {
		if got, there := a.header[http.CanonicalHeaderKey(name)]; !there || got[0] != "" {
			t.Errorf("%s is %q, there %v", name, got, there)
		}
	}
	if c := <-seen; c.Tool != "read_data" || !c.Allowed {
		t.Errorf("recorded %+v", c)
	}
	w.call(t, http.MethodGet, "/check", w.token(""), "", "X-Forwarded-Uri: /mcp/?x=1", "X-Forwarded-Method: GET").want(t, 200)
	w.call(t, http.MethodGet, "/check", w.token(""), "", "X-Original-URI: /mcp", "X-Original-Method: DELETE").want(t, 200)
	// As Envoy asks: method, path and body of the request itself. Other names for them are then a client's.
	envoy := []string{"X-Forwarded-Uri: /other", "X-Forwarded-Method: GET"}
	w.call(t, http.MethodPost, "/check/mcp?x=1", w.token("data:read"), callBody(1, "read_data"), envoy...).want(t, 200)
	w.call(t, http.MethodPost, "/check/mcp", w.token("data:read"), callBody(1, "delete_data"), envoy...).want(t, 403)
	w.call(t, http.MethodGet, "/check/other", w.token("data:read"), "").want(t, 403)
	w.call(t, http.MethodGet, "/checkmate", w.token("data:read"), "", "X-Forwarded-Uri: /mcp").want(t, 404)
	preflight := w.call(t, http.MethodGet, "/check", "", "", "X-Forwarded-Uri: /mcp", "X-Forwarded-Method: OPTIONS").want(t, 403)
	if preflight.header.Get(HeaderStatus) != "204" || !strings.Contains(preflight.header.Get("Access-Control-Allow-Headers"), "Mcp-Method") {
		t.Errorf("preflight %v", preflight.header)
	}
}

func TestForwardAuth_SaysNoInWordsOfProxies(t *testing.T) {
	t.Parallel()
	w := newAsked(t, ForwardAuth{}, nil)
	token := w.token("data:read")
	for name, tt := range map[string]struct {
		answer  answer
		status  int
		meant   string // Ostiary-Status
		in      string
		without string
	}{
		"no token":       {w.ask(t, "", callBody(1, "read_data")), 401, "401", "unauthorized", ""},
		"a scope short":  {w.ask(t, token, callBody(1, "delete_data")), 403, "403", "-32010", ""},
		"an unknown one": {w.ask(t, token, callBody(1, "nothing")), 403, "200", "-32602", "WWW-Authenticate"},
		"two keys":       {w.ask(t, token, `{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call","params":{"name":"read_data"}}`), 400, "400", "-32700", ""},
		"a mismatch":     {w.ask(t, token, callBody(1, "delete_data"), "Mcp-Method: tools/call", "Mcp-Name: read_data"), 400, "400", "-32020", ""},
		"no body":        {w.ask(t, token, ""), 403, "403", "did not pass the body on", ""},
		"a token in the address": {w.call(t, http.MethodPost, "/check", token, callBody(1, "read_data"), "X-Forwarded-Uri: /mcp?access_token=x"), 400, "400",
			"header only", ""},
	} {
		if tt.answer.status != tt.status || tt.answer.header.Get(HeaderStatus) != tt.meant || !strings.Contains(tt.answer.body, tt.in) {
			t.Errorf("%s: %d (%s) %s", name, tt.answer.status, tt.answer.header.Get(HeaderStatus), tt.answer.body)
		}
		if tt.without != "" && tt.answer.header.Get(tt.without) != "" {
			t.Errorf("%s: %s is there", name, tt.without)
		}
		if tt.answer.header.Get(HeaderUser) != "" {
			t.Errorf("%s: says who it is", name)
		}
	}
	if a := w.ask(t, "", callBody(1, "read_data")); !strings.Contains(a.header.Get("WWW-Authenticate"), "/.well-known/oauth-protected-resource/mcp") {
		t.Errorf("challenge %q", a.header.Get("WWW-Authenticate"))
	}
}

func TestForwardAuth_RefusesQuestionsItCannotAnswer(t *testing.T) {
	t.Parallel()
	w := newAsked(t, ForwardAuth{}, nil)
	token := w.token("data:read data:admin")
	get := func(headers ...string) answer { return w.call(t, http.MethodGet, "/check", token, "", headers...) }
	for name, tt := range map[string]struct {
		answer answer
		status int
	}{
		"about nothing":        {get(), 400},
		"about two things":     {get("X-Forwarded-Uri: /mcp", "X-Forwarded-Uri: /other"), 400},
		"about another path":   {get("X-Forwarded-Uri: /admin", "X-Forwarded-Method: GET"), 403},
		"about no address":     {get("X-Forwarded-Uri: http://[::1"), 400},
		"an unknown method":    {get("X-Forwarded-Uri: /mcp", "X-Forwarded-Method: PATCH"), 403},
		"in two methods":       {get("X-Forwarded-Uri: /mcp", "X-Forwarded-Method: GET", "X-Forwarded-Method: POST"), 400},
		"elsewhere":            {w.call(t, http.MethodGet, "/other", token, "", "X-Forwarded-Uri: /mcp"), 404},
		"a GET that is a POST": {get("X-Forwarded-Uri: /mcp", "X-Forwarded-Method: POST"), 403},
		"a POST that is a GET": {w.call(t, http.MethodPost, "/check", token, callBody(1, "delete_data"), "X-Forwarded-Uri: /mcp", "X-Forwarded-Method: GET"), 400},
	} {
		if tt.answer.status != tt.status {
			t.Errorf("%s: %d %s", name, tt.answer.status, tt.answer.body)
		}
	}
	if a := w.call(t, http.MethodGet, "/.well-known/oauth-protected-resource/mcp", "", "").want(t, 200); !strings.Contains(a.body, "https://mcp.acme.example/mcp") {
		t.Errorf("metadata %s", a.body)
	}
}

func TestForwardAuth_ByHeadersOnlyWhatTheySay(t *testing.T) {
	t.Parallel()
	mapped := testDocument("https://mcp.acme.example/mcp")
	mapped.Prompts = map[string]policy.Tool{"plan": {Scopes: []string{"data:write"}, Match: policy.MatchAll}}
	mapped.Contents = map[string]policy.Tool{"acme://*": {Scopes: []string{"data:write"}, Match: policy.MatchAll}}
	w := newAsked(t, ForwardAuth{Path: "/ok", ByHeaders: true}, func(o *Options) { o.Policy = StaticPolicy(mapped) })
	token := w.token("data:read")
	ask := func(headers ...string) answer {
		return w.call(t, http.MethodGet, "/ok", token, "", append(headers, "X-Forwarded-Uri: /mcp", "X-Forwarded-Method: POST")...)
	}
	for name, tt := range map[string]struct {
		answer answer
		status int
	}{
		"allowed":                   {ask("Mcp-Method: tools/call", "Mcp-Name: read_data"), 200},
		"allowed, encoded":          {ask("Mcp-Method: tools/call", "Mcp-Name: =?base64?cmVhZF9kYXRh?="), 200},
		"a list":                    {ask("Mcp-Method: tools/list"), 200},
		"a scope short":             {ask("Mcp-Method: tools/call", "Mcp-Name: delete_data"), 403},
		"a prompt":                  {ask("Mcp-Method: prompts/get", "Mcp-Name: plan"), 403},
		"a content":                 {ask("Mcp-Method: resources/read", "Mcp-Name: acme://x"), 403},
		"without headers":           {ask(), 403},
		"without a name":            {ask("Mcp-Method: tools/call"), 403},
		"with two names":            {ask("Mcp-Method: tools/call", "Mcp-Name: read_data", "Mcp-Name: delete_data"), 403},
		"with two methods":          {ask("Mcp-Method: ping", "Mcp-Method: tools/call", "Mcp-Name: read_data"), 403},
		"a method nearly":           {ask("Mcp-Method: Tools/call", "Mcp-Name: read_data"), 403},
		"bad encoding":              {ask("Mcp-Method: tools/call", "Mcp-Name: =?base64?%%%?="), 403},
		"about what is in the body": {ask("Mcp-Method: resources/subscribe"), 403},
	} {
		if tt.answer.status != tt.status {
			t.Errorf("%s: %d %s", name, tt.answer.status, tt.answer.body)
		}
	}
}
