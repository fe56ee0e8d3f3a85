package gate

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/ostiary/ostiary/app/calls"
	"github.com/ostiary/ostiary/app/policy"
)

const policyPath = "/i/acme/resources/" + testResource + "/policy"

func TestPolicy_ChangesArriveWhileRunning(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	token := w.token("data:read")
	w.tool(t, token, "write_data").want(t, http.StatusForbidden)
	w.publish(func(d *policy.Document) {
		d.Tools["write_data"] = policy.Tool{Scopes: []string{"data:read"}, Match: policy.MatchAll}
	})
	eventually(t, "the new map is in force", func() bool { return w.tool(t, token, "write_data").status == http.StatusOK })
	w.publish(func(d *policy.Document) { delete(d.Tools, "read_data") })
	eventually(t, "the tool is stopped", func() bool {
		return strings.Contains(w.tool(t, token, "read_data").body, "Unknown tool")
	})
}

func TestPolicy_UnchangedIsNotSentAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	before := w.gate.Policy()
	asked := w.fetched(policyPath)
	eventually(t, "some polls", func() bool { return w.fetched(policyPath) > asked+3 })
	if w.gate.Policy() != before {
		t.Error("an unchanged policy was replaced")
	}
}

func TestPolicy_BadOnesAreNotTaken(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*testIssuer){
		"older revision": func(is *testIssuer) { is.bundle = func(b *policy.Bundle) { b.Policy.Revision = 0 } },
		"other issuer":   func(is *testIssuer) { is.bundle = func(b *policy.Bundle) { b.Issuer = "https://evil.example" } },
		"other subject":  func(is *testIssuer) { is.bundle = func(b *policy.Bundle) { b.Subject = "res_globex" } },
		"other resource": func(is *testIssuer) {
			is.bundle = func(b *policy.Bundle) { b.Policy.Resource.ID = "res_globex" }
		},
		"expired":        func(is *testIssuer) { is.bundle = func(b *policy.Bundle) { b.ExpiresAt = b.IssuedAt - 3600 } },
		"without expiry": func(is *testIssuer) { is.bundle = func(b *policy.Bundle) { b.ExpiresAt = 0 } },
		"from the future": func(is *testIssuer) {
			is.bundle = func(b *policy.Bundle) { b.IssuedAt += 3600; b.ExpiresAt += 7200 }
		},
		"broken identifier": func(is *testIssuer) {
			is.bundle = func(b *policy.Bundle) { b.Policy.Resource.Identifier = "nonsense" }
		},
		"other type": func(is *testIssuer) {
			key := is.keys[0]
			is.policyBy = func() (signer, string) { return key, "at+jwt" }
		},
		"other key": func(is *testIssuer) {
			key := newSigner(is.t, "key-1", jose.ES256)
			is.policyBy = func() (signer, string) { return key, policy.TokenType }
		},
		"not signed": func(is *testIssuer) {
			is.override = func(w http.ResponseWriter, r *http.Request) bool {
				_, _ = w.Write([]byte(`{"policy":{"revision":9}}`))
				return r.URL.Path == policyPath
			}
		},
		"larger than any policy": func(is *testIssuer) {
			is.override = func(w http.ResponseWriter, r *http.Request) bool {
				for range policyLimit>>20 + 1 {
					_, _ = w.Write(make([]byte, 1<<20))
				}
				return true
			}
		},
		"outage": func(is *testIssuer) {
			is.override = func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(http.StatusTeapot); return true }
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			logs := new(logBuffer)
			w := newWorld(t, func(o *Options) { o.Logger = textLogger(logs) })
			w.change(func() {
				next := *w.doc
				next.Revision, next.Tools = 2, map[string]policy.Tool{
					"delete_data": {Scopes: []string{"data:read"}, Match: policy.MatchAll},
				}
				w.doc = &next
				spoil(w.testIssuer)
			})
			eventually(t, "the gate notices", func() bool { return strings.Contains(logs.String(), "policy cannot be renewed") })
			asked := w.fetched(policyPath)
			eventually(t, "more polls", func() bool { return w.fetched(policyPath) > asked+2 })
			w.tool(t, w.token("data:read"), "delete_data").want(t, http.StatusForbidden)
			w.tool(t, w.token("data:read"), "read_data").want(t, http.StatusOK)
			if got := strings.Count(logs.String(), "policy cannot be renewed"); got != 1 {
				t.Errorf("logged %d times", got)
			}
			w.change(func() { w.bundle, w.policyBy, w.override = nil, nil, nil; w.doc.Revision = 3 })
			eventually(t, "it recovers", func() bool { return w.gate.Policy().Revision == 3 })
			eventually(t, "it says so", func() bool { return strings.Contains(logs.String(), "policy can be renewed again") })
		})
	}
}

func TestPolicy_ShadowLetsThroughAndSays(t *testing.T) {
	t.Parallel()
	is := newIssuer(t)
	is.doc.Mode = policy.ModeShadow
	logs, seen := new(logBuffer), make(chan calls.Record, 10)
	w := newWorldAt(t, is, func(o *Options) { o.Logger, o.Observe = textLogger(logs), observing(seen) })
	token := w.token("data:read")
	for _, tool := range []string{"read_data", "delete_data", "unmapped", "never_heard_of"} {
		w.tool(t, token, tool).want(t, http.StatusOK)
	}
	if w.upstream.count() != 4 {
		t.Errorf("%d of 4 calls reached the MCP server", w.upstream.count())
	}
	if got := strings.Count(logs.String(), "call would be denied"); got != 3 {
		t.Errorf("%d denials logged, want 3: %s", got, logs)
	}
	for _, want := range []calls.Record{
		{Tool: "read_data", Allowed: true, Reason: policy.ReasonAllowed},
		{Tool: "delete_data", Allowed: true, Shadowed: true, Reason: policy.ReasonInsufficientScope},
		{Tool: "unmapped", Allowed: true, Shadowed: true, Reason: policy.ReasonUnmappedTool},
		{Tool: "never_heard_of", Allowed: true, Shadowed: true, Reason: policy.ReasonUnknownTool},
	} {
		got := <-seen
		if got.Tool != want.Tool || got.Allowed != want.Allowed || got.Shadowed != want.Shadowed ||
			got.Reason != want.Reason {
			t.Errorf("observed %+v, want %+v", got, want)
		}
	}
	// Shadow mode is about tools: a token is still needed.
	w.tool(t, "", "read_data").want(t, http.StatusUnauthorized)
	w.tool(t, w.token("data:read", map[string]any{"exp": 1}), "read_data").want(t, http.StatusUnauthorized)
	// And tools/list shows everything.
	w.upstream.answer = listAnswer(
		"application/json",
		`{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"delete_data"}]}}`,
	)
	if a := w.call(t, http.MethodPost, "/mcp", token, listBody); !strings.Contains(a.body, "delete_data") {
		t.Errorf("shadow mode filtered the list: %s", a.body)
	}
}

func TestObserve_SeesEveryCall(t *testing.T) {
	t.Parallel()
	seen := make(chan calls.Record, 10)
	w := newWorld(t, func(o *Options) { o.Observe = observing(seen) })
	w.tool(t, w.token("data:read"), "read_data").want(t, http.StatusOK)
	w.tool(t, w.token("data:read"), "merge_data").want(t, http.StatusForbidden)
	allowed, denied := <-seen, <-seen
	if !allowed.Allowed || allowed.User != "usr_ann" || allowed.Grant != "grt_1" ||
		allowed.Revision != 1 {
		t.Errorf("allowed call observed as %+v", allowed)
	}
	if denied.Allowed || denied.Shadowed || len(denied.Missing) != 1 || denied.Missing[0] != "data:write" {
		t.Errorf("denied call observed as %+v", denied)
	}
}

func TestStaticPolicy_NeedsNoPolicyEndpoint(t *testing.T) {
	t.Parallel()
	is := newIssuer(t)
	doc := testDocument("https://static.example/mcp")
	g := is.newGate(t, func(o *Options) { o.ResourceID, o.Policy = "", StaticPolicy(doc) })
	if g.Policy() != doc || is.fetched(policyPath) != 0 {
		t.Error("the static policy is not what counts")
	}
	empty := Options{Issuer: is.url, Policy: StaticPolicy(nil), StartTimeout: time.Second}
	if _, err := New(t.Context(), empty); err == nil {
		t.Error("started without a policy")
	}
}
