package gate

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ostiary/ostiary/app/policy"
)

// openAs opens a stream with a token and returns what comes.
func (w *world) openAs(t *testing.T, token, method, body string) *bufio.Reader {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, w.url+"/mcp", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	if resp.StatusCode != http.StatusOK {
		t.Fatal(resp.Status)
	}
	return bufio.NewReader(resp.Body)
}

// streaming answers everything with a stream of events that lasts until the request ends, and tells when it has.
func streaming(ended chan<- string) http.HandlerFunc {
	return func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(rw, ": open\n\n")
		_ = http.NewResponseController(rw).Flush()
		<-r.Context().Done()
		ended <- r.Method
	}
}

func TestStreams_OfWhoeverIsRefusedAreEnded(t *testing.T) {
	t.Parallel()
	for name, refuse := range map[string]func(*world){
		"revoked":      func(w *world) { w.revoke("grt_1") },
		"server":       func(w *world) { w.stop(policy.StopServer, testResource) },
		"host":         func(w *world) { w.stop(policy.StopHost, "claude-code") },
		"user":         func(w *world) { w.stop(policy.StopUser, "usr_ann") },
		"organization": func(w *world) { w.stop(policy.StopOrganization, "org_globex") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			ended := make(chan string, 4)
			w.upstream.answer = streaming(ended)
			ann := w.token("data:read", map[string]any{"host": "claude-code"})
			bob := w.token("data:read", map[string]any{"sub": "usr_bob", "grant_id": "grt_2", "org_id": "org_initech"})
			var anns []*bufio.Reader
			for method, body := range map[string]string{http.MethodGet: "", http.MethodPost: callBody(1, "read_data")} {
				anns = append(anns, w.openAs(t, ann, method, body))
			}
			bobs := w.openAs(t, bob, http.MethodGet, "")
			for _, r := range append(anns, bobs) {
				readBlock(t, r)
			}
			refuse(w)
			for _, r := range anns {
				if rest, err := io.ReadAll(r); err == nil || len(rest) > 0 {
					t.Errorf("the stream ended with %q, %v", rest, err)
				}
			}
			<-ended
			<-ended // the MCP server hears of both
			if name != "server" {
				select {
				case <-ended:
					t.Error("a neighbour's stream was ended")
				default:
				}
			}
			eventually(t, "they are forgotten", func() bool { return w.gate.streams.count() <= 1 })
		})
	}
}

func TestStreams_ARequestThatWaitsIsAnswered(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	arrived := make(chan struct{}, 2)
	w.upstream.answer = func(_ http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-r.Context().Done()
	}
	answers := make(chan answer, 1)
	ask := func(claims map[string]any) {
		go func() {
			answers <- w.call(t, http.MethodPost, "/mcp", w.token("data:read", claims), callBody(7, "read_data"))
		}()
		<-arrived
	}
	ask(map[string]any{"grant_id": "grt_9"})
	w.revoke("grt_9")
	a := (<-answers).want(t, http.StatusUnauthorized)
	if challengeOf(t, a)["error"] != "invalid_token" {
		t.Errorf("%v", a.header)
	}
	ask(nil)
	w.stop(policy.StopUser, "usr_ann")
	if a = (<-answers).want(t, http.StatusOK); !strings.Contains(a.body, `"id":7`) || !strings.Contains(a.body, "-32013") {
		t.Errorf("%s", a.body)
	}
	// The connection they came by is as good as new.
	w.upstream.answer = nil
	w.tool(t, w.token("data:read", map[string]any{"sub": "usr_bob"}), "read_data").want(t, http.StatusOK)
}

func TestStreams_AClientThatDoesNotReadDoesNotKeepOneOpen(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil) // a write may wait for a minute
	ended := make(chan struct{})
	w.upstream.answer = func(rw http.ResponseWriter, r *http.Request) {
		defer close(ended)
		for r.Context().Err() == nil {
			if _, err := rw.Write(make([]byte, 1<<20)); err != nil {
				return
			}
		}
	}
	body := callBody(1, "read_data")
	conn := w.dial(t, fmt.Sprintf("POST /mcp HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n"+
		"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", w.token("data:read"), len(body), body))
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	w.revoke("grt_1")
	<-ended
	eventually(t, "it is forgotten", func() bool { return w.gate.streams.count() == 0 })
}

// A feed that comes between the decision and the note of the request must not be missed by both.
func TestStreams_AFeedThatComesMeanwhileCounts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	token := w.token("data:read")
	r := httptest.NewRequest(http.MethodPost, w.url+"/mcp", strings.NewReader(callBody(1, "read_data")))
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	rec := httptest.NewRecorder()
	var held int64
	o := w.gate.decideRequest(r.Context(), asked{method: r.Method, header: r.Header,
		read: func() ([]byte, body, error) { return w.gate.read(rec, r, &held) }})
	if o.denial != nil {
		t.Fatal("denied")
	}
	w.revoke("grt_1")
	w.knows(1)
	w.gate.pass(rec, r, o, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	if rec.Code != http.StatusUnauthorized {
		t.Errorf("answered %d", rec.Code)
	}
}

func TestStreams_TooManyAreTurnedAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.gate.streams.most = 1
	w.upstream.answer = streaming(make(chan string, 9))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	resp := w.open(ctx, t, http.MethodGet, "", nil)
	if a := w.tool(t, w.token("data:read"), "read_data").want(t, http.StatusServiceUnavailable); a.header.Get("Retry-After") == "" {
		t.Errorf("%v", a.header)
	}
	cancel()
	_ = resp.Body.Close()
	eventually(t, "there is room again", func() bool { return w.gate.streams.count() == 0 })
	w.upstream.answer = nil
	w.tool(t, w.token("data:read"), "read_data").want(t, http.StatusOK)
}

// What ended during a long cut may have left the feed by its end, but then the tokens of that time have expired.
func TestStreams_AfterAGapExpiredOnesAreEnded(t *testing.T) {
	t.Parallel()
	is := newIssuer(t)
	line, client := newCable(t)
	w := newWorldAt(t, is, func(o *Options) { o.HTTPClient = client })
	ended := make(chan string, 4)
	w.upstream.answer = streaming(ended)
	short := w.openAs(t, w.token("data:read"), http.MethodGet, "")
	readBlock(t, short)
	long := w.openAs(t, w.token("data:read", map[string]any{"exp": w.clock.now().Add(9 * time.Hour).Unix()}), http.MethodGet, "")
	readBlock(t, long)
	line.sever()
	w.clock.advance(2 * time.Hour)
	line.mend()
	w.tell(func(*policy.Feed) {})
	if _, err := short.ReadByte(); err == nil || errors.Is(err, context.Canceled) {
		t.Errorf("the stream of an expired token goes on: %v", err)
	}
	<-ended
	if len(ended) > 0 || w.gate.streams.count() != 1 {
		t.Error("a stream whose token is good was ended")
	}
}
