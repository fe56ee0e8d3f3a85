//go:build e2e

package e2e

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// A member rewrites what people read: the preview follows while typing, and once published the next person reads it.
func TestDashboard_EditedWordingIsReadAtTheNextConsent(t *testing.T) {
	t.Parallel()
	const (
		server      = `a[href*="/servers/res_"]`
		description = chromedp.CSS(`#wording textarea[name="description"]`)
		written     = "Look things up in your tables. Nothing is changed."
	)
	tb := newTab(t)
	tb.open(shared.server.DashboardURL)
	tb.signIn(shared.server.Member)
	page := eval[string](tb, `document.querySelector('`+server+`').href`)

	tb.open(page + "/wording")
	tb.run(chromedp.Clear(description), chromedp.SendKeys(description, written))
	tb.until("the preview to follow", func() bool {
		return strings.Contains(eval[string](tb, `document.querySelector('#preview').innerText`), written)
	})
	tb.submit(chromedp.Click(chromedp.CSS(`#wording button.btn--primary`)))
	if kept := eval[string](tb, `document.querySelector('#wording textarea[name="description"]').value`); kept != written {
		t.Errorf("saved %q, the form holds %q", written, kept)
	}

	host := newHost(t)
	person := newTab(t)
	if p := person.toConsent(host.authorizeURL(t, nil)); strings.Contains(p.Text, written) {
		t.Error("the draft is read before it is published")
	}

	tb.open(page)
	publish := chromedp.CSS(`form[action$="/publish"] button`)
	tb.run(chromedp.WaitVisible(publish), chromedp.Focus(publish))
	tb.submit(chromedp.KeyEvent(kb.Enter))
	tb.screenshot("published")
	if p := person.toConsent(host.authorizeURL(t, nil)); !strings.Contains(p.Text, written) {
		t.Errorf("the consent page does not show the published wording:\n%s", p.Text)
	}
	tb.expectNoProblems()
	tb.expectOwnRequestsOnly()
}
