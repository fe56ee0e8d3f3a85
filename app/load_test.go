package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"

	"github.com/ostiary/ostiary/app/apptest/host"
	"github.com/ostiary/ostiary/tenants/tenanttest"
)

// load is traffic that goes on while something happens to the servers: hosts that refresh as fast as they can, and hosts
// that connect anew, with or without their user signing in and deciding, and try each code twice at once.
type load struct {
	http *http.Client
	// patient hosts ask again after a clean 503, as real ones do; others take it for a failure.
	patient bool
	// behind a proxy whose node was killed, hosts also ask again after a 502.
	killed bool
	// where the database is killed, a decision of the last moment may be lost: its code is then good for nothing.
	crashes bool

	requests, waits atomic.Int64 // waits: answers that said to come back later
	redeemed        atomic.Int64
	arrived         atomic.Int64 // connections of users who signed in and decided
	mu              sync.Mutex
	wrong           []string
	group           sync.WaitGroup
	stop            chan struct{}
	refreshing      []*connection
}

// connection is a host's lasting connection.
type connection struct {
	client *host.Client
	token  string // the newest refresh token
}

// newLoad connects n hosts.
func newLoad(t *testing.T, s *host.Stack, n int) *load {
	t.Helper()
	l := &load{http: &http.Client{Transport: host.Transport(), Timeout: 30 * time.Second}, stop: make(chan struct{})}
	for range n {
		c, tokens := connect(t, s)
		l.refreshing = append(l.refreshing, &connection{client: c, token: tokens.Refresh})
	}
	return l
}

// start runs the load until end.
func (l *load) start() {
	for _, c := range l.refreshing {
		l.forever(func(n int) {
			if n%8 == 0 {
				l.read(c.client.Issuer + "/.well-known/oauth-authorization-server")
			}
			l.refresh(c)
		})
	}
}

// connecting adds a host that connects anew all the time, with a browser whose user has allowed it before, and one on the user's
// device, with a new browser each time: its user signs in and decides.
func (l *load) connecting(t *testing.T, s *host.Stack) {
	t.Helper()
	c := s.Register(t, s.Acme, map[string]any{"client_name": "Web host", "redirect_uris": []string{host.WebRedirect}})
	b := host.NewBrowser(t)
	s.Connect(t, b, s.Acme, c.Authorize("data:read"), "data:read")
	l.forever(func(int) { l.connect(b, c) })
	device := s.Register(t, s.Acme, map[string]any{"client_name": "Program"})
	l.forever(func(int) { l.arrive(t, device, s.Acme.UserEmail) })
}

func (l *load) forever(do func(n int)) {
	l.group.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-l.stop:
				return
			default:
				do(n)
			}
		}
	})
}

// end stops the load and fails the test for what went wrong.
func (l *load) end(t *testing.T) {
	t.Helper()
	close(l.stop)
	l.group.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, what := range l.wrong {
		if i == 10 {
			t.Errorf("… %d in all", len(l.wrong))
			break
		}
		t.Error(what)
	}
	if l.requests.Load() == 0 {
		t.Error("there was no load")
	}
	t.Logf("%d requests, %d told to wait, %d codes redeemed, %d users arrived", l.requests.Load(), l.waits.Load(), l.redeemed.Load(),
		l.arrived.Load())
}

// alive fails the test for every host whose connection is lost.
func (l *load) alive(t *testing.T) {
	t.Helper()
	for i, c := range l.refreshing {
		eventually(t, fmt.Sprintf("connection %d", i), func() bool {
			answer := c.client.Refresh(t, c.token)
			if answer.Status == http.StatusBadRequest || answer.Status == http.StatusUnauthorized {
				t.Fatalf("connection %d is lost: %s", i, answer.Raw)
			}
			if answer.Status == http.StatusOK {
				c.token = answer.Str("refresh_token")
			}
			return answer.Status == http.StatusOK
		})
	}
}

// reply is what a host makes of an answer.
type reply struct {
	status   int
	header   http.Header
	body     map[string]any
	location *url.URL
	url      *url.URL
	raw      string
}

// wait reports whether the answer, or its absence, only says to come back later.
func (l *load) wait(r reply, err error) bool {
	later := l.patient && r.status == http.StatusServiceUnavailable && r.header.Get("Retry-After") != "" ||
		l.killed && (r.status == http.StatusBadGateway || err != nil)
	if later {
		l.waits.Add(1)
		time.Sleep(2 * time.Millisecond)
	}
	return later
}

func (l *load) refresh(c *connection) {
	r, err := l.do(l.http, http.MethodPost, c.client.Issuer+"/token", c.client.RefreshForm(c.token))
	switch {
	case err == nil && r.status == http.StatusOK:
		c.token, _ = r.body["refresh_token"].(string)
	case l.wait(r, err):
		if r.status == http.StatusServiceUnavailable && r.body["error"] != "temporarily_unavailable" {
			l.fail("refresh: %d %s", r.status, r.raw)
		}
	default:
		l.fail("refresh: %d %s %v", r.status, r.raw, err)
		time.Sleep(time.Millisecond)
	}
}

func (l *load) read(target string) {
	r, err := l.do(l.http, http.MethodGet, target, nil)
	if (err != nil || r.status != http.StatusOK) && !l.wait(r, err) {
		l.fail("discovery: %d, %v", r.status, err)
	}
}

// connect gets a code without a question and redeems it.
func (l *load) connect(b *host.Browser, c *host.Client) {
	a := c.Authorize("data:read")
	r, err := l.do(b.Client, http.MethodGet, a.URL(), nil)
	if l.wait(r, err) {
		return
	}
	if err != nil || r.location == nil || r.location.Query().Get("code") == "" {
		l.fail("authorize: %d %v %.200s, %v", r.status, r.location, r.raw, err)
		time.Sleep(time.Millisecond)
		return
	}
	l.redeemTwice(a, r.location.Query().Get("code"), false)
}

// arrive connects with a new browser. Who is told to come back later begins anew.
func (l *load) arrive(t *testing.T, c *host.Client, email string) {
	t.Helper()
	a, b := c.Authorize("data:read"), host.NewBrowser(t)
	r, err := l.do(b.Client, http.MethodGet, a.URL(), nil)
	r, ok, err := l.submit(t, b, r, err, "password", url.Values{"email": {email}, "password": {tenanttest.Password}})
	if !ok {
		return
	}
	r, ok, _ = l.submit(t, b, r, err, "scope", url.Values{"scope": {"data:read"}, "decision": {"approve"}})
	if !ok {
		return
	}
	if r.location == nil || r.location.Query().Get("code") == "" {
		l.fail("decision: %d %v %.200s", r.status, r.location, r.raw)
		return
	}
	if l.redeemTwice(a, r.location.Query().Get("code"), l.crashes) {
		l.arrived.Add(1)
	}
}

// submit fills in the form of a page that has this field, and sends it. ok is false when there is nothing to go on with.
func (l *load) submit(t *testing.T, b *host.Browser, r reply, err error, field string, values url.Values) (reply, bool, error) {
	t.Helper()
	if l.wait(r, err) {
		return r, false, err
	}
	if err == nil && r.status == http.StatusOK {
		doc, parseErr := goquery.NewDocumentFromReader(strings.NewReader(r.raw))
		if parseErr == nil && doc.Find(`form [name="`+field+`"]`).Length() > 0 {
			form := host.Page{Status: r.status, URL: r.url, Doc: doc}.Form(t, field)
			maps.Copy(form.Values, values)
			next, err := l.do(b.Client, http.MethodPost, form.Action, form.Values)
			return next, !l.wait(next, err), err
		}
	}
	l.fail("no form with %s: %d %.200s, %v", field, r.status, r.raw, err)
	time.Sleep(time.Millisecond)
	return r, false, err
}

// redeemTwice redeems a code twice at once. At most one may succeed, and one does unless an answer was lost, or the
// decision may have been.
func (l *load) redeemTwice(a *host.Authorization, code string, undecided bool) bool {
	form := a.TokenForm(code)
	var won, lost atomic.Int64
	var group sync.WaitGroup
	for range 2 {
		group.Go(func() {
			r, err := l.do(l.http, http.MethodPost, a.Client.Issuer+"/token", form)
			switch {
			case err == nil && r.status == http.StatusOK:
				won.Add(1)
			case l.wait(r, err):
				lost.Add(1)
			case r.body["error"] != "invalid_grant":
				l.fail("code: %d %s %v", r.status, r.raw, err)
			}
		})
	}
	group.Wait()
	l.redeemed.Add(won.Load())
	if won.Load() > 1 || (won.Load() == 0 && lost.Load() == 0 && !undecided) {
		l.fail("a code was redeemed %d times, %d answers were lost", won.Load(), lost.Load())
	}
	return won.Load() == 1
}

func (l *load) do(client *http.Client, method, target string, form url.Values) (reply, error) {
	l.requests.Add(1)
	r, err := http.NewRequestWithContext(context.Background(), method, target, strings.NewReader(form.Encode()))
	if err != nil {
		return reply{}, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if client.Jar != nil {
		r.Header.Set("Sec-Fetch-Site", "same-origin") // as browsers do from one of the issuer's own pages
	}
	answer, err := client.Do(r)
	if err != nil {
		return reply{}, err
	}
	defer answer.Body.Close()
	raw, err := io.ReadAll(answer.Body)
	if err != nil {
		return reply{}, err
	}
	out := reply{status: answer.StatusCode, header: answer.Header, url: answer.Request.URL, raw: string(raw)}
	if location := answer.Header.Get("Location"); location != "" {
		if out.location, err = answer.Request.URL.Parse(location); err != nil {
			return out, err
		}
	}
	if strings.HasPrefix(answer.Header.Get("Content-Type"), "application/json") {
		err = json.Unmarshal(raw, &out.body)
	}
	return out, err
}

func (l *load) fail(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wrong = append(l.wrong, fmt.Sprintf(format, args...))
}
