//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"testing"
)

// discovered is the issuer's metadata (RFC 8414), as far as tests ask.
type discovered struct {
	Issuer                string `json:"issuer"`
	AuthorizationEndpoint string `json:"authorization_endpoint"`
	TokenEndpoint         string `json:"token_endpoint"`
	RegistrationEndpoint  string `json:"registration_endpoint"`
}

// web reaches this machine by every name that leads to it, also where the resolver knows nothing of names below localhost.
func web() *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: dialHere, TLSClientConfig: shared.authority.client()}}
}

func dialHere(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if strings.HasSuffix(host, ".localhost") {
		address = net.JoinHostPort("127.0.0.1", port)
	}
	return new(net.Dialer).DialContext(ctx, network, address)
}

func discover(t *testing.T) discovered {
	t.Helper()
	return discoverAt(t, shared.server.Issuer)
}

func discoverAt(t *testing.T, issuer string) discovered {
	t.Helper()
	path := strings.TrimPrefix(issuer, origin(issuer))
	var d discovered
	getJSON(t, origin(issuer)+"/.well-known/oauth-authorization-server"+path, &d)
	if d.Issuer != issuer {
		t.Fatalf("metadata says issuer %q, not %q", d.Issuer, issuer)
	}
	return d
}

// register registers a public client dynamically (RFC 7591) and returns its id.
func register(t *testing.T, redirectURI string) string {
	t.Helper()
	return registerAt(t, shared.server.Issuer, redirectURI)
}

func registerAt(t *testing.T, issuer, redirectURI string) string {
	t.Helper()
	body, err := json.Marshal(map[string]any{
		"client_name": "Ostiary e2e", "redirect_uris": []string{redirectURI}, "token_endpoint_auth_method": "none",
		"grant_types": []string{"authorization_code", "refresh_token"}, "application_type": "native",
	})
	if err != nil {
		t.Fatal(err)
	}
	response, err := web().Post(discoverAt(t, issuer).RegistrationEndpoint, "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var registered struct {
		ClientID string `json:"client_id"`
	}
	if err := json.NewDecoder(response.Body).Decode(&registered); err != nil || response.StatusCode != http.StatusCreated {
		t.Fatalf("register: %s (%v)", response.Status, err)
	}
	return registered.ClientID
}

func getJSON(t *testing.T, rawURL string, into any) {
	t.Helper()
	response, err := web().Get(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s", rawURL, response.Status)
	}
	if err := json.NewDecoder(response.Body).Decode(into); err != nil {
		t.Fatalf("GET %s: %v", rawURL, err)
	}
}

// freePort returns a port that was free a moment ago.
func freePort(t *testing.T) int {
	t.Helper()
	port, err := pickPort()
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func pickPort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}
