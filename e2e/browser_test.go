//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

const (
	stepTimeout = time.Minute
	pollEvery   = 50 * time.Millisecond
)

// browser is one headless Chromium; each tab of it has cookies of its own.
type browser struct {
	ctx  context.Context
	stop context.CancelFunc
}

func startBrowser(chromium string) (*browser, error) {
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
		chromedp.ExecPath(chromium),
		chromedp.Flag("headless", "new"),
		// Chromium refuses its sandbox to root; what it shows here is only our own pages.
		chromedp.NoSandbox,
		chromedp.Flag("disable-dev-shm-usage", true),
		// No page may reach anything but this machine, whatever it asks for.
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE *.localhost, EXCLUDE 127.0.0.1"),
		// Issuers on names of their own have a certificate of ours.
		chromedp.Flag("ignore-certificate-errors", true),
		chromedp.WindowSize(1280, 900),
	)
	allocator, stopAllocator := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, stopBrowser := chromedp.NewContext(allocator)
	stop := func() { stopBrowser(); stopAllocator() }
	if err := chromedp.Do(ctx); err != nil {
		stop()
		return nil, fmt.Errorf("start %s: %w", chromium, err)
	}
	return &browser{ctx: ctx, stop: stop}, nil
}

// tab is a page with cookies of its own. It remembers what was requested and what the browser complained of.
type tab struct {
	t      *testing.T
	ctx    context.Context
	server *server // whose pages are ours

	mu        sync.Mutex
	documents []string // URLs of the main frame, redirects included
	requests  []string
	problems  []string // CSP violations, failed loads, script errors
	loads     int
}

// action is a step in the browser that returns nothing.
type action = chromedp.Action[chromedp.Void]

func newTab(t *testing.T, setUp ...action) *tab {
	t.Helper()
	return shared.server.newTab(t, setUp...)
}

func (s *server) newTab(t *testing.T, setUp ...action) *tab {
	t.Helper()
	tb := &tab{t: t, server: s}
	var cancel context.CancelFunc
	tb.ctx, cancel = chromedp.NewContext(shared.browser.ctx, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	// The first step opens the tab, which then lives as long as the context of that step: it gets no deadline.
	if err := chromedp.Do(tb.ctx, call(network.Enable, network.EnableParams{}), call(log.Enable, cdp.Empty{}),
		call(page.Enable, page.EnableParams{}),
		// Tabs are side by side and only one has the focus: without this, keys in the others press nothing.
		call(emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})); err != nil {
		t.Fatalf("open a tab: %v", err)
	}
	if err := chromedp.Listen(tb.ctx, tb.listen); err != nil {
		t.Fatal(err)
	}
	tb.run(setUp...)
	return tb
}

// call makes a step of a protocol command.
func call[P, R any](command cdp.Command[P, R], params P) action {
	return func(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, target, command, params)
		return chromedp.Void{}, err
	}
}

func (tb *tab) listen(event any) {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		tb.requests = append(tb.requests, e.Request.URL)
		if e.Type == network.ResourceTypeDocument {
			tb.documents = append(tb.documents, e.Request.URL)
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError {
			tb.problems = append(tb.problems, e.Entry.Text)
		}
	case *page.EventLoadEventFired:
		tb.loads++
	}
}

// run performs steps, each with a deadline.
func (tb *tab) run(steps ...action) {
	tb.t.Helper()
	for _, step := range steps {
		if _, err := try(tb, step); err != nil {
			tb.screenshot("failed")
			tb.t.Fatalf("in the browser at %s: %v", tb.location(), err)
		}
	}
}

func try[T any](tb *tab, step chromedp.Action[T]) (T, error) {
	ctx, cancel := context.WithTimeout(tb.ctx, stepTimeout)
	defer cancel()
	return chromedp.Run(ctx, step)
}

// eval returns the value of a JavaScript expression, awaited if it is a promise. It works where the page itself may run no
// script.
func eval[T any](tb *tab, expression string) T {
	tb.t.Helper()
	value, err := try(tb, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		tb.screenshot("failed")
		tb.t.Fatalf("in the browser at %s: %v", tb.location(), err)
	}
	return value
}

func (tb *tab) open(rawURL string) {
	tb.t.Helper()
	tb.run(chromedp.Navigate(rawURL))
}

// location is where the page is, without its query: that may hold a code.
func (tb *tab) location() string {
	href, err := try(tb, chromedp.Location())
	if err != nil {
		return "an unknown place"
	}
	before, _, _ := strings.Cut(href, "?")
	return before
}

func (tb *tab) text() string {
	tb.t.Helper()
	return eval[string](tb, `document.body.innerText`)
}

// submit performs a step that loads another page, and waits for that page or for the browser to leave our pages.
func (tb *tab) submit(step action) {
	tb.t.Helper()
	tb.mu.Lock()
	loads := tb.loads
	tb.mu.Unlock()
	tb.run(step)
	tb.until("the next page", func() bool {
		tb.mu.Lock()
		defer tb.mu.Unlock()
		return tb.loads > loads || tb.leftLocked() != ""
	})
}

func (tb *tab) until(what string, done func() bool) {
	tb.t.Helper()
	if !poll(stepTimeout, done) {
		tb.screenshot("failed")
		tb.t.Fatalf("waited %s in vain for %s at %s:\n%s", stepTimeout, what, tb.location(), tb.text())
	}
}

// left returns the first URL outside our own pages that the browser was sent to: the client's redirect URI.
func (tb *tab) left() string {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	return tb.leftLocked()
}

func (tb *tab) leftLocked() string {
	ours := origin(tb.server.Issuer)
	for _, u := range tb.documents {
		if o := origin(u); o != ours && o != origin(tb.server.DashboardURL) && strings.HasPrefix(u, "http") {
			return u
		}
	}
	return ""
}

// expectOwnRequestsOnly fails when a page asked another host for anything.
func (tb *tab) expectOwnRequestsOnly() {
	tb.t.Helper()
	tb.mu.Lock()
	defer tb.mu.Unlock()
	for _, raw := range tb.requests {
		u, err := url.Parse(raw)
		if err != nil || (u.Scheme != "data" && !isHere(u.Hostname())) {
			tb.t.Errorf("a page requested %q", raw)
		}
	}
}

// expectNoProblems fails when the browser reported a violation of the content security policy, a failed load or a script error.
func (tb *tab) expectNoProblems() {
	tb.t.Helper()
	tb.mu.Lock()
	defer tb.mu.Unlock()
	for _, problem := range tb.problems {
		tb.t.Errorf("the browser reported: %s", problem)
	}
}

// screenshot keeps the whole page as a picture among the artifacts.
func (tb *tab) screenshot(name string) {
	picture, err := try(tb, chromedp.FullScreenshot(100))
	if err != nil {
		tb.t.Logf("no screenshot: %v", err)
		return
	}
	file := strings.NewReplacer("/", "-", " ", "_").Replace(tb.t.Name()+"-"+name) + ".png"
	if err := os.WriteFile(filepath.Join(shared.artifacts, file), picture, 0o644); err != nil {
		tb.t.Logf("no screenshot: %v", err)
	}
}

// How a tab looks at pages.
func dark() action  { return colours("dark") }
func light() action { return colours("light") }

func colours(scheme string) action {
	return call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	})
}

func desktop(height int64) action { return chromedp.EmulateViewport(1280, height) }

// phone is as narrow as WCAG 2.2 §1.4.10 asks.
func phone(height int64) action { return chromedp.EmulateViewport(320, height, chromedp.EmulateMobile) }

func withoutScript() action {
	return call(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
}

func origin(rawURL string) string {
	u, err := url.Parse(rawURL)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// poll asks until the answer is yes or time is up.
func poll(timeout time.Duration, done func() bool) bool {
	deadline := time.Now().Add(timeout)
	for !done() {
		if time.Now().After(deadline) {
			return false
		}
		time.Sleep(pollEvery)
	}
	return true
}

// quote makes a JavaScript string literal.
func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string always marshals
	}
	return string(b)
}
