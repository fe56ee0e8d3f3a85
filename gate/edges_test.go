package gate

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
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

func identityKey(t *testing.T) (ed25519.PublicKey, ed25519.PrivateKey) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return public, private
}

// openIdentity verifies an identity token as an MCP server does.
func openIdentity(t *testing.T, public ed25519.PublicKey, compact string) identityClaims {
	t.Helper()
	jws, err := jose.ParseSignedCompact(compact, []jose.SignatureAlgorithm{jose.EdDSA})
	if err != nil {
		t.Fatalf("%q: %v", compact, err)
	}
	payload, err := jws.Verify(public)
	if err != nil {
		t.Fatal(err)
	}
	if typ := jws.Signatures[0].Protected.ExtraHeaders[jose.HeaderType]; typ != IdentityTokenType {
		t.Errorf("type %v", typ)
	}
	kid, err := IdentityKeyID(public)
	if err != nil || jws.Signatures[0].Protected.KeyID != kid {
		t.Errorf("kid %q, want %q (%v)", jws.Signatures[0].Protected.KeyID, kid, err)
	}
	var c identityClaims
	if err := json.Unmarshal(payload, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestIdentityToken_TellsWhoCallsAndCannotBeForged(t *testing.T) {
	t.Parallel()
	public, private := identityKey(t)
	w := newWorld(t, func(o *Options) { o.IdentityKey = private })
	token := w.token("data:read", map[string]any{"host": "claude"})
	seen := func() identityClaims {
		w.call(t, http.MethodPost, "/mcp", token, callBody(1, "read_data"), HeaderIdentity+": forged", HeaderUser+": usr_admin").want(t, 200)
		r, _ := w.upstream.last(t)
		for _, name := range []string{HeaderUser, HeaderOrganization, HeaderClient, HeaderGrant, HeaderScopes, "Authorization"} {
			if r.Header.Get(name) != "" {
				t.Errorf("%s: %s reached the MCP server", name, r.Header.Get(name))
			}
		}
		if got := r.Header.Values(HeaderIdentity); len(got) != 1 {
			t.Fatalf("identity tokens %q", got)
		}
		return openIdentity(t, public, r.Header.Get(HeaderIdentity))
	}
	c := seen()
	want := identityClaims{Issuer: IdentityTokenIssuer, Audience: w.doc.Resource.Identifier, Subject: "usr_ann", Organization: "org_globex",
		Client: "cli_claude", Host: "claude", Grant: "grt_1", Scope: "data:read", IssuedAt: c.IssuedAt, ExpiresAt: c.ExpiresAt, ID: c.ID}
	if c != want || c.ExpiresAt-c.IssuedAt != 60 {
		t.Errorf("claims %+v", c)
	}
	if again := seen(); again.ID != c.ID {
		t.Error("every request is signed anew")
	}
	w.clock.advance(45 * time.Second)
	if later := seen(); later.ID == c.ID || later.ExpiresAt <= c.ExpiresAt {
		t.Errorf("an old token is sent on: %+v", later)
	}
	if a := w.call(t, http.MethodPost, "/mcp", mustSign(t, w, private, c), callBody(1, "read_data")); a.status != http.StatusUnauthorized {
		t.Errorf("an identity token was taken for an access token: %d", a.status)
	}
}

func mustSign(t *testing.T, w *world, key ed25519.PrivateKey, c identityClaims) string {
	t.Helper()
	s, err := newIdentitySigner(key, w.clock.now)
	if err != nil {
		t.Fatal(err)
	}
	text, err := s.token(&Identity{User: c.Subject}, w.doc.Resource.Identifier)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestIdentityToken_EndsWithItsAccessToken(t *testing.T) {
	t.Parallel()
	public, private := identityKey(t)
	w := newWorld(t, func(o *Options) { o.IdentityKey = private })
	end := w.clock.now().Add(20 * time.Second).Unix()
	w.tool(t, w.token("data:read", map[string]any{"exp": end}), "read_data").want(t, 200)
	r, _ := w.upstream.last(t)
	if c := openIdentity(t, public, r.Header.Get(HeaderIdentity)); c.ExpiresAt != end {
		t.Errorf("it lasts until %d, the access token until %d", c.ExpiresAt, end)
	}
}

func TestForwardToken_OnlyWhenAsked(t *testing.T) {
	t.Parallel()
	for _, asked := range []bool{false, true} {
		w := newWorld(t, func(o *Options) { o.ForwardToken = asked })
		token := w.token("data:read")
		w.tool(t, token, "read_data").want(t, 200)
		r, _ := w.upstream.last(t)
		if got := r.Header.Get("Authorization"); (got == "Bearer "+token) != asked {
			t.Errorf("asked %v: Authorization %q", asked, got)
		}
	}
}

func TestUpstreamHeaders_AreEachOrganizationsOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *Options) {
		o.UpstreamHeaders = &UpstreamHeaders{Always: http.Header{"X-Gateway": {"ostiary"}},
			Organizations: map[string]http.Header{"org_globex": {"x-api-key": {"key-of-globex"}}, "org_initech": {"X-Api-Key": {"key-of-initech"}}}}
	})
	smuggled := []string{"X-Api-Key: key-of-initech", "X-Gateway: me"}
	w.call(t, http.MethodPost, "/mcp", w.token("data:read"), callBody(1, "read_data"), smuggled...).want(t, 200)
	r, _ := w.upstream.last(t)
	if got := r.Header.Values("X-Api-Key"); !slices.Equal(got, []string{"key-of-globex"}) || r.Header.Get("X-Gateway") != "ostiary" {
		t.Errorf("sent %q, %q", got, r.Header.Values("X-Gateway"))
	}
	before := w.upstream.count()
	for name, org := range map[string]any{"another": "org_umbrella", "none": nil, "empty": ""} {
		a := w.call(t, http.MethodPost, "/mcp", w.token("data:read", map[string]any{"org_id": org}), callBody(1, "read_data"), smuggled...)
		if a.status != http.StatusForbidden || !strings.Contains(a.body, "not set up") || a.header.Get("WWW-Authenticate") != "" {
			t.Errorf("%s organization: %d %s", name, a.status, a.body)
		}
	}
	if w.upstream.count() != before {
		t.Error("somebody reached the MCP server with another organization's key")
	}
}

func TestUpstreamHeaders_CannotChangeWhatWasDecided(t *testing.T) {
	t.Parallel()
	is := newIssuer(t)
	for _, name := range []string{"Mcp-Name", "Ostiary-User", "content-length", "Transfer-Encoding", "Host", "X_Api_Key", "", "X Key", "Content-Type"} {
		_, err := New(t.Context(), Options{Issuer: is.url, ResourceID: testResource, UpstreamHeaders: &UpstreamHeaders{Always: http.Header{name: {"x"}}}})
		if err == nil {
			t.Errorf("%q may be sent", name)
		}
	}
	_, err := New(t.Context(), Options{Issuer: is.url, ResourceID: testResource, UpstreamHeaders: &UpstreamHeaders{Always: http.Header{"X-Key": {"a\r\nb: c"}}}})
	if err == nil || strings.Contains(err.Error(), "b: c") {
		t.Errorf("a value that breaks the header: %v", err)
	}
}

const oldKey = "acme-key-1"

func legacyOptions(o *Options) {
	o.Legacy = &Legacy{Header: "X-Api-Key", Keys: []LegacyKey{
		{SHA256: sha256.Sum256([]byte(oldKey)), Name: "nightly", Organization: "org_globex", Scopes: []string{"data:read"}},
	}}
}

func TestLegacy_OldKeysAreUnderTheSamePolicy(t *testing.T) {
	t.Parallel()
	seen := make(chan calls.Record, 10)
	w := newWorld(t, func(o *Options) { legacyOptions(o); o.Observe = observing(seen) })
	old := func(tool string, headers ...string) answer {
		return w.call(t, http.MethodPost, "/mcp", "", callBody(1, tool), headers...)
	}
	old("read_data", "X-Api-Key: "+oldKey, HeaderUser+": usr_admin").want(t, 200)
	r, _ := w.upstream.last(t)
	if r.Header.Get("X-Api-Key") != oldKey || r.Header.Get(HeaderUser) != "legacy:nightly" || r.Header.Get(HeaderOrganization) != "org_globex" {
		t.Errorf("the MCP server got %v", r.Header)
	}
	if c := <-seen; c.Proof != calls.ProofLegacy || c.User != "legacy:nightly" || !c.Allowed || c.Client != "legacy:nightly" {
		t.Errorf("recorded %+v", c)
	}
	old("write_data", "X-Api-Key: "+oldKey).want(t, http.StatusForbidden)
	if c := <-seen; c.Allowed || c.Reason != policy.ReasonInsufficientScope {
		t.Errorf("recorded %+v", c)
	}
	before := w.upstream.count()
	for name, headers := range map[string][]string{
		"no key": nil, "another key": {"X-Api-Key: guess"}, "an empty key": {"X-Api-Key: "}, "a long key": {"X-Api-Key: " + strings.Repeat("k", 5000)},
		"two keys": {"X-Api-Key: " + oldKey, "X-Api-Key: other"}, "another header": {"X_Api_Key: " + oldKey},
	} {
		if a := old("read_data", headers...); a.status != http.StatusUnauthorized {
			t.Errorf("%s: %d", name, a.status)
		}
	}
	if w.upstream.count() != before {
		t.Error("a key that nobody knows reached the MCP server")
	}
}

// Whoever has a token must not add somebody else's key to it, nor be judged by the key when the token is bad.
func TestLegacy_ATokenIsJudgedByItself(t *testing.T) {
	t.Parallel()
	w := newWorld(t, legacyOptions)
	w.call(t, http.MethodPost, "/mcp", w.token("data:read"), callBody(1, "read_data"), "X-Api-Key: "+oldKey).want(t, 200)
	r, _ := w.upstream.last(t)
	if r.Header.Get("X-Api-Key") != "" || r.Header.Get(HeaderUser) != "usr_ann" {
		t.Errorf("the MCP server got %v", r.Header)
	}
	w.call(t, http.MethodPost, "/mcp", "bad", callBody(1, "read_data"), "X-Api-Key: "+oldKey).want(t, http.StatusUnauthorized)
	w.call(t, http.MethodPost, "/mcp", w.token("data:list"), callBody(1, "read_data"), "X-Api-Key: "+oldKey).want(t, http.StatusForbidden)
}

func TestLegacy_UnknownKeysAreTheServersToJudge(t *testing.T) {
	t.Parallel()
	seen := make(chan calls.Record, 10)
	w := newWorld(t, func(o *Options) {
		o.Legacy = &Legacy{Header: "Authorization", Unknown: &LegacyUnknown{Scopes: []string{"data:read"}}}
		o.Observe = observing(seen)
	})
	w.upstream.answer = func(rw http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "ApiKey good" {
			rw.Header().Set("WWW-Authenticate", `Basic realm="old"`)
			rw.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = io.WriteString(rw, `{}`)
	}
	w.call(t, http.MethodPost, "/mcp", "", callBody(1, "read_data"), "Authorization: ApiKey good").want(t, 200)
	first := <-seen
	if a := w.call(t, http.MethodPost, "/mcp", "", callBody(1, "read_data"), "Authorization: ApiKey bad").want(t, 401); a.header.Get("WWW-Authenticate") != "" {
		t.Errorf("the server's challenge came through: %v", a.header)
	}
	second := <-seen
	if first.Client == second.Client || !strings.HasPrefix(first.Client, "legacy:key-") || strings.Contains(first.Client, "good") {
		t.Errorf("recorded as %q and %q", first.Client, second.Client)
	}
	w.tool(t, w.token("data:read"), "read_data").want(t, http.StatusBadGateway) // a token is not passed on, and this server wants a key
	w.tool(t, w.token("data:read", map[string]any{"exp": 1}), "read_data").want(t, http.StatusUnauthorized)
}

func TestLegacy_IsStoppedLikeEverybody(t *testing.T) {
	t.Parallel()
	feed := StaticFeed(&policy.Feed{Sequence: 3, Stops: []policy.Stop{{Kind: policy.StopOrganization, Value: "org_globex"}}})
	w := newWorld(t, func(o *Options) {
		legacyOptions(o)
		o.Policy, o.Feed = StaticPolicy(testDocument("https://mcp.acme.example/mcp")), feed
	})
	a := w.call(t, http.MethodPost, "/mcp", "", callBody(1, "read_data"), "X-Api-Key: "+oldKey).want(t, 200)
	if !strings.Contains(a.body, "-32013") || w.upstream.count() != 0 {
		t.Errorf("%s", a.body)
	}
}

func TestLegacy_RefusesWhatCouldNotWork(t *testing.T) {
	t.Parallel()
	is := newIssuer(t)
	sum := sha256.Sum256([]byte("k"))
	for name, l := range map[string]*Legacy{
		"nobody":           {Header: "X-Api-Key"},
		"no header":        {Keys: []LegacyKey{{SHA256: sum, Name: "a"}}},
		"an identity":      {Header: "Ostiary-User", Keys: []LegacyKey{{SHA256: sum, Name: "a"}}},
		"a protocol name":  {Header: "Mcp-Name", Keys: []LegacyKey{{SHA256: sum, Name: "a"}}},
		"a cookie":         {Header: "cookie", Keys: []LegacyKey{{SHA256: sum, Name: "a"}}},
		"no name":          {Header: "X-Api-Key", Keys: []LegacyKey{{SHA256: sum}}},
		"a name with more": {Header: "X-Api-Key", Keys: []LegacyKey{{SHA256: sum, Name: "a b"}}},
		"twice":            {Header: "X-Api-Key", Keys: []LegacyKey{{SHA256: sum, Name: "a"}, {SHA256: sum, Name: "b"}}},
	} {
		if _, err := New(t.Context(), Options{Issuer: is.url, ResourceID: testResource, Legacy: l}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// ChatGPT shows its user a button for what a tool says it needs, and for what the result of a call asks for.
func TestDialect_ToolsAndResultsSayWhatTheyNeed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.upstream.answer = listAnswer("application/json", `{"jsonrpc":"2.0","id":1,"result":{"tools":[`+
		`{"name":"read_data","_meta":{"a":1,"securitySchemes":[{"type":"noauth"}]},"securitySchemes":[{"type":"noauth"}]},`+
		`{"name":"delete_data","description":"x"},{"name":"unmapped"},{"name":"stranger"}]}}`)
	chatgpt := w.token("data:read", map[string]any{"host": hostChatGPT})
	a := w.call(t, http.MethodPost, "/mcp", chatgpt, listBody).want(t, 200)
	want := `{"jsonrpc":"2.0","id":1,"result":{"tools":[` +
		`{"name":"read_data","securitySchemes":[{"scopes":["data:read"],"type":"oauth2"}],` +
		`"_meta":{"securitySchemes":[{"scopes":["data:read"],"type":"oauth2"}],"a":1}},` +
		`{"name":"delete_data","description":"x","securitySchemes":[{"scopes":["data:delete"],"type":"oauth2"}],` +
		`"_meta":{"securitySchemes":[{"scopes":["data:delete"],"type":"oauth2"}]}}]}}`
	if a.body != want {
		t.Errorf("list\n%s, want\n%s", a.body, want)
	}
	denied := w.tool(t, chatgpt, "delete_data").want(t, 200)
	var result struct {
		ID     int `json:"id"`
		Result struct {
			IsError bool                `json:"isError"`
			Meta    map[string][]string `json:"_meta"`
		} `json:"result"`
	}
	if err := json.Unmarshal([]byte(denied.body), &result); err != nil || !result.Result.IsError || result.ID != 1 {
		t.Fatalf("%s: %v", denied.body, err)
	}
	challenge := strings.Join(result.Result.Meta["mcp/www_authenticate"], "")
	for _, part := range []string{`Bearer error="insufficient_scope"`, `scope="data:delete"`, "resource_metadata=", "error_description="} {
		if !strings.Contains(challenge, part) {
			t.Errorf("no %s in %s", part, challenge)
		}
	}
	// Everybody else gets what the specification says.
	other := w.token("data:read", map[string]any{"host": "claude"})
	w.tool(t, other, "delete_data").want(t, http.StatusForbidden)
	if a := w.call(t, http.MethodPost, "/mcp", other, listBody).want(t, 200); strings.Contains(a.body, "delete_data") {
		t.Errorf("list %s", a.body)
	}
	batch := `[` + callBody(1, "delete_data") + `,` + callBody(2, "read_data") + `]`
	w.call(t, http.MethodPost, "/mcp", chatgpt, batch).want(t, http.StatusForbidden)
	if w.upstream.count() != 2 {
		t.Errorf("%d requests reached the MCP server", w.upstream.count())
	}
}
