package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ostiary/ostiary/app/apptest/host"
)

// load is traffic that goes on while something happens to the servers: hosts that refresh as fast as they can, and hosts
// that connect anew and try each code twice at once.
type load struct {
	http *http.Client
	// patient hosts ask again after a clean 503, as real ones do; others take it for a failure.
	patient bool
	// behind a proxy whose node was killed, hosts also ask again after a 502.
	killed bool

	requests, waits atomic.Int64 // waits: answers that said to come back later
	redeemed        atomic.Int64
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

// connecting adds a host that connects anew all the time, with a browser whose user has allowed it before.
func (l *load) connecting(t *testing.T, s *host.Stack) {
	t.Helper()
	c := s.Register(t, s.Acme, map[string]any{"client_name": "Web host", "redirect_uris": []string{host.WebRedirect}})
	b := host.NewBrowser(t)
	s.Connect(t, b, s.Acme, c.Authorize("data:read"), "data:read")
	l.forever(func(int) { l.connect(b, c) })
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
	t.Logf("%d requests, %d told to wait, %d codes redeemed", l.requests.Load(), l.waits.Load(), l.redeemed.Load())
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

// connect gets a code and redeems it twice at once. At most one may succeed, and one does unless an answer was lost.
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
	form := a.TokenForm(r.location.Query().Get("code"))
	var won, lost atomic.Int64
	var group sync.WaitGroup
	for range 2 {
		group.Go(func() {
			r, err := l.do(l.http, http.MethodPost, c.Issuer+"/token", form)
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
	if won.Load() > 1 || (won.Load() == 0 && lost.Load() == 0) {
		l.fail("a code was redeemed %d times, %d answers were lost", won.Load(), lost.Load())
	}
}

func (l *load) do(client *http.Client, method, target string, form url.Values) (reply, error) {
	l.requests.Add(1)
	r, err := http.NewRequestWithContext(context.Background(), method, target, strings.NewReader(form.Encode()))
	if err != nil {
		return reply{}, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := client.Do(r)
	if err != nil {
		return reply{}, err
	}
	defer answer.Body.Close()
	raw, err := io.ReadAll(answer.Body)
	if err != nil {
		return reply{}, err
	}
	out := reply{status: answer.StatusCode, header: answer.Header, raw: string(raw)}
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
