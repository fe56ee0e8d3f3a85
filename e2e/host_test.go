//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
)

// host is an AI host's callback, as a server on loopback.
type host struct {
	clientID string
	callback string

	mu     sync.Mutex
	answer url.Values
}

func newHost(t *testing.T) *host {
	t.Helper()
	h := &host{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/callback" {
			w.WriteHeader(http.StatusNoContent) // favicon
			return
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		h.answer = r.URL.Query()
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, "<!doctype html><title>back</title>Back in the host.")
	}))
	t.Cleanup(server.Close)
	h.callback = server.URL + "/callback"
	h.clientID = register(t, h.callback)
	return h
}

// authorizeURL asks for every permission that the MCP server's metadata lists and for the destructive one; change overrides.
func (h *host) authorizeURL(t *testing.T, change url.Values) string {
	t.Helper()
	query := url.Values{
		"response_type": {"code"}, "client_id": {h.clientID}, "redirect_uri": {h.callback}, "state": {"state-of-the-host"},
		"code_challenge": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}, "code_challenge_method": {"S256"},
		"resource": {shared.server.MCPURL}, "scope": {"data:read profiles:read signals:write segments:delete"},
	}
	for name, values := range change {
		query[name] = values
	}
	return discover(t).AuthorizationEndpoint + "?" + query.Encode()
}

// expectCode waits for the browser to arrive at the callback with a code, the state and the issuer.
func (h *host) expectCode(t *testing.T) {
	t.Helper()
	var answer url.Values
	if !poll(stepTimeout, func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		answer = h.answer
		return answer != nil
	}) {
		t.Fatal("the browser never came back to the host")
	}
	state, iss := answer.Get("state"), answer.Get("iss")
	if answer.Get("code") == "" || state != "state-of-the-host" || iss != shared.server.Issuer {
		t.Errorf("the host got code %t, state %q, iss %q", answer.Get("code") != "", state, iss)
	}
}
