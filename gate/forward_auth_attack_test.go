package gate

import (
	"crypto/sha256"
	"net/http"
	"testing"
)

// A proxy hands on what it was not told to take away, so what a gate in the middle strips, one that is asked refuses.
func TestForwardAuth_RefusesWhatTheProxyWouldHandOn(t *testing.T) {
	t.Parallel()
	const key = "old-secret"
	w := newAsked(t, ForwardAuth{}, func(o *Options) {
		o.Legacy = &Legacy{Header: "X-Api-Key", Keys: []LegacyKey{{SHA256: sha256.Sum256([]byte(key)), Name: "nightly", Scopes: []string{"data:read"}}}}
		o.UpstreamHeaders = &UpstreamHeaders{Always: http.Header{"X-Upstream-Key": {"for the server"}}}
	})
	token := w.token("data:read")
	for name, header := range map[string]string{
		"an identity, for servers that take an underscore for a hyphen": "Ostiary_User: usr_admin",
		"what the gate sends":   "X_Upstream-Key: stolen",
		"a key":                 "X_Api_Key: " + key,
		"somebody else's key":   "X-Api-Key: " + key,
		"a key that was ended":  "X-Api-Key: ended here, not at the server",
		"another HTTP method":   "X-Http-Method-Override: POST",
		"another one, by Rails": "X-Http-Method: POST",
		"another one, old":      "X-Method-Override: POST",
	} {
		if a := w.ask(t, token, callBody(1, "read_data"), header); a.status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	w.ask(t, token, callBody(1, "read_data"), "X_Harmless: 1").want(t, http.StatusOK)
	a := w.ask(t, "", callBody(1, "read_data"), "X-Api-Key: "+key).want(t, http.StatusOK)
	if a.header.Get("X-Api-Key") != key || a.header.Get(HeaderUser) != "legacy:nightly" {
		t.Errorf("who comes by key: %v", a.header)
	}
	a = w.ask(t, token, callBody(1, "read_data")).want(t, http.StatusOK)
	if got, there := a.header["X-Api-Key"]; !there || got[0] != "" {
		t.Errorf("a key that is copied from the answer: %q, there %v", got, there)
	}
}

// Of two names for one thing a client may have sent one; and without a method every call would be a GET, which has no body.
func TestForwardAuth_BelievesOneMethodOnly(t *testing.T) {
	t.Parallel()
	for _, byHeaders := range []bool{false, true} {
		w := newAsked(t, ForwardAuth{ByHeaders: byHeaders}, nil)
		token := w.token("data:read")
		for name, headers := range map[string][]string{
			"a client's GET beside the proxy's POST": {"X-Forwarded-Uri: /mcp", "X-Original-Method: POST", "X-Forwarded-Method: GET"},
			"a client's path beside the proxy's":     {"X-Forwarded-Uri: /mcp", "X-Original-Url: /x", "X-Forwarded-Method: GET"},
			"a client's host beside the proxy's":     {"X-Forwarded-Uri: /mcp", "X-Forwarded-Method: GET", "X-Forwarded-Host: a", "X-Original-Host: b"},
			"no method":                              {"X-Forwarded-Uri: /mcp"},
		} {
			if a := w.call(t, http.MethodGet, "/check", token, "", headers...); a.status != http.StatusBadRequest {
				t.Errorf("%s, by headers %v: %d %s", name, byHeaders, a.status, a.body)
			}
		}
		w.call(t, http.MethodGet, "/check", token, "", "X-Forwarded-Uri: /mcp", "X-Original-Uri: /mcp", "X-Forwarded-Method: GET").want(t, 200)
	}
}
