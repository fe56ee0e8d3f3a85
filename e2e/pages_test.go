//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"
)

// maxDashboardPages bounds the walk through the dashboard.
const maxDashboardPages = 40

// views are the ways in which every page is looked at.
var views = []struct {
	name  string
	setUp []action
	size  func(height int64) action
}{
	{"light", []action{light(), desktop(900)}, desktop},
	{"dark", []action{dark(), desktop(900)}, desktop},
	{"phone", []action{light(), phone(640)}, phone},
	{"phone dark", []action{dark(), phone(640)}, phone},
}

func TestPages_IssuerPagesAreAccessible(t *testing.T) {
	t.Parallel()
	host := newHost(t)
	tb := newTab(t)
	tb.open(host.authorizeURL(t, nil))
	tb.check("login")
	tb.signIn(shared.server.User)
	if step := tb.step(); step != "consent" {
		t.Fatalf("expected consent, got %s:\n%s", step, tb.text())
	}
	tb.check("consent")
	tb.expectOwnRequestsOnly()
	tb.expectNoProblems()
}

func TestPages_LoginSaysWhatWentWrong(t *testing.T) {
	t.Parallel()
	tb := newTab(t)
	tb.open(newHost(t).authorizeURL(t, nil))
	tb.signIn(credentials{Email: shared.server.User.Email, Password: "not the password"})
	if step := tb.step(); step != "login" {
		t.Fatalf("expected the login page again, got %s", step)
	}
	if kept := eval[string](tb, `document.querySelector('input[name="email"]').value`); kept != shared.server.User.Email {
		t.Errorf("the e-mail field holds %q, what was typed is lost", kept)
	}
	if kept := eval[string](tb, `document.querySelector('input[name="password"]').value`); kept != "" {
		t.Error("the page carries the password back")
	}
	tb.check("login refused")
}

// An error about the client or its redirect URI is shown here and never redirected (RFC 6749 §4.1.2.1).
func TestPages_UnknownClientIsShownNotRedirected(t *testing.T) {
	t.Parallel()
	tb := newTab(t)
	host := newHost(t)
	tb.open(host.authorizeURL(t, url.Values{"client_id": {"cli_nobody"}}))
	tb.check("unknown client")
	if tb.left() != "" {
		t.Error("the browser was sent away")
	}
	tb = newTab(t)
	tb.open(host.authorizeURL(t, url.Values{"redirect_uri": {"https://attacker.example/callback"}}))
	tb.check("unknown redirect")
	if tb.left() != "" {
		t.Error("the browser was sent to an unregistered redirect URI")
	}
	tb.expectOwnRequestsOnly()
}

// ids stand in paths; one page of each kind is looked at.
var ids = regexp.MustCompile(`[a-z]{3}_[A-Z2-7]{26}`)

// Every kind of page of the dashboard that a link leads to.
func TestPages_DashboardIsAccessible(t *testing.T) {
	t.Parallel()
	tb := newTab(t)
	tb.open(shared.server.DashboardURL)
	tb.check("dashboard sign-in")
	tb.signIn(shared.server.Member)
	if step := tb.step(); step == "login" {
		t.Fatalf("the member was not signed in:\n%s", tb.text())
	}
	start := eval[string](tb, `location.pathname`)
	kind := func(path string) string { return ids.ReplaceAllString(path, "id") }
	seen := map[string]bool{kind(start): true}
	queue := []string{start}
	for len(queue) > 0 && len(seen) <= maxDashboardPages {
		path := queue[0]
		queue = queue[1:]
		tb.open(origin(shared.server.DashboardURL) + path)
		tb.check("dashboard" + strings.ReplaceAll(kind(path), "/", "-"))
		for _, next := range eval[[]string](tb, links) {
			if !seen[kind(next)] && !strings.HasPrefix(next, "/static/") && !strings.Contains(next, "/i/") {
				seen[kind(next)] = true
				queue = append(queue, next)
			}
		}
	}
	if len(seen) < 2 {
		t.Errorf("the dashboard links to nothing from %s", start)
	}
	tb.expectOwnRequestsOnly()
	tb.expectNoProblems()
}

// The states of the newer screens that a walk through a living dashboard does not meet: long names, gaps, doubts, refusals.
func TestPages_StoriesAreAccessible(t *testing.T) {
	t.Parallel()
	tb := newTab(t)
	tb.open(shared.server.DashboardURL + "/storybook/")
	stories := slices.DeleteFunc(eval[[]string](tb, links), func(path string) bool {
		return !strings.HasPrefix(path, "/storybook/call") && !strings.HasPrefix(path, "/storybook/stop")
	})
	slices.Sort(stories)
	stories = slices.Compact(stories)
	if len(stories) < 10 {
		t.Fatalf("the storybook shows only %q", stories)
	}
	for _, path := range stories {
		tb.open(origin(shared.server.DashboardURL) + path)
		tb.check(strings.ReplaceAll(strings.Trim(path, "/"), "/", "-"))
		tb.walk()
	}
	tb.expectOwnRequestsOnly()
}

func TestConsent_WorksWithoutScript(t *testing.T) {
	t.Parallel()
	host := newHost(t)
	tb := newTab(t, withoutScript())
	p := tb.toConsent(host.authorizeURL(t, nil))
	tb.decide(p, approveOnly(allowedScope))
	if got := host.redeem(t); !slices.Equal(got, []string{allowedScope}) {
		t.Errorf("ticked %s only, granted %q", allowedScope, got)
	}
}

// "All" and "Read only" are shortcuts that never include what destroys.
func TestConsent_PresetsNeverIncludeTheDestructive(t *testing.T) {
	t.Parallel()
	for preset, wanted := range map[string][]string{
		"all":  {"data:read", "profiles:read", "signals:write"},
		"read": {"data:read", "profiles:read"},
	} {
		t.Run(preset, func(t *testing.T) {
			t.Parallel()
			host := newHost(t)
			tb := newTab(t)
			tb.decide(tb.toConsent(host.authorizeURL(t, nil)), choice{approve: true, preset: preset})
			got := host.redeem(t)
			slices.Sort(got)
			if !slices.Equal(got, wanted) {
				t.Errorf("granted %q, want %q", got, wanted)
			}
		})
	}
}

// Browsers hold redirects after a form post to the page's form-action: the page must let the host's callback through.
func TestConsent_FormLeadsBackToTheHost(t *testing.T) {
	t.Parallel()
	host := newHost(t)
	tb := newTab(t)
	redirect := tb.decide(tb.toConsent(host.authorizeURL(t, nil)), approveOnly(allowedScope))
	if !strings.HasPrefix(redirect.String(), host.callback+"?") {
		t.Errorf("redirected to %s, not to %s", redirect.Host, host.callback)
	}
	host.expectCode(t)
	tb.expectNoProblems()
}

func TestConsent_CannotBeFramed(t *testing.T) {
	t.Parallel()
	host := newHost(t)
	target := host.authorizeURL(t, nil)
	attacker := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, `<!doctype html><title>framing</title><iframe src="%s" width="600" height="600"></iframe>`, target)
	}))
	t.Cleanup(attacker.Close)
	tb := newTab(t)
	p := tb.toConsent(target) // the victim is signed in
	if len(p.Scopes) == 0 {
		t.Fatal("no permission on the consent page")
	}
	tb.open(attacker.URL)
	tb.until("the browser's refusal to frame", func() bool {
		tb.mu.Lock()
		defer tb.mu.Unlock()
		return slices.ContainsFunc(tb.problems, func(s string) bool { return strings.Contains(s, "frame-ancestors") })
	})
}

// Everything on the consent page can be reached and decided with the keyboard, and one sees where one is.
func TestConsent_WorksWithTheKeyboard(t *testing.T) {
	t.Parallel()
	host := newHost(t)
	tb := newTab(t)
	tb.toConsent(host.authorizeURL(t, nil))
	if eval[bool](tb, `!!document.querySelector('input[name="preset"]')`) {
		tb.click(`input[name="preset"][value="custom"]`)
	}
	reached := tb.walk()
	for _, wanted := range []string{"scope=" + allowedScope, "decision=approve", "decision=deny"} {
		if !slices.Contains(reached, wanted) {
			t.Errorf("the keyboard does not reach %s, only %q", wanted, reached)
		}
	}
	tb.run(chromedp.Focus(approveButton))
	tb.submit(chromedp.KeyEvent("\r"))
	tb.until("the redirect to the client", func() bool { return tb.left() != "" })
	host.expectCode(t)
}

// check looks at the page in every view: axe finds nothing, nothing scrolls sideways, and a picture is kept.
func (tb *tab) check(name string) {
	tb.t.Helper()
	for _, view := range views {
		tb.run(view.setUp...)
		tb.settle()
		for _, violation := range tb.axe() {
			tb.t.Errorf("%s, %s: %s", name, view.name, violation)
		}
		if wide := eval[int](tb, `document.documentElement.scrollWidth - document.documentElement.clientWidth`); wide > 0 {
			element := eval[string](tb, widestElement)
			tb.t.Errorf("%s, %s: the page is %d px wider than the screen: %s", name, view.name, wide, element)
		}
		tb.grow(view.size)
		tb.screenshot(name + "-" + view.name)
	}
	tb.run(views[0].setUp...)
}

// links are where the page leads on this site.
const links = `[...document.querySelectorAll('a[href]')]` +
	`.filter(a => a.origin === location.origin && !a.hasAttribute('download')).map(a => a.pathname)`

const widestElement = `(() => { const wide = [...document.body.querySelectorAll('*')].filter(e => ` +
	`e.getBoundingClientRect().right > document.documentElement.clientWidth + 1).pop(); ` +
	`return wide ? wide.outerHTML.slice(0, 200) : 'no single element'; })()`

// axeSource reads the accessibility checker once.
var axeSource = sync.OnceValues(func() (string, error) {
	source, err := os.ReadFile(filepath.Join(shared.modules, "axe-core", "axe.min.js"))
	return string(source), err
})

// grow makes the window as high as the page, so that bars that stick to its edge stand where they belong in a picture.
func (tb *tab) grow(size func(height int64) action) {
	tb.t.Helper()
	tb.run(size(max(640, eval[int64](tb, `document.documentElement.scrollHeight`))))
}

// settle waits until colours have changed over: in the middle of a transition they are neither.
func (tb *tab) settle() {
	tb.t.Helper()
	eval[int](tb, `Promise.allSettled(document.getAnimations().map(a => a.finished)).then(all => all.length)`)
}

// axe returns what axe-core finds wrong with the page: WCAG 2.2 AA and its best practices.
func (tb *tab) axe() []string {
	tb.t.Helper()
	source, err := axeSource()
	if err != nil {
		tb.t.Fatal(err)
	}
	tb.run(chromedp.Evaluate[chromedp.Void]("if (!window.axe) {" + source + "}"))
	return eval[[]string](tb, `axe.run(document, {resultTypes: ['violations']}).then(r => r.violations.map(v => `+
		`v.id + ' (' + v.impact + '): ' + v.help + ': ' + `+
		`v.nodes.slice(0, 3).map(n => n.target + ' ' + n.html.slice(0, 120)).join(' | ')))`)
}

// walk presses Tab until it has been everywhere, and returns the form controls it met as name=value. An element that has the
// focus but does not show it is an error.
func (tb *tab) walk() []string {
	tb.t.Helper()
	var reached []string
	first := ""
	for range 100 {
		tb.run(chromedp.KeyEvent("\t"))
		here := eval[struct{ ID, Control, HTML, Unseen string }](tb, focused)
		if here.ID == "" || here.ID == first {
			break
		}
		if first == "" {
			first = here.ID
		}
		if here.Unseen != "" {
			tb.t.Errorf("the focus cannot be seen on %s", here.HTML)
		}
		if here.Control != "" {
			reached = append(reached, here.Control)
		}
	}
	return reached
}

// focused describes the element with the focus. A checkbox may be drawn by a neighbour or a parent: the outline counts there.
const focused = `(() => {
	const e = document.activeElement;
	if (!e || e === document.body) return {ID: '', Control: '', HTML: '', Unseen: ''};
	e.dataset.walked ||= String(document.querySelectorAll('[data-walked]').length + 1);
	const shows = (x) => { const s = getComputedStyle(x);
		return (s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) > 0) || s.boxShadow !== 'none'; };
	const near = [e, e.nextElementSibling, e.closest('label'), e.parentElement].filter(Boolean);
	return {ID: e.dataset.walked, Control: e.name ? e.name + '=' + e.value : '', HTML: e.outerHTML.slice(0, 160),
		Unseen: near.some(shows) ? '' : 'yes'};
})()`
