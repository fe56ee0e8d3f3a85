package dashboard_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"

	"github.com/ostiary/ostiary/app/calls"
	"github.com/ostiary/ostiary/app/policy"
	"github.com/ostiary/ostiary/app/secret"
	"github.com/ostiary/ostiary/tenants"
	"github.com/ostiary/ostiary/tenants/calllog"
	"github.com/ostiary/ostiary/tenants/tenanttest"
)

const callList = "/environments/acme-dev/activity/calls"

// call records a denied call of the tenant's user.
func (s *site) call(t *testing.T, tenant *tenanttest.Tenant, change func(*calls.Record)) calls.Record {
	t.Helper()
	s.Clock.Advance(time.Second)
	r := calls.Record{
		ID: secret.NewID("call"), At: s.Clock.Now().UTC(), Kind: policy.TargetTool, Tool: "route_signal", User: tenant.UserID,
		Organization: tenant.OrganizationID, Client: "https://claude.ai/client", Host: "claude-code", Grant: secret.NewID("grt"),
		Proof: calls.ProofToken, Scopes: []string{"data:read"}, Reason: policy.ReasonInsufficientScope, Missing: []string{"signals:write"},
		Revision: 1, Sequence: 1, Status: 403, LatencyUS: 1840,
	}
	change(&r)
	if _, err := calllog.New(s.Deps).Keep(tenant.Context(), tenant.ResourceID, calls.Batch{Calls: []calls.Record{r}}); err != nil {
		t.Fatal(err)
	}
	return r
}

func allowed(r *calls.Record) {
	r.Tool, r.Allowed, r.Reason, r.Missing, r.Status = "run_query", true, policy.ReasonAllowed, nil, 200
}

func TestCalls_EmptyListFiltersAndPages(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.signedIn(t, s.Acme, tenants.RoleViewer)
	p := b.get(callList).want(http.StatusOK).wantText("No call has been reported yet", "--credential-file", "credential")
	if p.has(`form[role="search"]`) || strings.TrimSpace(p.Find(`.tabs a[aria-current="page"]`).Text()) != "Calls" {
		t.Error("the empty list has filters, or no current tab")
	}
	b.get("/environments/acme-dev/activity").want(http.StatusOK)
	s.call(t, s.Neighbour, func(r *calls.Record) { r.Tool = "foreign_tool" })
	for n := range 30 {
		s.call(t, s.Acme, func(r *calls.Record) { allowed(r); r.Tool = fmt.Sprintf("tool_%02d", n) })
	}
	s.call(t, s.Acme, func(*calls.Record) {})
	p = b.get(callList).want(http.StatusOK).wantText("route_signal", "Denied", "Permission missing", "Demo User", "Northwind Logistics",
		"Claude Code", "1.8 ms", "tool_29", "tool_06")
	if strings.Contains(p.text, "foreign_tool") || strings.Contains(p.text, "tool_05") {
		t.Error("the first page shows the neighbour's calls, or too many")
	}
	next := p.Find(`a[rel="next"]`).AttrOr("href", "")
	s.call(t, s.Acme, func(r *calls.Record) { r.Tool = "newest" })
	p = b.get(next).want(http.StatusOK).wantText("tool_05", "tool_00")
	p = b.get(p.Find(`a[rel="prev"]`).AttrOr("href", "")).want(http.StatusOK).wantText("tool_06", "route_signal")
	if strings.Contains(p.text, "newest") || p.Find(`a[rel="prev"]`).Length() != 1 {
		t.Error("the pages do not fit together")
	}
	for query, says := range map[string]string{
		"decision=denied": "route_signal", "tool=route_signal": "route_signal", "host=claude-code&back=1h": "tool_29",
		"user=" + url.QueryEscape(s.Acme.UserEmail): "newest", "server=" + s.Acme.ResourceID: "newest",
		"organization=northwind": "newest", "tool=nothing": "No call found", "proof=legacy": "No call found", "host=unverified": "No call found",
		"tool=" + url.QueryEscape(`"><script>`): "No call found", "user=%00": "No call found", "decision=maybe": "newest",
		"before=x&after=-1": "newest", "before=99999999999999999999-x": "newest", "before=1-" + strings.Repeat("A", 30): "No call found",
	} {
		b.get(callList + "?" + query).want(http.StatusOK).wantText(says)
	}
	hosts := p.Find(`select[name="host"] option`).Map(func(_ int, o *goquery.Selection) string { return strings.ToLower(o.Text()) })
	if known := hosts[1 : len(hosts)-1]; len(known) < 10 || !slices.IsSorted(known) { // between "Any" and "Not verified"
		t.Errorf("the hosts are not in order: %q", known)
	}
	p = b.get(callList + "?decision=denied&host=my.example&user=a").want(http.StatusOK)
	if p.Find(`select[name="decision"] option[selected]`).AttrOr("value", "") != "denied" ||
		p.Find(`select[name="host"] option[selected]`).AttrOr("value", "") != "my.example" ||
		p.Find(`input[name="user"]`).AttrOr("value", "") != "a" {
		t.Error("the filters forget what was chosen")
	}
	s.browser(t).get(callList).want(http.StatusSeeOther)
}

func TestCalls_SaysThatCallsAreMissing(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	if _, err := calllog.New(s.Deps).Keep(s.Acme.Context(), s.Acme.ResourceID, calls.Batch{Dropped: 1200}); err != nil {
		t.Fatal(err)
	}
	s.signedIn(t, s.Acme, tenants.RoleViewer).get(callList).want(http.StatusOK).wantText("1,200 calls of the last week were lost")
	p := s.signedIn(t, s.Neighbour, tenants.RoleViewer).get("/environments/neighbour-dev/activity/calls").want(http.StatusOK)
	if strings.Contains(p.text, "lost") {
		t.Error("the neighbour hears of Acme's losses")
	}
}

func TestCall_SaysWhyAndShowsAuditedArgumentsOnly(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	r := s.call(t, s.Acme, func(r *calls.Record) {
		r.Arguments = map[string]json.RawMessage{"destination": json.RawMessage(`"<script>alert(1)</script>\u202e"`)}
	})
	s.Grant(t, s.Acme, r)
	forged := s.call(t, s.Acme, func(r *calls.Record) { allowed(r); r.Scopes = nil })
	foreign := s.call(t, s.Neighbour, func(*calls.Record) {})
	b := s.signedIn(t, s.Acme, tenants.RoleViewer)
	p := b.get(callList+"/"+r.ID).want(http.StatusOK).wantText("route_signal was denied", "did not carry “Route signals” (signals:write)",
		"Demo User can allow it", "The record fits.", "<script>alert(1)</script>", r.ID, "HTTP 403", "1.8 ms", "Claude Code", "user@northwind.example")
	if p.has("main script") || strings.Contains(p.text, "\u202e") {
		t.Error("an argument is more than text")
	}
	if p.has(`a[href*="/stops/new"]`) {
		t.Error("a viewer is led to a form they may not send")
	}
	stop := s.signedIn(t, s.Acme, tenants.RoleEditor).get(callList + "/" + r.ID).Find(`main a[href*="/stops/new"]`)
	s.signedIn(t, s.Acme, tenants.RoleEditor).get(stop.AttrOr("href", "")).want(http.StatusOK).wantText("Stop")
	unknown := s.call(t, s.Acme, func(r *calls.Record) { r.Tool, r.Reason, r.Missing = "nonsense", policy.ReasonUnknownTool, nil })
	if s.signedIn(t, s.Acme, tenants.RoleEditor).get(callList + "/" + unknown.ID).has(`a[href*="/stops/new"]`) {
		t.Error("a tool that nobody has is offered to be stopped")
	}
	more := p.Find(`main a[href*="?user="]`).AttrOr("href", "")
	b.get(more).want(http.StatusOK).wantText("route_signal")
	b.get(callList+"/"+forged.ID).want(http.StatusOK).wantText("The record does not fit.", "“insufficient_scope”", "What does not fit")
	for _, id := range []string{foreign.ID, secret.NewID("call"), "nonsense", "%00", "call_'%20or%201=1"} {
		b.get(callList + "/" + id).want(http.StatusNotFound)
	}
	s.browser(t).get(callList + "/" + r.ID).want(http.StatusSeeOther)
}
