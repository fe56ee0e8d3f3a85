//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// The example of RFC 7636 appendix B.
const (
	codeVerifier  = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	codeChallenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
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
		"code_challenge": {codeChallenge}, "code_challenge_method": {"S256"},
		"resource": {shared.server.MCPURL}, "scope": {"data:read profiles:read signals:write segments:delete"},
	}
	for name, values := range change {
		query[name] = values
	}
	return discover(t).AuthorizationEndpoint + "?" + query.Encode()
}

// expectCode waits for the browser to arrive at the callback with a code, the state and the issuer, and returns the code.
func (h *host) expectCode(t *testing.T) string {
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
	return answer.Get("code")
}

// redeem exchanges the code that arrived and returns the scopes granted.
func (h *host) redeem(t *testing.T) []string {
	t.Helper()
	_, scopes := h.token(t)
	return scopes
}

// token exchanges the code that arrived for an access token and its scopes.
func (h *host) token(t *testing.T) (access string, scopes []string) {
	t.Helper()
	response, err := http.PostForm(discover(t).TokenEndpoint, url.Values{
		"grant_type": {"authorization_code"}, "code": {h.expectCode(t)}, "client_id": {h.clientID},
		"redirect_uri": {h.callback}, "resource": {shared.server.MCPURL}, "code_verifier": {codeVerifier},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var token struct {
		Access string `json:"access_token"`
		Scope  string `json:"scope"`
	}
	if err := json.NewDecoder(response.Body).Decode(&token); err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("token: %s (%v)", response.Status, err)
	}
	return token.Access, strings.Fields(token.Scope)
}
