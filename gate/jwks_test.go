package gate

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

func TestKeys_UnknownKidIsFetchedOnceForEverybody(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	next := newSigner(t, "key-2", jose.ES256)
	w.change(func() { w.keys = []signer{next, w.keys[0]} })
	before := w.fetched("/i/acme/jwks")
	var wg sync.WaitGroup
	for range 40 {
		wg.Go(func() { w.tool(t, w.token("data:read"), "read_data").want(t, http.StatusOK) })
	}
	wg.Wait()
	if got := w.fetched("/i/acme/jwks") - before; got != 1 {
		t.Errorf("keys fetched %d times for 40 tokens", got)
	}
}

func TestKeys_MadeUpKidsDoNotReachTheIssuer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	payload := mustJSON(t, w.claimsFor("data:read"))
	before := w.fetched("/i/acme/jwks")
	for range 30 {
		s := newSigner(t, rand.Text(), jose.ES256)
		w.tool(t, s.sign(t, payload, map[string]any{"typ": "at+jwt"}), "read_data").want(t, http.StatusUnauthorized)
	}
	if got := w.fetched("/i/acme/jwks") - before; got > 1 {
		t.Errorf("30 made-up kids caused %d fetches", got)
	}
}

func TestKeys_SurviveAnOutageOfTheIssuer(t *testing.T) {
	t.Parallel()
	logs := new(logBuffer)
	w := newWorld(t, func(o *Options) { o.Logger = textLogger(logs) })
	back := w.goDown()
	w.clock.advance(time.Hour)
	for range 3 {
		w.tool(t, w.token("data:read"), "read_data").want(t, http.StatusOK)
		w.clock.advance(keysRetryAfter + time.Second)
	}
	// A key nobody can look up is no reason to make the client throw its token away.
	next := newSigner(t, "key-2", jose.ES256)
	token := next.sign(t, mustJSON(t, w.claimsFor("data:read")), map[string]any{"typ": "at+jwt"})
	a := w.tool(t, token, "read_data").want(t, http.StatusServiceUnavailable)
	if a.header.Get("WWW-Authenticate") != "" || a.header.Get("Retry-After") == "" {
		t.Errorf("answer to a token that cannot be checked: %v", a.header)
	}
	if got := strings.Count(logs.String(), "cannot be renewed, going on with those in memory"); got != 1 {
		t.Errorf("the outage was logged %d times", got)
	}
	w.change(func() { w.keys = append(w.keys, next) })
	back()
	eventually(t, "the new key is found", func() bool { // a fetch from before may still be under way
		w.clock.advance(keysRetryAfter + time.Second)
		return w.tool(t, token, "read_data").status == http.StatusOK
	})
}

func TestKeys_OneBadKeyDoesNotSpoilTheSet(t *testing.T) {
	t.Parallel()
	good := newSigner(t, "good", jose.ES256)
	small, err := rsa.GenerateKey(rand.Reader, 1024) //nolint:gosec // it must be refused for this
	if err != nil {
		t.Fatal(err)
	}
	weak := jose.JSONWebKey{Key: small.Public(), KeyID: "weak", Algorithm: "RS256"}
	private := jose.JSONWebKey{Key: newSigner(t, "", jose.ES256).key, KeyID: "private"}
	secret := jose.JSONWebKey{Key: []byte("0123456789abcdef0123456789abcdef"), KeyID: "secret", Algorithm: "HS256"}
	nameless := newSigner(t, "", jose.ES256).public()
	enc := newSigner(t, "enc", jose.ES256).public()
	enc.Use = "enc"
	odd := newSigner(t, "odd", jose.ES384).public()
	wrong := newSigner(t, "wrong", jose.ES256).public()
	wrong.Algorithm = "RS256"
	twice := newSigner(t, "good", jose.ES256).public()
	items := []any{
		map[string]any{"kty": "future", "kid": "x"},
		weak,
		private,
		secret,
		nameless,
		enc,
		odd,
		wrong,
		good.public(),
		twice,
	}
	raw, err := json.Marshal(map[string]any{"keys": items})
	if err != nil {
		t.Fatal(err)
	}
	keys, err := parseKeys(raw)
	if err != nil || len(keys) != 1 || keys["good"].alg != jose.ES256 {
		t.Fatalf("kept %v, %v", keys, err)
	}
}

func TestNew_SaysWhyItCannotStart(t *testing.T) {
	t.Parallel()
	redirect := func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/jwks") {
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
			return true
		}
		return false
	}
	for name, tc := range map[string]struct {
		spoil func(*testIssuer)
		edit  func(*Options)
		want  string
	}{
		"issuer is down":         {func(is *testIssuer) { is.goDown() }, nil, "metadata of the issuer: answered 502"},
		"another issuer answers": {func(is *testIssuer) { is.meta = func(m map[string]any) { m["issuer"] = "https://evil.example" } }, nil, `names the issuer "https://evil.example"`},
		"issuer with a slash": {func(is *testIssuer) {
			is.meta = func(m map[string]any) { m["issuer"] = is.url + "/" }
		}, nil, "names the issuer"},
		"no jwks_uri": {func(is *testIssuer) {
			is.meta = func(m map[string]any) { delete(m, "jwks_uri") }
		}, nil, "no usable jwks_uri"},
		"jwks_uri is a file": {func(is *testIssuer) {
			is.meta = func(m map[string]any) { m["jwks_uri"] = "file:///etc/passwd" }
		}, nil, "no usable jwks_uri"},
		"keys are elsewhere":      {func(is *testIssuer) { is.override = redirect }, nil, "keys of the issuer: answered 302"},
		"no usable key":           {func(is *testIssuer) { is.keys = nil }, nil, "no usable key"},
		"resource is unknown":     {nil, func(o *Options) { o.ResourceID = "res_other" }, "no policy for resource res_other"},
		"identifier is not known": {nil, func(o *Options) { o.Identifier = "https://x.example" }, "neither the identifier nor an alias"},
		"issuer option slash":     {nil, func(o *Options) { o.Issuer += "/" }, "trailing slash"},
		"issuer option relative":  {nil, func(o *Options) { o.Issuer = "/i/acme" }, "absolute"},
		"no resource":             {nil, func(o *Options) { o.ResourceID = "" }, "resource id is missing"},
		"skew without bound":      {nil, func(o *Options) { o.Skew = time.Hour }, "clock skew"},
		"upstream is not a URL":   {nil, func(o *Options) { o.Upstream = "localhost:9000" }, "upstream"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			is := newIssuer(t)
			if tc.spoil != nil {
				tc.spoil(is)
			}
			o := Options{Issuer: is.url, ResourceID: testResource, StartTimeout: 3 * time.Second}
			if tc.edit != nil {
				tc.edit(&o)
			}
			g, err := New(t.Context(), o)
			if err == nil {
				g.Close()
				t.Fatal("started")
			}
			if !strings.Contains(err.Error(), tc.want) || !strings.HasPrefix(err.Error(), "gate: ") {
				t.Errorf("got %q, want it to say %q", err, tc.want)
			}
		})
	}
}

func TestNew_WaitsForAnIssuerThatStartsLater(t *testing.T) {
	t.Parallel()
	is := newIssuer(t)
	back := is.goDown()
	started := make(chan error, 1)
	go func() {
		g, err := New(context.Background(), Options{Issuer: is.url, ResourceID: testResource})
		if err == nil {
			g.Close()
		}
		started <- err
	}()
	eventually(t, "the gate asks", func() bool { return is.fetched("/.well-known/oauth-authorization-server/i/acme") > 1 })
	back()
	if err := <-started; err != nil {
		t.Error(err)
	}
}

func TestNew_StopsWithItsContext(t *testing.T) {
	t.Parallel()
	is := newIssuer(t)
	is.goDown()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := New(ctx, Options{Issuer: is.url, ResourceID: testResource}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
