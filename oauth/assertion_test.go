package oauth_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/ostiary/ostiary/app/apptest/host"
	"github.com/ostiary/ostiary/app/secret"
)

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// keyPair is a key of a client.
type keyPair struct {
	alg jose.SignatureAlgorithm
	id  string
	key crypto.Signer
	now func() time.Time
}

// at sets the clock of the key's owner.
func (k keyPair) at(now func() time.Time) keyPair {
	k.now = now
	return k
}

func newKey(t *testing.T, alg jose.SignatureAlgorithm, id string) keyPair {
	t.Helper()
	k := keyPair{alg: alg, id: id, now: time.Now}
	var err error
	switch alg {
	case jose.RS256:
		k.key, err = rsa.GenerateKey(rand.Reader, 2048)
	case jose.EdDSA:
		_, k.key, err = ed25519.GenerateKey(rand.Reader)
	default:
		k.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// assert signs an assertion; change replaces claims, nil takes one away.
func (k keyPair) assert(t *testing.T, c *host.Client, change map[string]any) string {
	t.Helper()
	now := k.now()
	stated := map[string]any{"iss": c.ID, "sub": c.ID, "aud": c.Issuer, "jti": secret.NewToken(), "iat": now.Unix(), "exp": now.Add(time.Minute).Unix()}
	for name, value := range change {
		if stated[name] = value; value == nil {
			delete(stated, name)
		}
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: k.alg, Key: jose.JSONWebKey{Key: k.key, KeyID: k.id}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(stated)
	if err != nil {
		t.Fatal(err)
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := jws.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func keySet(keys ...keyPair) jose.JSONWebKeySet {
	var set jose.JSONWebKeySet
	for _, k := range keys {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: k.key.Public(), KeyID: k.id, Use: "sig", Algorithm: string(k.alg)})
	}
	return set
}

// proving is a form with an assertion in place of a client_id.
func proving(form url.Values, assertion string) url.Values {
	form.Del("client_id")
	form.Set("client_assertion_type", assertionType)
	form.Set("client_assertion", assertion)
	return form
}

// signing publishes a document whose client signs with key, and connects it.
func signing(t *testing.T, s *host.Stack, key keyPair, members map[string]any) (*publisher, *host.Client, string) {
	t.Helper()
	all := map[string]any{"token_endpoint_auth_method": "private_key_jwt", "jwks": keySet(key)}
	for name, value := range members {
		all[name] = value
	}
	p := publish(t, all)
	c := clientAt(s.Acme, p.id(), host.WebRedirect)
	a := c.Authorize("data:read")
	b := host.NewBrowser(t)
	code := b.Decide(t, b.SignIn(t, a.URL(), s.Acme.UserEmail), "approve", "data:read").Param("code")
	refused(t, "without proof", a.Redeem(t, code), http.StatusUnauthorized, "invalid_client")
	answer := c.Token(t, proving(a.TokenForm(code), key.assert(t, c, nil)))
	if answer.Status != http.StatusOK {
		t.Fatalf("token: %d %s", answer.Status, answer.Raw)
	}
	return p, c, answer.Str("refresh_token")
}

func TestAssertion_ProvesAClient(t *testing.T) {
	t.Parallel()
	s := onLoopback(t)
	for _, alg := range []jose.SignatureAlgorithm{jose.ES256, jose.RS256, jose.EdDSA} {
		key := newKey(t, alg, "k1")
		_, c, refresh := signing(t, s, key, nil)
		for name, aud := range map[string]any{"issuer": s.Acme.Issuer, "token endpoint": s.Acme.Issuer + "/token", "list": []string{s.Acme.Issuer}} {
			answer := c.Token(t, proving(c.RefreshForm(refresh), key.assert(t, c, map[string]any{"aud": aud})))
			if answer.Status != http.StatusOK {
				t.Errorf("%s, %s: %d %s", alg, name, answer.Status, answer.Raw)
			}
			refresh = answer.Str("refresh_token")
		}
		both := proving(c.RefreshForm(refresh), key.assert(t, c, nil))
		both.Set("client_id", c.ID)
		if answer := c.Token(t, both); answer.Status != http.StatusOK {
			t.Errorf("%s, with client_id: %d %s", alg, answer.Status, answer.Raw)
		}
		end := proving(url.Values{"token": {refresh}}, key.assert(t, c, nil))
		if answer := host.PostForm(t, s.Acme.Issuer+"/revoke", end); answer.Status != http.StatusOK {
			t.Errorf("%s, revocation: %d %s", alg, answer.Status, answer.Raw)
		}
		refused(t, "after revocation", c.Token(t, proving(c.RefreshForm(refresh), key.assert(t, c, nil))), http.StatusBadRequest, "invalid_grant")
	}
}

func TestAssertion_IsTheOnlyProof(t *testing.T) {
	t.Parallel()
	s := onLoopback(t)
	key := newKey(t, jose.ES256, "k1")
	_, c, refresh := signing(t, s, key, nil)
	try := func(name string, change func(url.Values), status int, code string) {
		t.Helper()
		form := proving(c.RefreshForm(refresh), key.assert(t, c, nil))
		change(form)
		refused(t, name, c.Token(t, form), status, code)
	}
	try("no assertion", func(f url.Values) { f.Del("client_assertion") }, 401, "invalid_client")
	try("no type", func(f url.Values) { f.Del("client_assertion_type") }, 401, "invalid_client")
	try("another type", func(f url.Values) {
		f.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer")
	}, 401, "invalid_client")
	try("with a secret", func(f url.Values) { f.Set("client_secret", "x") }, 400, "invalid_request")
	try("another client_id", func(f url.Values) { f.Set("client_id", "https://other.example/c") }, 401, "invalid_client")
	try("id only", func(f url.Values) {
		f.Del("client_assertion")
		f.Del("client_assertion_type")
		f.Set("client_id", c.ID)
	}, 401, "invalid_client")
	try("a secret only", func(f url.Values) {
		f.Del("client_assertion")
		f.Del("client_assertion_type")
		f.Set("client_id", c.ID)
		f.Set("client_secret", "guess")
	}, 401, "invalid_client")
	basic := host.Post(t, s.Acme.Issuer+"/token", "application/x-www-form-urlencoded",
		[]byte(proving(c.RefreshForm(refresh), key.assert(t, c, nil)).Encode()), http.Header{"Authorization": {"Basic eDp5"}})
	refused(t, "with Basic", basic, 400, "invalid_request")

	public := s.Register(t, s.Acme, nil)
	tokens := s.Connect(t, host.NewBrowser(t), s.Acme, public.Authorize("data:read"), "data:read")
	refused(t, "of a public client", public.Token(t, proving(public.RefreshForm(tokens.Refresh), key.assert(t, public, nil))), 401, "invalid_client")
	if answer := c.Token(t, proving(c.RefreshForm(refresh), key.assert(t, c, nil))); answer.Status != http.StatusOK {
		t.Errorf("after all that: %d %s", answer.Status, answer.Raw)
	}
}

func TestAssertion_WorksOnce(t *testing.T) {
	t.Parallel()
	s := onLoopback(t)
	key := newKey(t, jose.ES256, "k1")
	_, c, refresh := signing(t, s, key, nil)
	once := key.assert(t, c, nil)
	if answer := c.Token(t, proving(c.RefreshForm(refresh), once)); answer.Status != http.StatusOK {
		t.Fatalf("%d %s", answer.Status, answer.Raw)
	}
	refused(t, "again", c.Token(t, proving(c.RefreshForm(refresh), once)), http.StatusUnauthorized, "invalid_client")
	s.Restart(t)
	refused(t, "after a restart", c.Token(t, proving(c.RefreshForm(refresh), once)), http.StatusUnauthorized, "invalid_client")
	same := key.assert(t, c, map[string]any{"jti": "same"})
	renewed := key.assert(t, c, map[string]any{"jti": "same", "exp": s.Clock.Now().Add(5 * time.Minute).Unix()})
	if answer := c.Token(t, proving(c.RefreshForm(refresh), same)); answer.Status != http.StatusOK {
		t.Fatalf("%d %s", answer.Status, answer.Raw)
	}
	refused(t, "its jti in another assertion", c.Token(t, proving(c.RefreshForm(refresh), renewed)), http.StatusUnauthorized, "invalid_client")
}

// However many nodes an assertion reaches at once, one takes it.
func TestAssertion_RaceHasOneWinner(t *testing.T) {
	t.Parallel()
	s := host.New(t, host.WithIssuers(host.PathForm), host.WithNodes(2))
	key := newKey(t, jose.ES256, "k1")
	_, c, refresh := signing(t, s, key, nil)
	once := key.assert(t, c, nil)
	var won atomic.Int32
	var all sync.WaitGroup
	for range 24 {
		all.Go(func() {
			if c.Token(t, proving(c.RefreshForm(refresh), once)).Status == http.StatusOK {
				won.Add(1)
			}
		})
	}
	all.Wait()
	if n := won.Load(); n != 1 {
		t.Errorf("one assertion worked %d times", n)
	}
}

// A stranger who saw a jti, or guesses it, cannot use it up before its owner: nothing is recorded for what is not proved.
func TestAssertion_StrangersBurnNothing(t *testing.T) {
	t.Parallel()
	s := onLoopback(t)
	key, stranger := newKey(t, jose.ES256, "k1"), newKey(t, jose.ES256, "k1")
	_, c, refresh := signing(t, s, key, nil)
	_, other, _ := signing(t, s, stranger, nil)
	jti := map[string]any{"jti": "guessed"}
	refused(t, "forged", c.Token(t, proving(c.RefreshForm(refresh), stranger.assert(t, c, jti))), http.StatusUnauthorized, "invalid_client")
	refused(t, "for another issuer", c.Token(t, proving(c.RefreshForm(refresh), key.assert(t, c, map[string]any{
		"jti": "guessed", "aud": s.Neighbour.Issuer,
	}))), http.StatusUnauthorized, "invalid_client")
	refused(t, "expired", c.Token(t, proving(c.RefreshForm(refresh), key.assert(t, c, map[string]any{
		"jti": "guessed", "exp": s.Clock.Now().Add(-2 * time.Minute).Unix(),
	}))), http.StatusUnauthorized, "invalid_client")
	// Another client may use the same jti: it is counted per client.
	refused(t, "another client's grant", other.Token(t, proving(other.RefreshForm(refresh), stranger.assert(t, other, jti))), http.StatusBadRequest, "invalid_grant")
	if answer := c.Token(t, proving(c.RefreshForm(refresh), key.assert(t, c, jti))); answer.Status != http.StatusOK {
		t.Errorf("its owner: %d %s", answer.Status, answer.Raw)
	}
}

func TestAssertion_IsForOneTenantsIssuer(t *testing.T) {
	t.Parallel()
	s := onLoopback(t)
	key := newKey(t, jose.ES256, "k1")
	p, c, refresh := signing(t, s, key, nil)
	there := clientAt(s.Neighbour, p.id(), host.WebRedirect)
	a := there.Authorize("data:read")
	b := host.NewBrowser(t)
	code := b.Decide(t, b.SignIn(t, a.URL(), s.Neighbour.UserEmail), "approve", "data:read").Param("code")
	assertion := key.assert(t, there, nil)
	refused(t, "the neighbour's", c.Token(t, proving(c.RefreshForm(refresh), assertion)), http.StatusUnauthorized, "invalid_client")
	if answer := there.Token(t, proving(a.TokenForm(code), assertion)); answer.Status != http.StatusOK {
		t.Errorf("at the neighbour: %d %s", answer.Status, answer.Raw)
	}
}

func TestAssertion_KeysByAddressAreRotated(t *testing.T) {
	t.Parallel()
	s := onLoopback(t)
	first, second := newKey(t, jose.RS256, "k1").at(s.Clock.Now), newKey(t, jose.RS256, "k2").at(s.Clock.Now)
	third := newKey(t, jose.ES256, "k3").at(s.Clock.Now)
	var mu sync.Mutex
	var asked int
	published := keySet(first)
	status := http.StatusOK
	jwks := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		asked++
		w.Header().Set("Content-Type", "application/jwk-set+json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(published)
	})
	set := func(code int, keys ...keyPair) {
		mu.Lock()
		defer mu.Unlock()
		published, status = keySet(keys...), code
	}
	// The shape of ChatGPT's document: two methods listed, one named.
	_, c, refresh := signing(t, s, first, map[string]any{
		"jwks": nil, "jwks_uri": jwks + "/jwks.json", "token_endpoint_auth_methods_supported": []string{"none", "private_key_jwt"},
	})
	use := func(key keyPair) host.Answer {
		return c.Token(t, proving(c.RefreshForm(refresh), key.assert(t, c, nil)))
	}
	set(http.StatusOK, second, third)
	s.Clock.Advance(time.Minute)
	for _, key := range []keyPair{second, third} {
		if answer := use(key); answer.Status != http.StatusOK {
			t.Fatalf("a new key: %d %s", answer.Status, answer.Raw)
		}
	}
	refused(t, "a key that was withdrawn", use(first), http.StatusUnauthorized, "invalid_client")
	mu.Lock()
	before := asked
	mu.Unlock()
	for n := range 20 {
		unknown := newKey(t, jose.ES256, fmt.Sprintf("unknown-%d", n)).at(s.Clock.Now)
		refused(t, "a kid nobody has", use(unknown), http.StatusUnauthorized, "invalid_client")
	}
	mu.Lock()
	if asked-before > 1 {
		t.Errorf("20 unknown kids cost %d fetches", asked-before)
	}
	mu.Unlock()
	set(http.StatusServiceUnavailable)
	s.Clock.Advance(2 * 24 * time.Hour)
	if answer := use(second); answer.Status != http.StatusOK {
		t.Errorf("while the host is away: %d %s", answer.Status, answer.Raw)
	}
	s.Restart(t)
	refused(t, "while the host is away, after a restart", use(second), http.StatusServiceUnavailable, "temporarily_unavailable")
	set(http.StatusOK, second)
	s.Clock.Advance(time.Minute)
	if answer := use(second); answer.Status != http.StatusOK {
		t.Errorf("when it is back: %d %s", answer.Status, answer.Raw)
	}
}

func TestAssertion_OutageCostsNothing(t *testing.T) {
	t.Parallel()
	s := onLoopback(t)
	key := newKey(t, jose.ES256, "k1")
	_, c, refresh := signing(t, s, key, nil)
	s.Cable.Cut()
	assertion := key.assert(t, c, nil)
	refused(t, "without Postgres", c.Token(t, proving(c.RefreshForm(refresh), assertion)), http.StatusServiceUnavailable, "temporarily_unavailable")
	s.Cable.Mend()
	eventually(t, "the same assertion afterwards", func() bool {
		return c.Token(t, proving(c.RefreshForm(refresh), assertion)).Status == http.StatusOK
	})
}

func TestAssertion_IsAdvertised(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	raw := host.Get(t, s.Acme.Issuer+"/.well-known/openid-configuration").Raw
	for _, want := range []string{
		`"token_endpoint_auth_methods_supported":["none","client_secret_basic","client_secret_post","private_key_jwt"]`,
		`"token_endpoint_auth_signing_alg_values_supported":["ES256","RS256","EdDSA"]`, `"client_id_metadata_document_supported":true`,
	} {
		if !strings.Contains(raw, want) {
			t.Errorf("metadata lacks %s", want)
		}
	}
}

// serve answers on loopback and returns where.
func serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}
