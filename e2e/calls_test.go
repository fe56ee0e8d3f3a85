//go:build e2e

package e2e

import (
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// Calls from the list to why each was decided so, with a browser and calls that went through the real gate.
func TestPages_CallsAndWhy(t *testing.T) {
	t.Parallel()
	host := newHost(t)
	consent := newTab(t)
	consent.decide(consent.toConsent(host.authorizeURL(t, nil)), approveOnly(allowedScope))
	access, _ := host.token(t)
	callThroughGate(t, access, allowedTool)
	callThroughGate(t, access, refusedTool)

	tb := newTab(t)
	tb.open(shared.server.DashboardURL)
	tb.signIn(shared.server.Member)
	list := strings.TrimSuffix(tb.location(), "/servers") + "/activity/calls"
	tb.until("the calls to be reported", func() bool {
		tb.open(list + "?tool=" + refusedTool)
		return strings.Contains(tb.text(), "Permission missing")
	})
	tb.check("calls")
	tb.walk()
	tb.submit(chromedp.Click(`.table a.row-title`))
	tb.check("call denied")
	tb.walk()
	if text := tb.text(); !strings.Contains(text, refusedTool+" was denied") || !strings.Contains(text, "did not carry") ||
		!strings.Contains(text, "The record fits.") {
		t.Errorf("the page says %s", text)
	}
	tb.open(list + "?tool=nothing-of-this-name")
	tb.check("calls none found")
	if text := tb.text(); !strings.Contains(text, "No call found") {
		t.Errorf("the empty list says %s", text)
	}
	tb.expectOwnRequestsOnly()
	tb.expectNoProblems()
}

// callThroughGate calls a tool through the gate; the answer is for other tests to judge.
func callThroughGate(t *testing.T, access, tool string) {
	t.Helper()
	body := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"` + tool + `","arguments":` + toolArguments[tool] + `}}`
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, shared.server.MCPURL, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+access)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/json, text/event-stream")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	if err := response.Body.Close(); err != nil {
		t.Error(err)
	}
}
