package app_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/ostiary/ostiary/app/apptest/host"
	"github.com/ostiary/ostiary/app/policy"
	"github.com/ostiary/ostiary/gate"
	"github.com/ostiary/ostiary/tenants"
	"github.com/ostiary/ostiary/tenants/tenanttest"
)

// gated is an MCP server behind a gate that follows the issuer.
type gated struct {
	url    string
	issuer string
}

func newGated(t *testing.T, s *host.Stack, tenant *tenanttest.Tenant) gated {
	t.Helper()
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, ": open\n\n")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"jsonrpc":"2.0","id":1,"result":{"content":[]}}`)
	}))
	t.Cleanup(upstream.Close)
	g, err := gate.New(t.Context(), gate.Options{
		Issuer: tenant.Issuer, ResourceID: tenant.ResourceID, Upstream: upstream.URL + "/mcp", Now: s.Clock.Now,
		HTTPClient: &http.Client{Transport: host.Transport()},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	front := httptest.NewServer(g.Handler())
	t.Cleanup(front.Close)
	return gated{url: front.URL, issuer: tenant.Issuer}
}

// ask sends a call, or opens a stream.
func (g gated) ask(t *testing.T, method, token, body string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, g.url+strings.TrimPrefix(tenanttest.Identifier, "http://localhost:8090"),
		strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

const runQuery = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"run_query"}}`

// call returns the status of a tool call and its body; zero for one that was ended under way, as whoever is refused meanwhile is.
func (g gated) call(t *testing.T, token string) (int, string) {
	t.Helper()
	resp := g.ask(t, http.MethodPost, token, runQuery)
	raw, err := io.ReadAll(resp.Body)
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return 0, string(raw)
	case err != nil:
		t.Fatal(err)
	}
	return resp.StatusCode, string(raw)
}

// What ends or stops at the issuer is denied at the gate, streams included, whichever node says so, and nobody else's.
func TestGate_HearsWhatEndsAndWhatStops(t *testing.T) {
	t.Parallel()
	for _, form := range forms {
		t.Run(string(form), func(t *testing.T) {
			t.Parallel()
			s := host.New(t, host.WithNodes(2), host.WithIssuers(form))
			g, theirs := newGated(t, s, s.Acme), newGated(t, s, s.Neighbour)
			c := s.Register(t, s.Acme, nil)
			one := s.Connect(t, host.NewBrowser(t), s.Acme, c.Authorize("data:read"), "data:read")
			other := s.Connect(t, host.NewBrowser(t), s.Acme, s.Register(t, s.Acme, nil).Authorize("data:read"), "data:read")
			nc := s.Register(t, s.Neighbour, nil)
			neighbour := s.Connect(t, host.NewBrowser(t), s.Neighbour, nc.Authorize("data:read"), "data:read")
			fine := func(g gated, token string) {
				t.Helper()
				if status, raw := g.call(t, token); status != http.StatusOK || strings.Contains(raw, "error") {
					t.Errorf("denied: %d %s", status, raw)
				}
			}
			fine(g, one.Access)
			fine(theirs, neighbour.Access)
			stream := g.ask(t, http.MethodGet, one.Access, "")

			c.Revoke(t, one.Refresh)
			eventually(t, "the revoked grant is denied", func() bool { status, _ := g.call(t, one.Access); return status == 401 })
			_, _ = io.Copy(io.Discard, stream.Body) // ends
			fine(g, other.Access)

			made := stopUser(t, s, s.Acme)
			stopped := func() bool { _, raw := g.call(t, other.Access); return strings.Contains(raw, "-32013") }
			eventually(t, "the stopped user is denied", stopped)
			if _, err := s.Stops.Lift(s.Acme.Operator(), made.ID); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the stop is lifted", func() bool { return !stopped() })
			fine(g, other.Access)
			fine(theirs, neighbour.Access)
		})
	}
}

func stopUser(t *testing.T, s *host.Stack, tenant *tenanttest.Tenant) tenants.Stop {
	t.Helper()
	made, err := s.Stops.Create(tenant.Operator(), tenants.NewStop{
		Kind: policy.StopUser, ResourceID: tenant.ResourceID, Value: tenant.UserID,
	})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// A node that goes while it tells takes nothing with it: the gate hears the rest from another.
func TestGate_HearsThroughRollingRestarts(t *testing.T) {
	t.Parallel()
	s := host.New(t, host.WithNodes(2))
	g := newGated(t, s, s.Acme)
	for i := range 2 {
		c := s.Register(t, s.Acme, nil)
		tokens := s.Connect(t, host.NewBrowser(t), s.Acme, c.Authorize("data:read"), "data:read")
		if status, raw := g.call(t, tokens.Access); status != http.StatusOK {
			t.Fatalf("denied: %d %s", status, raw)
		}
		c.Revoke(t, tokens.Refresh)
		s.Replace(t, i)
		eventually(t, "the revoked grant is denied", func() bool { status, _ := g.call(t, tokens.Access); return status == 401 })
	}
}
