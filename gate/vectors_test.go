package gate

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ostiary/ostiary/app/calls"
	"github.com/ostiary/ostiary/app/policy"
)

// vectorFile is the format of app/policy/testdata, told in vectors.json.
type vectorFile struct {
	Documents map[string]*policy.Document
	Vectors   []wireVector
}

type wireVector struct {
	Name, Document, Tool string
	Kind                 policy.TargetKind
	Granted              []string
	Subject              policy.Subject
	Feed                 *policy.Feed
	Silence              int64
	Want                 struct {
		Allowed           bool
		Reason            policy.Reason
		Required, Missing []string
	}
}

// request is the vector as a host would send it; "" when none can.
func (v wireVector) request() string {
	if v.Tool == "" || v.Subject.User == "" || v.Subject.Client == "" ||
		slices.ContainsFunc(v.Granted, func(s string) bool { return s == "" || strings.ContainsAny(s, " \t") }) {
		return ""
	}
	switch v.Kind {
	case "", policy.TargetTool:
		return callBody(1, v.Tool)
	case policy.TargetPrompt:
		return promptBody(v.Tool)
	case policy.TargetContent:
		return readBody(v.Tool)
	default:
		return ""
	}
}

// situations is a feed that a test changes.
type situations struct {
	now atomic.Pointer[policy.Situation]
}

// Current implements FeedSource.
func (s *situations) Current() policy.Situation { return *s.now.Load() }

// TestVectors_OverHTTP sends the decision vectors through the whole gate: what is decided is what is recorded, and what
// is recorded is what the host is told.
func TestVectors_OverHTTP(t *testing.T) {
	t.Parallel()
	for file, least := range map[string]int{"vectors.json": 70, "fuzzed.json": 900} { // some no host could send
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			raw, err := os.ReadFile("../app/policy/testdata/" + file)
			if err != nil {
				t.Fatal(err)
			}
			var all vectorFile
			if err := json.Unmarshal(raw, &all); err != nil {
				t.Fatal(err)
			}
			is := newIssuer(t)
			sent := 0
			for name, doc := range all.Documents {
				p := newVectorPlayer(t, is, doc)
				for _, v := range all.Vectors {
					if v.Subject.User == "" && v.Subject.Client == "" && v.Feed == nil { // is about anybody
						v.Subject.User, v.Subject.Client = "usr_any", "cli_any"
					}
					if v.Document != name || v.request() == "" {
						continue
					}
					p.play(t, v)
					sent++
				}
			}
			if sent < least {
				t.Errorf("only %d vectors were sent", sent)
			}
		})
	}
}

// vectorPlayer is a gate for one document.
type vectorPlayer struct {
	issuer *testIssuer
	doc    *policy.Document
	feed   *situations
	seen   chan calls.Record
	url    string
	passed atomic.Int64
}

func newVectorPlayer(t *testing.T, is *testIssuer, doc *policy.Document) *vectorPlayer {
	p := &vectorPlayer{issuer: is, doc: doc, feed: new(situations), seen: make(chan calls.Record, 1)}
	p.feed.now.Store(&policy.Situation{Feed: policy.CompileFeed(nil), Silence: -1})
	g := is.newGate(t, func(o *Options) {
		o.Policy, o.Feed, o.Observe = StaticPolicy(doc), p.feed, observing(p.seen)
	})
	srv := httptest.NewServer(g.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.passed.Add(1)
		listAnswer("application/json", `{"jsonrpc":"2.0","id":1,"result":{}}`)(w, r)
	})))
	t.Cleanup(srv.Close)
	p.url = srv.URL
	return p
}

func (p *vectorPlayer) play(t *testing.T, v wireVector) {
	t.Helper()
	p.feed.now.Store(&policy.Situation{Feed: policy.CompileFeed(v.Feed), Silence: time.Duration(v.Silence) * time.Second})
	token := p.issuer.token(strings.Join(v.Granted, " "), map[string]any{"sub": v.Subject.User, "org_id": v.Subject.Organization,
		"client_id": v.Subject.Client, "host": v.Subject.Host, "grant_id": v.Subject.Grant, "aud": p.doc.Resource.Identifier})
	before := p.passed.Load()
	a := (&world{testIssuer: p.issuer, url: p.url}).call(t, http.MethodPost, "/mcp", token, v.request())
	got := <-p.seen
	if got.Reason != v.Want.Reason || !slices.Equal(got.Missing, v.Want.Missing) || got.Status != a.status {
		t.Errorf("%s: recorded %+v, want %+v, answered %d", v.Name, got, v.Want, a.status)
	}
	through := v.Want.Allowed || p.doc.Mode == policy.ModeShadow && shadowable(v.Want.Reason)
	if got.Allowed != through || got.Shadowed != (through && !v.Want.Allowed) || (p.passed.Load() == before+1) != through {
		t.Errorf("%s: went through %v, recorded %v and shadowed %v", v.Name, p.passed.Load() != before, got.Allowed, got.Shadowed)
	}
	if !through {
		p.told(t, v, a)
	}
}

// told checks what the host is told about a denial.
func (p *vectorPlayer) told(t *testing.T, v wireVector, a answer) {
	t.Helper()
	status, says := http.StatusOK, ""
	switch v.Want.Reason {
	case policy.ReasonRevoked:
		status, says = http.StatusUnauthorized, codeInvalidToken
	case policy.ReasonStopped:
		says = "-32013"
	case policy.ReasonOutOfContact:
		status, says = http.StatusServiceUnavailable, "-32014"
	case policy.ReasonUnknownTool, policy.ReasonUnmappedTool:
		says = "-32602"
	case policy.ReasonInsufficientScope:
		status, says = http.StatusForbidden, codeInsufficientScope
		if v.Subject.Host == "chatgpt" && (v.Kind == "" || v.Kind == policy.TargetTool) { // reads challenges elsewhere
			status = http.StatusOK
		} else if want := scopeValue(v.Want.Required); challengeOf(t, a)["scope"] != want {
			t.Errorf("%s: asked for %q, want %q", v.Name, challengeOf(t, a)["scope"], want)
		}
	}
	if a.status != status || !strings.Contains(a.body, says) {
		t.Errorf("%s: %s is answered %d %s", v.Name, v.Want.Reason, a.status, a.body)
	}
}
