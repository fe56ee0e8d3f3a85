package gate

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/ostiary/ostiary/app/calls"
	"github.com/ostiary/ostiary/app/policy"
)

func TestFeed_WhatHasEndedIsRefusedEverywhere(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*policy.Ended){
		"grant":        func(e *policy.Ended) { e.Grants = []string{"grt_1"} },
		"user":         func(e *policy.Ended) { e.Users = []string{"usr_ann"} },
		"organization": func(e *policy.Ended) { e.Organizations = []string{"org_globex"} },
		"client":       func(e *policy.Ended) { e.Clients = []string{"cli_claude"} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			is := newIssuer(t)
			is.doc.Mode = policy.ModeShadow // is about the map of the policy, not about this
			w, seen := recordingWorld(t, is)
			token := w.token("data:read")
			neighbour := w.token("data:read", map[string]any{
				"grant_id": "grt_2", "sub": "usr_bob", "org_id": "org_initech", "client_id": "cli_other"})
			w.tool(t, token, "read_data").want(t, http.StatusOK) // remembered from here on
			<-seen
			w.tell(func(f *policy.Feed) { end(&f.Ended) })
			w.knows(w.sequence())
			before := w.upstream.count()
			for _, body := range []string{callBody(1, "read_data"), listBody, `{"jsonrpc":"2.0","method":"notifications/x"}`,
				"nonsense", ""} {
				a := w.call(t, http.MethodPost, "/mcp", token, body).want(t, http.StatusUnauthorized)
				if c := challengeOf(t, a); c["error"] != "invalid_token" || c["resource_metadata"] == "" {
					t.Errorf("challenge %v", c)
				}
			}
			for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodDelete} {
				w.call(t, method, "/mcp", token, "").want(t, http.StatusUnauthorized)
			}
			if w.upstream.count() != before {
				t.Error("a refused request reached the MCP server")
			}
			if r := <-seen; r.Kind != policy.TargetTool || r.Tool != "read_data" || r.Reason != policy.ReasonRevoked || r.Allowed ||
				r.Status != http.StatusUnauthorized || r.Sequence != w.sequence() {
				t.Errorf("recorded %+v", r)
			}
			if r := <-seen; r.Kind != calls.KindRequest || r.Tool != "tools/list" || r.Reason != policy.ReasonRevoked {
				t.Errorf("recorded %+v", r)
			}
			w.tool(t, neighbour, "read_data").want(t, http.StatusOK)
		})
	}
}

func TestFeed_AStopIsAnsweredWithoutAChallenge(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		kind   policy.StopKind
		value  string
		claims map[string]any
	}{
		"server":          {policy.StopServer, testResource, nil},
		"host":            {policy.StopHost, "claude-code", map[string]any{"host": "claude-code"}},
		"unverified host": {policy.StopHost, policy.HostUnverified, nil},
		"user":            {policy.StopUser, "usr_ann", nil},
		"organization":    {policy.StopOrganization, "org_globex", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			is := newIssuer(t)
			is.doc.Mode = policy.ModeShadow
			w := newWorldAt(t, is, nil)
			token := w.token("data:read", tc.claims)
			w.tool(t, token, "read_data").want(t, http.StatusOK)
			w.stop(tc.kind, tc.value)
			w.knows(w.sequence())
			before := w.upstream.count()
			for body, answers := range map[string]int{callBody(7, "read_data"): 1, listBody: 1,
				"[" + callBody(7, "read_data") + "," + listBody + `,{"jsonrpc":"2.0","method":"x"}]`: 2} {
				a := w.call(t, http.MethodPost, "/mcp", token, body).want(t, http.StatusOK)
				if a.header.Get("WWW-Authenticate") != "" || strings.Count(a.body, `"code":-32013`) != answers ||
					!strings.Contains(a.body, "stopped by an administrator") {
					t.Errorf("%s: %v %s", body, a.header, a.body)
				}
			}
			notification := `{"jsonrpc":"2.0","method":"notifications/initialized"}`
			for method, body := range map[string]string{http.MethodGet: "", http.MethodDelete: "", http.MethodPost: notification} {
				a := w.call(t, method, "/mcp", token, body).want(t, http.StatusForbidden)
				if !strings.Contains(a.body, `"access_stopped"`) || a.header.Get("WWW-Authenticate") != "" {
					t.Errorf("%s: %v %s", method, a.header, a.body)
				}
			}
			if w.upstream.count() != before {
				t.Error("a stopped request reached the MCP server")
			}
			w.tell(func(f *policy.Feed) { f.Stops = nil })
			w.knows(w.sequence())
			w.tool(t, token, "read_data").want(t, http.StatusOK)
		})
	}
}

func TestFeed_AStoppedToolIsGoneAndTheOthersStay(t *testing.T) {
	t.Parallel()
	for _, mode := range []policy.Mode{policy.ModeEnforce, policy.ModeShadow} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			is := newIssuer(t)
			is.doc.Mode = mode
			w := newWorldAt(t, is, nil)
			token := w.token("data:read")
			w.stop(policy.StopTool, "read_data")
			w.knows(w.sequence())
			a := w.tool(t, token, "read_data").want(t, http.StatusOK)
			var got rpcAnswer
			if err := json.Unmarshal([]byte(a.body), &got); err != nil || got.Error.Code != rpcStopped || string(got.ID) != "1" {
				t.Errorf("%s: %v", a.body, err)
			}
			a = w.call(t, http.MethodPost, "/mcp", token, "["+callBody(1, "read_data")+","+callBody(2, "wait")+"]").want(t, http.StatusOK)
			if !strings.Contains(a.body, "-32013") || !strings.Contains(a.body, "-32011") {
				t.Errorf("batch: %s", a.body)
			}
			// Without an id nobody waits for an answer; it is not accepted either.
			w.call(t, http.MethodPost, "/mcp", token, `{"jsonrpc":"2.0","method":"tools/call","params":{"name":"read_data"}}`).
				want(t, http.StatusBadRequest)
			if w.upstream.count() != 0 {
				t.Error("the stopped tool ran")
			}
			w.tool(t, token, "wait").want(t, http.StatusOK)
			w.upstream.answer = listAnswer("application/json",
				`{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"read_data"},{"name":"wait"}]}}`)
			if got := toolsOf(t, w.call(t, http.MethodPost, "/mcp", token, listBody).body); !slices.Equal(got, []string{"wait"}) {
				t.Errorf("listed %v", got)
			}
		})
	}
}

func TestFeed_AStopOfAnotherIsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	token := w.token("data:read", map[string]any{"host": "claude-code", "org_id": nil})
	for kind, value := range map[policy.StopKind]string{policy.StopServer: "res_globex", policy.StopHost: policy.HostUnverified,
		policy.StopUser: "usr_bob", policy.StopOrganization: "", policy.StopTool: "READ_DATA", "planet": "usr_ann"} {
		w.stop(kind, value)
	}
	w.knows(w.sequence())
	w.tool(t, token, "read_data").want(t, http.StatusOK)
}

func TestFeed_BadOnesAreNotTaken(t *testing.T) {
	t.Parallel()
	bundle := func(edit func(*policy.FeedBundle)) func(*testIssuer) {
		return func(is *testIssuer) { is.feed.bundle = edit }
	}
	signedBy := func(kid string) func(*testIssuer) {
		return func(is *testIssuer) {
			key := newSigner(is.t, kid, jose.ES256)
			is.feed.by = func() (signer, string) { return key, policy.FeedType }
		}
	}
	event := func(data string) func(*testIssuer) {
		return func(is *testIssuer) {
			is.feed.serve = func(w http.ResponseWriter, r *http.Request) bool {
				listAnswer("text/event-stream", "event: feed\ndata: "+data+"\n\n")(w, r)
				return true
			}
		}
	}
	for name, spoil := range map[string]func(*testIssuer){
		"rolled back":     bundle(func(b *policy.FeedBundle) { b.Feed.Sequence = 3 }),
		"below zero":      bundle(func(b *policy.FeedBundle) { b.Feed.Sequence = -1 }),
		"other issuer":    bundle(func(b *policy.FeedBundle) { b.Issuer = "https://evil.example" }),
		"other resource":  bundle(func(b *policy.FeedBundle) { b.Subject = "res_globex" }),
		"expired":         bundle(func(b *policy.FeedBundle) { b.IssuedAt -= 3600; b.ExpiresAt -= 3600 }),
		"without expiry":  bundle(func(b *policy.FeedBundle) { b.ExpiresAt = 0 }),
		"without time":    bundle(func(b *policy.FeedBundle) { b.IssuedAt = 0 }),
		"from the future": bundle(func(b *policy.FeedBundle) { b.IssuedAt += 600; b.ExpiresAt += 600 }),
		"a policy's type": func(is *testIssuer) {
			key := is.keys[0]
			is.feed.by = func() (signer, string) { return key, policy.TokenType }
		},
		"another key under the same name": signedBy("key-1"),
		"another key":                     signedBy("key-9"),
		"tampered with":                   event("eyJhbGciOiJub25lIn0.e30."),
		"not a token":                     event("hello"),
		"empty":                           event(""),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			is := newIssuer(t)
			is.feed.feed.Sequence = 10
			logs := new(logBuffer)
			w := newWorldAt(t, is, func(o *Options) { o.Logger = textLogger(logs) })
			w.revoke("grt_1")
			w.knows(11)
			w.change(func() {
				is.feed.feed.Sequence, is.feed.feed.Ended.Grants = 12, []string{"grt_2"}
				spoil(is)
				is.feed.wake()
			})
			is.srv.CloseClientConnections()
			eventually(t, "the gate notices", func() bool { return strings.Contains(logs.String(), "feed refused") })
			asked := w.fetched(feedPath)
			is.srv.CloseClientConnections()
			eventually(t, "it asks again", func() bool { return w.fetched(feedPath) > asked })
			w.tool(t, w.token("data:read"), "read_data").want(t, http.StatusUnauthorized)
			w.tool(t, w.token("data:read", map[string]any{"grant_id": "grt_2"}), "read_data").want(t, http.StatusOK)
			if got := strings.Count(logs.String(), "feed refused"); got != 1 {
				t.Errorf("logged %d times", got)
			}
			w.change(func() { is.feed.bundle, is.feed.by, is.feed.serve = nil, nil, nil; is.feed.wake() })
			w.knows(12)
			w.tool(t, w.token("data:read", map[string]any{"grant_id": "grt_2"}), "read_data").want(t, http.StatusUnauthorized)
			eventually(t, "it says so", func() bool { return strings.Contains(logs.String(), "feed is good again") })
		})
	}
}

func TestFeed_TheSameSequenceFromAnOlderClockChangesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	feed := w.gate.feed.(*issuerFeed)
	w.gate.Close() // from here on the test takes feeds in
	held := feed.current.Load()
	w.change(func() {
		w.feed.bundle = func(b *policy.FeedBundle) { b.IssuedAt -= 20; b.Feed.Ended.Users = []string{"usr_ann"} }
	})
	compact, _, _ := w.signedFeed()
	if err := feed.take(t.Context(), compact); err != nil || feed.current.Load() != held {
		t.Errorf("taken: %v", err)
	}
	// A higher sequence counts whatever its clock says; silence does not grow by it.
	w.change(func() { w.feed.feed.Sequence++ })
	compact, sequence, _ := w.signedFeed()
	if err := feed.take(t.Context(), compact); err != nil || feed.current.Load().feed.Sequence != sequence ||
		!feed.current.Load().signed.Equal(held.signed) {
		t.Errorf("%v, %+v", err, feed.current.Load())
	}
}

func TestFeed_ANewPolicyIsFetchedAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *Options) { o.PollEvery = time.Hour })
	token := w.token("data:read")
	w.tool(t, token, "write_data").want(t, http.StatusForbidden)
	w.publish(func(d *policy.Document) {
		d.Tools["write_data"] = policy.Tool{Scopes: []string{"data:read"}, Match: policy.MatchAll}
	})
	eventually(t, "it is in force", func() bool { return w.gate.Policy().Revision == 2 })
	w.tool(t, token, "write_data").want(t, http.StatusOK)
}

func TestFeed_PollsWhereNoStreamComesThrough(t *testing.T) {
	t.Parallel()
	wantsStream := func(r *http.Request) bool { return r.Header.Get("Accept") == "text/event-stream" }
	for name, serve := range map[string]func(*testIssuer) func(http.ResponseWriter, *http.Request) bool{
		"not acceptable": func(*testIssuer) func(http.ResponseWriter, *http.Request) bool {
			return func(w http.ResponseWriter, r *http.Request) bool {
				if wantsStream(r) {
					w.WriteHeader(http.StatusNotAcceptable)
				}
				return wantsStream(r)
			}
		},
		"another type": func(is *testIssuer) func(http.ResponseWriter, *http.Request) bool {
			return func(w http.ResponseWriter, r *http.Request) bool {
				if wantsStream(r) {
					compact, _, _ := is.signedFeed()
					listAnswer("application/jwt", compact)(w, r)
				}
				return wantsStream(r)
			}
		},
		"a proxy that buffers": func(*testIssuer) func(http.ResponseWriter, *http.Request) bool {
			return func(w http.ResponseWriter, r *http.Request) bool {
				if wantsStream(r) {
					w.Header().Set("Content-Type", "text/event-stream")
					_ = http.NewResponseController(w).Flush()
					<-r.Context().Done()
				}
				return wantsStream(r)
			}
		},
		"a proxy that breaks streams off": func(*testIssuer) func(http.ResponseWriter, *http.Request) bool {
			return func(w http.ResponseWriter, r *http.Request) bool {
				if wantsStream(r) {
					w.WriteHeader(http.StatusBadGateway)
				}
				return wantsStream(r)
			}
		},
		"an event without end": func(*testIssuer) func(http.ResponseWriter, *http.Request) bool {
			return func(w http.ResponseWriter, r *http.Request) bool {
				if !wantsStream(r) {
					return false
				}
				w.Header().Set("Content-Type", "text/event-stream")
				_, _ = io.WriteString(w, "data: ")
				for r.Context().Err() == nil {
					if _, err := w.Write(make([]byte, 1<<20)); err != nil {
						break
					}
				}
				return true
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			is := newIssuer(t)
			is.feed.serve = serve(is)
			w := newWorldAt(t, is, func(o *Options) { o.timing.first = 100 * time.Millisecond })
			for range 3 {
				w.revoke("grt_x")
				w.knows(w.sequence())
			}
			w.revoke("grt_1")
			w.knows(w.sequence())
			w.tool(t, w.token("data:read"), "read_data").want(t, http.StatusUnauthorized)
			eventually(t, "a long poll", func() bool {
				is.mu.Lock()
				defer is.mu.Unlock()
				return slices.ContainsFunc(is.feed.asked, func(r *http.Request) bool {
					return r.URL.RawQuery == fmt.Sprintf("wait=25&after=%d", is.feed.feed.Sequence)
				})
			})
		})
	}
}

// Anybody may listen to a feed, so anybody can take the issuer's places for listeners.
func TestFeed_ArrivesWhereAllPlacesAreTaken(t *testing.T) {
	t.Parallel()
	is := newIssuer(t)
	is.feed.serve = func(w http.ResponseWriter, r *http.Request) bool {
		holds := r.Header.Get("Accept") == "text/event-stream" || r.URL.Query().Has("wait")
		if holds {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		return holds
	}
	w := newWorldAt(t, is, nil)
	for range 3 {
		w.revoke("grt_x")
		w.knows(w.sequence())
	}
}

func TestFeed_AStreamIsResumedWhereItBroke(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.revoke("grt_x")
	w.knows(1)
	w.srv.CloseClientConnections()
	eventually(t, "it resumes", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		last := w.feed.asked[len(w.feed.asked)-1]
		return last.Header.Get("Last-Event-ID") == "1" && last.Header.Get("Accept") == "text/event-stream"
	})
	w.revoke("grt_1")
	w.knows(2)
}

func TestFeed_ALineThatCarriesNothingIsGivenUp(t *testing.T) {
	t.Parallel()
	is := newIssuer(t)
	line, client := newCable(t)
	w := newWorldAt(t, is, func(o *Options) { o.HTTPClient, o.timing.idle = client, 500*time.Millisecond })
	w.revoke("grt_x")
	w.knows(1)
	line.die()
	w.revoke("grt_1")
	w.knows(2) // by another line
	w.tool(t, w.token("data:read"), "read_data").want(t, http.StatusUnauthorized)
}

func TestFeed_ClosingEndsTheStream(t *testing.T) {
	t.Parallel()
	is := newIssuer(t)
	g := is.newGate(t, nil)
	eventually(t, "a stream is open", func() bool { is.mu.Lock(); defer is.mu.Unlock(); return is.feed.open > 0 })
	g.Close()
	eventually(t, "it is closed", func() bool { is.mu.Lock(); defer is.mu.Unlock(); return is.feed.open == 0 })
}

func TestStaticFeed_EndsAndStopsWhatItIsGiven(t *testing.T) {
	t.Parallel()
	is := newIssuer(t)
	doc := testDocument("https://mcp.acme.example/mcp")
	w := newWorldAt(t, is, func(o *Options) {
		o.Policy, o.Feed = StaticPolicy(doc), StaticFeed(&policy.Feed{Ended: policy.Ended{Grants: []string{"grt_1"}}})
	})
	w.tool(t, w.token("data:read"), "read_data").want(t, http.StatusUnauthorized)
	w.clock.advance(48 * time.Hour) // silence is not counted
	w.tool(t, w.token("data:read", map[string]any{"grant_id": "grt_2"}), "read_data").want(t, http.StatusOK)
	if w.fetched(feedPath) != 0 {
		t.Error("the feed was asked for")
	}
}

func TestNew_StartsWithoutAFeedAndSaysSo(t *testing.T) {
	t.Parallel()
	is := newIssuer(t)
	is.feed.serve = func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(http.StatusNotFound); return true }
	logs := new(logBuffer)
	w := newWorldAt(t, is, func(o *Options) { o.Logger = textLogger(logs) })
	if !strings.Contains(logs.String(), "level=ERROR") || !strings.Contains(logs.String(), "feed cannot be read") {
		t.Errorf("said %s", logs)
	}
	token := w.token("data:read data:admin", map[string]any{"exp": w.clock.now().Add(time.Hour).Unix()})
	w.tool(t, token, "delete_data").want(t, http.StatusOK)
	w.clock.advance(6 * time.Minute) // since the policy was signed
	w.tool(t, token, "delete_data").want(t, http.StatusServiceUnavailable)
	w.tool(t, token, "read_data").want(t, http.StatusOK)
	// Once there is a feed all is well.
	w.change(func() { is.feed.serve = nil })
	eventually(t, "the feed is read", func() bool { return w.tool(t, token, "delete_data").status == http.StatusOK })
}
