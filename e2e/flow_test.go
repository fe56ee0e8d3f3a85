//go:build e2e

package e2e

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

const (
	emailField    = chromedp.CSS(`input[name="email"]`)
	passwordField = chromedp.CSS(`input[name="password"]`)
	approveButton = chromedp.CSS(`button[name="decision"][value="approve"]`)
	denyButton    = chromedp.CSS(`button[name="decision"][value="deny"]`)
)

// scopeBox is one permission on the consent page.
type scopeBox struct {
	Value   string `json:"value"`
	Checked bool   `json:"checked"`
	Type    string `json:"type"`
}

// consentPage is what the consent page shows.
type consentPage struct {
	Text   string     `json:"text"`
	Scopes []scopeBox `json:"scopes"`
}

func (p consentPage) box(scope string) (scopeBox, bool) {
	i := slices.IndexFunc(p.Scopes, func(b scopeBox) bool { return b.Value == scope })
	if i < 0 {
		return scopeBox{}, false
	}
	return p.Scopes[i], true
}

// choice is what a person decides on the consent page.
type choice struct {
	approve bool
	preset  string   // all or read; otherwise custom, if the page has presets
	scopes  []string // exactly these; nil leaves what is ticked
}

// approveOnly ticks exactly these permissions and approves.
func approveOnly(scopes ...string) choice { return choice{approve: true, scopes: scopes} }

// signIn fills in the login form, issuer's or dashboard's, as a person with a keyboard does.
func (tb *tab) signIn(who credentials) {
	tb.t.Helper()
	tb.run(
		chromedp.WaitVisible(emailField),
		chromedp.Clear(emailField),
		chromedp.SendKeys(emailField, who.Email),
		chromedp.SendKeys(passwordField, who.Password),
	)
	tb.submit(chromedp.SendKeys(passwordField, kb.Enter))
}

// step says which of our pages is shown.
func (tb *tab) step() string {
	tb.t.Helper()
	return eval[string](tb, `document.querySelector('button[name="decision"]') ? 'consent' : `+
		`document.querySelector('input[name="password"]') ? 'login' : 'other'`)
}

// toConsent opens an authorization URL and signs in if asked.
func (tb *tab) toConsent(authorizeURL string) consentPage {
	tb.t.Helper()
	tb.open(authorizeURL)
	if tb.step() == "login" {
		tb.signIn(tb.server.User)
	}
	if step := tb.step(); step != "consent" {
		tb.screenshot("failed")
		tb.t.Fatalf("expected the consent page, got %s at %s:\n%s", step, tb.location(), tb.text())
	}
	return eval[consentPage](tb, `({text: document.body.innerText, `+
		`scopes: [...document.querySelectorAll('[name="scope"]')]`+
		`.map(b => ({value: b.value, checked: b.type === 'hidden' || b.checked, type: b.type}))})`)
}

// click clicks an element wherever it is on the page: a checkbox may be drawn by its label.
func (tb *tab) click(selector string) {
	tb.t.Helper()
	tb.run(chromedp.Evaluate[chromedp.Void]("document.querySelector(" + quote(selector) + ").click()"))
}

// decide ticks and presses as chosen, and returns the redirect to the client.
func (tb *tab) decide(p consentPage, c choice) *url.URL {
	tb.t.Helper()
	if c.preset != "" {
		tb.click(`input[name="preset"][value="` + c.preset + `"]`)
	}
	if c.scopes != nil {
		if eval[bool](tb, `!!document.querySelector('input[name="preset"]')`) {
			tb.click(`input[name="preset"][value="custom"]`)
		}
		for _, wanted := range c.scopes {
			if _, ok := p.box(wanted); !ok {
				tb.t.Fatalf("the consent page does not offer %s, only %+v", wanted, p.Scopes)
			}
		}
		for _, box := range p.Scopes {
			if box.Checked != slices.Contains(c.scopes, box.Value) {
				tb.click(`input[name="scope"][value="` + box.Value + `"]`)
			}
		}
	}
	button := denyButton
	if c.approve {
		button = approveButton
	}
	tb.submit(chromedp.Click(button))
	tb.until("the redirect to the client", func() bool { return tb.left() != "" })
	redirect, err := url.Parse(tb.left())
	if err != nil {
		tb.t.Fatal(err)
	}
	if iss := redirect.Query().Get("iss"); iss != tb.server.Issuer {
		tb.t.Errorf("the redirect says iss=%q, metadata says %q (RFC 9207)", iss, tb.server.Issuer)
	}
	return redirect
}

// authorize is a person who signs in and decides: from the URL that a client opened to the redirect back to it.
func (s *server) authorize(t *testing.T, authorizeURL string, c choice) consentPage {
	t.Helper()
	tb := s.newTab(t)
	p := tb.toConsent(authorizeURL)
	redirect := tb.decide(p, c)
	key := "error"
	if c.approve {
		key = "code"
	}
	if redirect.Query().Get(key) == "" {
		t.Errorf("the redirect to the client carries no %s", key)
	}
	tb.expectOwnRequestsOnly()
	return p
}

// requestedScopes are those in an authorization URL.
func requestedScopes(t *testing.T, authorizeURL string) []string {
	t.Helper()
	u, err := url.Parse(authorizeURL)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(u.Query().Get("scope"))
}
