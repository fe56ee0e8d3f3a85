package gate

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/ostiary/ostiary/app/policy"
)

const testResource = "res_acme"

// testClock is the wall clock with an offset that a test moves.
type testClock struct{ offset atomic.Int64 }

func (c *testClock) now() time.Time          { return time.Now().Add(time.Duration(c.offset.Load())) }
func (c *testClock) advance(d time.Duration) { c.offset.Add(int64(d)) }

// signer is a key pair under a kid.
type signer struct {
	kid string
	alg jose.SignatureAlgorithm
	key crypto.Signer
}

func newSigner(t testing.TB, kid string, alg jose.SignatureAlgorithm) signer {
	t.Helper()
	var key crypto.Signer
	var err error
	switch alg {
	case jose.ES256:
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case jose.ES384:
		key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case jose.RS256:
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	case jose.EdDSA:
		_, key, err = ed25519.GenerateKey(rand.Reader)
	default:
		t.Fatalf("no test key for %s", alg)
	}
	if err != nil {
		t.Fatal(err)
	}
	return signer{kid: kid, alg: alg, key: key}
}

func (s signer) public() jose.JSONWebKey {
	return jose.JSONWebKey{Key: s.key.Public(), KeyID: s.kid, Algorithm: string(s.alg), Use: "sig"}
}

// sign makes a compact JWS with the given header members on top of alg and kid.
func (s signer) sign(t testing.TB, payload []byte, header map[string]any) string {
	t.Helper()
	opts := &jose.SignerOptions{}
	for k, v := range header {
		opts = opts.WithHeader(jose.HeaderKey(k), v)
	}
	js, err := jose.NewSigner(jose.SigningKey{Algorithm: s.alg, Key: jose.JSONWebKey{Key: s.key, KeyID: s.kid}}, opts)
	if err != nil {
		t.Fatal(err)
	}
	jws, err := js.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	compact, err := jws.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return compact
}

// testIssuer is the other end of the network: an authorization server that signs tokens and policies.
type testIssuer struct {
	t     testing.TB
	srv   *httptest.Server
	url   string
	clock *testClock

	mu       sync.Mutex
	keys     []signer
	doc      *policy.Document
	bundle   func(*policy.Bundle)                          // spoils the next bundles
	policyBy func() (signer, string)                       // signs policies with another key and type
	meta     func(map[string]any)                          // spoils the metadata
	override func(http.ResponseWriter, *http.Request) bool // answers instead
	fetches  map[string]int
	feed     testFeed
}

func newIssuer(t testing.TB) *testIssuer {
	t.Helper()
	is := &testIssuer{
		t:       t,
		clock:   new(testClock),
		keys:    []signer{newSigner(t, "key-1", jose.ES256)},
		fetches: map[string]int{},
	}
	is.doc = testDocument("https://mcp.acme.example/mcp")
	is.srv = httptest.NewServer(http.HandlerFunc(is.serve))
	t.Cleanup(is.srv.Close)
	is.url = is.srv.URL + "/i/acme"
	return is
}

// testDocument is a policy with one tool of each kind.
func testDocument(identifier string, aliases ...string) *policy.Document {
	return &policy.Document{
		Revision: 1, Mode: policy.ModeEnforce,
		Resource: policy.Resource{ID: testResource, Identifier: identifier, Aliases: aliases, Name: "Acme Data"},
		Scopes: map[string]policy.Scope{
			"data:read":   {Risk: policy.RiskRead, Title: "read data", Baseline: true, Position: 1},
			"data:list":   {Risk: policy.RiskRead, Title: "list data", Baseline: true, Position: 2},
			"data:write":  {Risk: policy.RiskWrite, Title: "change data", Position: 3},
			"data:delete": {Risk: policy.RiskDestructive, Title: "delete data", Position: 4},
			"data:admin":  {Risk: policy.RiskDestructive, Title: "manage data", Implies: []string{"data:write", "data:delete"}},
		},
		Tools: map[string]policy.Tool{
			"read_data":   {Scopes: []string{"data:read"}, Match: policy.MatchAll},
			"write_data":  {Scopes: []string{"data:write"}, Match: policy.MatchAll},
			"delete_data": {Scopes: []string{"data:delete"}, Match: policy.MatchAll},
			"merge_data":  {Scopes: []string{"data:read", "data:write"}, Match: policy.MatchAll},
			"wait":        {Scopes: []string{"data:read"}, Match: policy.MatchAll},
			"unmapped":    {},
		},
	}
}

func (is *testIssuer) serve(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == feedPath {
		is.serveFeed(w, r)
		return
	}
	is.mu.Lock()
	defer is.mu.Unlock()
	is.fetches[r.URL.Path]++
	if is.override != nil && is.override(w, r) {
		return
	}
	switch r.URL.Path {
	case "/.well-known/oauth-authorization-server/i/acme":
		meta := map[string]any{"issuer": is.url, "jwks_uri": is.url + "/jwks"}
		if is.meta != nil {
			is.meta(meta)
		}
		_ = json.NewEncoder(w).Encode(meta)
	case "/i/acme/jwks":
		var set jose.JSONWebKeySet
		for _, k := range is.keys {
			set.Keys = append(set.Keys, k.public())
		}
		_ = json.NewEncoder(w).Encode(set)
	case "/i/acme/resources/" + testResource + "/policy":
		is.servePolicy(w, r)
	default:
		http.NotFound(w, r)
	}
}

func (is *testIssuer) servePolicy(w http.ResponseWriter, r *http.Request) {
	etag := fmt.Sprintf(`"%d"`, is.doc.Revision)
	if is.bundle == nil && r.Header.Get("If-None-Match") == etag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	now := is.clock.now().Unix()
	b := policy.Bundle{Issuer: is.url, Subject: testResource, IssuedAt: now, ExpiresAt: now + 3600, Policy: *is.doc}
	if is.bundle != nil {
		is.bundle(&b)
	}
	raw, err := json.Marshal(b)
	if err != nil {
		is.t.Error(err)
	}
	key, typ := is.keys[0], policy.TokenType
	if is.policyBy != nil {
		key, typ = is.policyBy()
	}
	w.Header().Set("Content-Type", "application/jwt")
	w.Header().Set("ETag", etag)
	_, _ = io.WriteString(w, key.sign(is.t, raw, map[string]any{"typ": typ}))
}

// change edits what the issuer serves.
func (is *testIssuer) change(edit func()) {
	is.mu.Lock()
	defer is.mu.Unlock()
	edit()
}

// publish puts an edited copy of the policy in force under the next revision.
func (is *testIssuer) publish(edit func(*policy.Document)) {
	is.change(func() {
		next := *is.doc
		next.Revision++
		next.Tools, next.Scopes = maps.Clone(next.Tools), maps.Clone(next.Scopes)
		edit(&next)
		is.doc = &next
		is.feed.feed.Sequence++
		is.feed.wake()
	})
}

// goDown makes every request fail until the returned function is called.
func (is *testIssuer) goDown() (back func()) {
	is.change(func() {
		is.override = func(w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(http.StatusBadGateway)
			return true
		}
	})
	return func() { is.change(func() { is.override = nil }) }
}

func (is *testIssuer) fetched(path string) int {
	is.mu.Lock()
	defer is.mu.Unlock()
	return is.fetches[path]
}

// claimsFor are those of a good token with the given scopes.
func (is *testIssuer) claimsFor(scopes string) map[string]any {
	now := is.clock.now().Unix()
	return map[string]any{
		"iss": is.url, "sub": "usr_ann", "aud": is.doc.Resource.Identifier, "iat": now, "exp": now + 3600, "jti": rand.Text(),
		"client_id": "cli_claude", "scope": scopes, "grant_id": "grt_1", "org_id": "org_globex",
	}
}

// token signs a good token, changed by edits; a nil value removes a claim.
func (is *testIssuer) token(scopes string, edits ...map[string]any) string {
	c := is.claimsFor(scopes)
	for _, e := range edits {
		for k, v := range e {
			if c[k] = v; v == nil {
				delete(c, k)
			}
		}
	}
	is.mu.Lock()
	key := is.keys[0]
	is.mu.Unlock()
	return key.sign(is.t, mustJSON(is.t, c), map[string]any{"typ": "at+jwt"})
}

func mustJSON(t testing.TB, v any) []byte {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// logBuffer collects log lines of concurrent goroutines.
type logBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// newGate makes a gate for the issuer's policy.
func (is *testIssuer) newGate(t testing.TB, edit func(*Options)) *Gate {
	t.Helper()
	timing := defaultFeedTiming()
	timing.least, timing.most, timing.between = time.Millisecond, 10*time.Millisecond, time.Millisecond
	o := Options{Issuer: is.url, ResourceID: testResource, Now: is.clock.now, PollEvery: 5 * time.Millisecond, timing: timing,
		StartTimeout: time.Minute, Logger: slog.New(slog.DiscardHandler)}
	if edit != nil {
		edit(&o)
	}
	g, err := New(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	return g
}

// eventually polls until ok, for what another goroutine does.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("did not happen: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// recorder is an MCP server that remembers what reached it.
type recorder struct {
	mu       sync.Mutex
	requests []*http.Request
	bodies   []string
	answer   http.HandlerFunc
}

func (u *recorder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	raw, _ := io.ReadAll(r.Body)
	u.mu.Lock()
	u.requests, u.bodies = append(u.requests, r), append(u.bodies, string(raw))
	answer := u.answer
	u.mu.Unlock()
	if answer != nil {
		answer(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `{"jsonrpc":"2.0","id":1,"result":{"content":[]}}`)
}

func (u *recorder) count() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.requests)
}

func (u *recorder) last(t testing.TB) (*http.Request, string) {
	t.Helper()
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.requests) == 0 {
		t.Fatal("nothing reached the MCP server")
	}
	return u.requests[len(u.requests)-1], u.bodies[len(u.bodies)-1]
}

// world is an issuer, an MCP server and the gate between them, over loopback HTTP.
type world struct {
	*testIssuer
	upstream *recorder
	gate     *Gate
	url      string // of the gate, without path
}

func newWorld(t testing.TB, edit func(*Options)) *world {
	t.Helper()
	return newWorldAt(t, newIssuer(t), edit)
}

func newWorldAt(t testing.TB, is *testIssuer, edit func(*Options)) *world {
	t.Helper()
	w := &world{testIssuer: is, upstream: &recorder{}}
	up := httptest.NewServer(w.upstream)
	t.Cleanup(up.Close)
	w.gate = is.newGate(t, func(o *Options) {
		o.Upstream = up.URL + "/mcp"
		if edit != nil {
			edit(o)
		}
	})
	front := httptest.NewServer(w.gate.Handler())
	t.Cleanup(front.Close)
	w.url = front.URL
	return w
}

// call sends a request to the gate. Headers are "Name: value" lines.
func (w *world) call(t testing.TB, method, path, token, body string, headers ...string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, w.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Accept", "application/json, text/event-stream")
	}
	if slices.ContainsFunc(headers, func(h string) bool { return strings.HasPrefix(h, "Content-Type: ") }) {
		req.Header.Del("Content-Type")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header[name] = append(req.Header[name], value)
	}
	return send(t, http.DefaultClient, req)
}

// tool sends a tools/call.
func (w *world) tool(t testing.TB, token, name string) answer {
	t.Helper()
	return w.call(t, http.MethodPost, "/mcp", token, callBody(1, name))
}

func callBody(id int, tool string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":%q,"arguments":{}}}`, id, tool)
}

type answer struct {
	status int
	header http.Header
	body   string
}

func send(t testing.TB, client *http.Client, req *http.Request) answer {
	t.Helper()
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(raw)}
}

func (a answer) want(t testing.TB, status int) answer {
	t.Helper()
	if a.status != status {
		t.Fatalf("status %d, want %d: %s", a.status, status, a.body)
	}
	return a
}
