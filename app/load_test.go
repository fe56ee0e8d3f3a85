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

// load is traffic that goes on while something happens to the servers. Each worker is a host with a connection of its own
// that refreshes as fast as it can, and now and then connects anew.
type load struct {
	http *http.Client
	// patient workers ask again after a clean 503, as hosts do; others take it for a failure.
	patient bool

	requests, refused atomic.Int64 // refused: clean 503s
	mu                sync.Mutex
	wrong             []string
	group             sync.WaitGroup
	stop              chan struct{}
	workers           []*worker
}

type worker struct {
	client *host.Client
	before string // the token that current replaced
	token  string // the newest refresh token
	codes  []*host.Authorization
}

// newLoad connects n hosts.
func newLoad(t *testing.T, s *host.Stack, n int) *load {
	t.Helper()
	l := &load{http: &http.Client{Transport: host.Transport(), Timeout: 30 * time.Second}, stop: make(chan struct{})}
	for range n {
		c, tokens := connect(t, s)
		l.workers = append(l.workers, &worker{client: c, token: tokens.Refresh})
	}
	return l
}

// start runs the load until end.
func (l *load) start() {
	for _, w := range l.workers {
		l.group.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-l.stop:
					return
				default:
				}
				if n%8 == 0 {
					l.read(w.client.Issuer + "/.well-known/oauth-authorization-server")
				}
				l.refresh(w)
			}
		})
	}
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
}

// alive fails the test for every host whose connection is lost.
func (l *load) alive(t *testing.T) {
	t.Helper()
	for i, w := range l.workers {
		eventually(t, fmt.Sprintf("connection %d", i), func() bool {
			answer := w.client.Refresh(t, w.token)
			if answer.Status == http.StatusBadRequest {
				t.Fatalf("connection %d is lost: %s", i, answer.Raw)
			}
			if answer.Status == http.StatusOK {
				w.token = answer.Str("refresh_token")
			}
			return answer.Status == http.StatusOK
		})
	}
}

func (l *load) refresh(w *worker) {
	status, body, err := l.post(w.client.Issuer+"/token", w.client.RefreshForm(w.token))
	switch {
	case err != nil:
		l.fail("refresh: %v", err)
		time.Sleep(time.Millisecond)
	case status == http.StatusOK:
		next, _ := body["refresh_token"].(string)
		w.before, w.token = w.token, next
	case status == http.StatusServiceUnavailable && l.patient && body["error"] == "temporarily_unavailable":
		l.refused.Add(1)
		time.Sleep(time.Millisecond)
	default:
		l.fail("refresh: %d %v", status, body)
		time.Sleep(time.Millisecond)
	}
}

func (l *load) read(target string) {
	status, _, err := l.do(http.MethodGet, target, nil)
	if err != nil || status != http.StatusOK {
		l.fail("discovery: %d, %v", status, err)
	}
}

func (l *load) post(target string, form url.Values) (int, map[string]any, error) {
	return l.do(http.MethodPost, target, form)
}

func (l *load) do(method, target string, form url.Values) (int, map[string]any, error) {
	l.requests.Add(1)
	r, err := http.NewRequestWithContext(context.Background(), method, target, strings.NewReader(form.Encode()))
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := l.http.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer answer.Body.Close()
	raw, err := io.ReadAll(answer.Body)
	if err != nil {
		return answer.StatusCode, nil, err
	}
	var body map[string]any
	if err := json.Unmarshal(raw, &body); err != nil {
		return answer.StatusCode, nil, fmt.Errorf("status %d with %q", answer.StatusCode, raw)
	}
	return answer.StatusCode, body, nil
}

func (l *load) fail(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wrong = append(l.wrong, fmt.Sprintf(format, args...))
}
