package oauth_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/ostiary/ostiary/app/apptest/host"
	"github.com/ostiary/ostiary/oauth/ratelimit"
	"github.com/ostiary/ostiary/tenants/tenanttest"
)

// An address that names app after app nobody knows waits; who is known, or was here before, does not.
func TestLimits_StrangersDocumentsWait(t *testing.T) {
	t.Parallel()
	s := onLoopback(t, host.WithNodes(1), host.WithRateLimit(1200)) // three for an address in one environment, four in all
	s.Clock.BeginWindow(ratelimit.Window)
	met, confirmed := publish(t, nil), publish(t, nil)
	s.Connect(t, host.NewBrowser(t), s.Acme, clientAt(s.Acme, confirmed.id(), host.WebRedirect).Authorize("data:read"), "data:read")
	s.Restart(t) // no node remembers it: only its row is left
	s.Clock.Advance(ratelimit.Window)
	b := host.NewBrowser(t)
	open := func(tenant *tenanttest.Tenant, p *publisher) host.Page {
		return b.Open(t, clientAt(tenant, p.id(), host.WebRedirect).Authorize("data:read").URL())
	}
	for n, p := range []*publisher{met, publish(t, nil), publish(t, nil)} {
		if page := open(s.Acme, p); page.Status != http.StatusOK {
			t.Fatalf("new app %d: %d %q", n, page.Status, page.Text("h1"))
		}
	}
	late := publish(t, nil)
	page := open(s.Acme, late)
	wait, err := strconv.Atoi(page.Header.Get("Retry-After"))
	if page.Status != http.StatusTooManyRequests || page.Location != nil || err != nil || wait < 1 || wait > 61 {
		t.Errorf("the fourth: %d %v, Retry-After %q", page.Status, page.Location, page.Header.Get("Retry-After"))
	}
	if !strings.Contains(page.Text("body"), "Try again in a minute") || late.asked.Load() != 0 {
		t.Errorf("%d fetches, and the page says %q", late.asked.Load(), page.Text("body"))
	}
	if steps := findAttempt(t, s, caseOnPage.FindString(page.Text("body"))); story(steps) != "authorize:refused:client_document_limited" {
		t.Errorf("the attempt reads %q", story(steps))
	}
	if page = open(s.Acme, met); page.Status != http.StatusOK {
		t.Errorf("one we have: %d %q", page.Status, page.Text("h1"))
	}
	if page = open(s.Acme, confirmed); page.Status != http.StatusOK {
		t.Errorf("one that was allowed something here: %d %q", page.Status, page.Text("h1"))
	}
	first, second := open(s.Neighbour, publish(t, nil)), open(s.Neighbour, publish(t, nil))
	if first.Status != http.StatusOK || second.Status != http.StatusTooManyRequests {
		t.Errorf("from environment to environment: %d, then %d", first.Status, second.Status)
	}
	s.Clock.Advance(ratelimit.Window)
	if page = open(s.Acme, late); page.Status != http.StatusOK {
		t.Errorf("a minute later: %d %q", page.Status, page.Text("h1"))
	}
}
