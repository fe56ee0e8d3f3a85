package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/ostiary/ostiary/app/apptest/host"
	"github.com/ostiary/ostiary/app/calls"
	"github.com/ostiary/ostiary/app/clock"
	"github.com/ostiary/ostiary/app/secret"
	"github.com/ostiary/ostiary/tenants/calllog"
)

func TestCalls_PrintsListExplanationAndLegacyUse(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	run := func(o callsOptions) (string, error) {
		if o.tenant == "" {
			o.tenant = s.Acme.Slug
		}
		if o.since == "" {
			o.since = "1d"
		}
		var out bytes.Buffer
		err := showCalls(operator(t.Context()), s.App, o, &out)
		return out.String(), err
	}
	for name, o := range map[string]callsOptions{"No call": {}, "Nobody used a legacy key": {legacy: true}} {
		if out, err := run(o); err != nil || !strings.Contains(out, name) {
			t.Errorf("empty: %q, %v", out, err)
		}
	}
	r := calls.Record{
		ID: secret.NewID("call"), At: clock.System(), Kind: "tool", Tool: "route_signal", User: s.Acme.UserID, Client: "c", Host: "claude",
		Organization: s.Acme.OrganizationID, Grant: secret.NewID("grt"),
		Proof: calls.ProofToken, Scopes: []string{"data:read"}, Reason: "insufficient_scope", Missing: []string{"signals:write"}, Revision: 1,
		Status: 403, LatencyUS: 1500,
	}
	s.Grant(t, s.Acme, r)
	old := r
	old.ID, old.Proof, old.User, old.Tool = secret.NewID("call"), calls.ProofLegacy, "pilot\u202ekey", "run_query"
	old.Allowed, old.Reason, old.Missing = true, "allowed", nil
	if _, err := s.App.Calls().Keep(s.Acme.Context(), s.Acme.ResourceID, calls.Batch{Calls: []calls.Record{r, old}, Dropped: 7}); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		o    callsOptions
		says []string
	}{
		"list":     {callsOptions{}, []string{"route_signal", s.Acme.UserEmail, "denied", "insufficient_scope", "1.5ms", "7 calls are missing"}},
		"server":   {callsOptions{server: "acme data", decision: "denied"}, []string{"route_signal"}},
		"explain":  {callsOptions{explain: r.ID}, []string{"did not carry “Route signals”", "To change it", "comes out the same"}},
		"legacy":   {callsOptions{legacy: true}, []string{"pilot\uFFFDkey", "Acme Data"}},
		"filtered": {callsOptions{filter: calllog.Filter{Tool: "nothing"}}, []string{"No call in the last 1d"}},
	} {
		out, err := run(c.o)
		for _, w := range c.says {
			if err != nil || !strings.Contains(out, w) {
				t.Errorf("%s: no %q in %q, %v", name, w, out, err)
			}
		}
	}
	out, err := run(callsOptions{json: true, decision: "denied"})
	var found calllog.Call
	if err != nil || json.Unmarshal([]byte(out), &found) != nil || found.ID != r.ID || found.UserEmail != s.Acme.UserEmail {
		t.Errorf("JSON: %q, %v", out, err)
	}
	var x calllog.Explanation
	if out, err := run(callsOptions{json: true, explain: r.ID}); err != nil || json.Unmarshal([]byte(out), &x) != nil ||
		x.Standing != calllog.Confirmed || x.Call.ID != r.ID {
		t.Errorf("JSON: %q, %v", out, err)
	}
	for name, o := range map[string]callsOptions{
		"no call with this id":   {environmentFlags: environmentFlags{tenant: s.Neighbour.Slug}, explain: r.ID},
		"there is no MCP server": {server: "nothing"},
		"--since":                {since: "yesterday"},
		"there is no tenant":     {environmentFlags: environmentFlags{tenant: "nobody"}},
		"--decision":             {decision: "maybe"},
	} {
		if out, err := run(o); err == nil || !strings.Contains(err.Error(), name) || out != "" {
			t.Errorf("%s: %q, %v", name, out, err)
		}
	}
}
