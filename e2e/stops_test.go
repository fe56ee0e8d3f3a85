//go:build e2e

package e2e

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// The kill switch from the form to the lift, in a browser that runs no script, about a host that nobody here uses.
func TestPages_KillSwitch(t *testing.T) {
	t.Parallel()
	const nobody = "nobody-uses-this.example"
	tb := newTab(t)
	tb.open(shared.server.DashboardURL)
	tb.signIn(shared.server.Member)
	environment := strings.TrimSuffix(tb.location(), "/servers")
	tb.open(environment + "/stops/new?kind=host")
	tb.check("kill switch form")
	tb.run(chromedp.SendKeys(`input[name="value"]`, nobody), chromedp.SendKeys(`input[name="reason"]`, "A rehearsal."))
	tb.submit(chromedp.Click(`.stop-form .btn--primary`))
	tb.check("kill switch confirm")
	if text := tb.text(); !strings.Contains(text, nobody) || !strings.Contains(text, "Live connections") {
		t.Fatalf("the confirm page says %s", text)
	}
	tb.submit(chromedp.Click(`.btn--danger`))
	tb.check("kill switch list")
	if text := tb.text(); !strings.Contains(text, nobody) || !strings.Contains(text, "A rehearsal.") {
		t.Fatalf("the list says %s", text)
	}
	tb.submit(chromedp.Click(`.stop-lift button`))
	if text := tb.text(); !strings.Contains(text, "Nothing is stopped") || !strings.Contains(text, "Lifted") {
		t.Errorf("after the lift: %s", text)
	}
	tb.expectOwnRequestsOnly()
	tb.expectNoProblems()
}
