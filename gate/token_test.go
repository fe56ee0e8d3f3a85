package gate

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/ostiary/ostiary/app/policy"
)

func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

func TestToken_GoodOnesPass(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	rs, ed := newSigner(t, "key-rs", jose.RS256), newSigner(t, "key-ed", jose.EdDSA)
	w.change(func() { w.keys = append(w.keys, rs, ed) })
	w.clock.advance(time.Minute) // past the gap between two fetches of keys
	payload := mustJSON(t, w.claimsFor("data:read"))
	for name, token := range map[string]string{
		"ES256":             w.token("data:read"),
		"RS256":             rs.sign(t, payload, map[string]any{"typ": "at+jwt"}),
		"EdDSA":             ed.sign(t, payload, map[string]any{"typ": "at+jwt"}),
		"long form of type": w.keys[0].sign(t, payload, map[string]any{"typ": "application/AT+JWT"}),
		"audience in list":  w.token("data:read", map[string]any{"aud": []string{"https://other.example", "https://mcp.acme.example/mcp"}}),
		"just expired":      w.token("data:read", map[string]any{"exp": w.clock.now().Unix() - 5}),
		"fractional times":  w.token("data:read", map[string]any{"exp": float64(w.clock.now().Unix()) + 60.5}),
		"no organization":   w.token("data:read", map[string]any{"org_id": nil}),
	} {
		for range 2 { // verified, then remembered
			if a := w.tool(t, token, "read_data"); a.status != http.StatusOK {
				t.Errorf("%s: %d %s", name, a.status, a.body)
			}
		}
	}
}

func TestToken_BadOnesAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	key := w.keys[0]
	good := w.token("data:read")
	parts := strings.Split(good, ".")
	payload := mustJSON(t, w.claimsFor("data:read"))
	at := map[string]any{"typ": "at+jwt"}
	stranger := newSigner(t, key.kid, jose.ES256)
	unknown := newSigner(t, "key-unknown", jose.ES256)
	p384 := newSigner(t, "key-384", jose.ES384)
	now := w.clock.now().Unix()
	with := func(claim string, value any) string { return w.token("data:read", map[string]any{claim: value}) }

	cases := map[string]string{
		"alg none":                 b64(`{"alg":"none","typ":"at+jwt","kid":"key-1"}`) + "." + parts[1] + ".",
		"alg none, signature kept": b64(`{"alg":"none","typ":"at+jwt","kid":"key-1"}`) + "." + parts[1] + "." + parts[2],
		"alg None in odd case":     b64(`{"alg":"nOnE","typ":"at+jwt","kid":"key-1"}`) + "." + parts[1] + ".",
		"HMAC with the public key": hmacToken(t, key, payload),
		"alg of another key type":  b64(`{"alg":"RS256","typ":"at+jwt","kid":"key-1"}`) + "." + parts[1] + "." + parts[2],
		"EdDSA on an EC key":       b64(`{"alg":"EdDSA","typ":"at+jwt","kid":"key-1"}`) + "." + parts[1] + "." + parts[2],
		"other key, same kid":      stranger.sign(t, payload, at),
		"unknown kid":              unknown.sign(t, payload, at),
		"unsupported curve":        p384.sign(t, payload, at),
		"no kid":                   signer{"", key.alg, key.key}.sign(t, payload, at),
		"key inside the token":     embeddedKey(t, stranger, payload),
		"critical header": b64(
			`{"alg":"ES256","typ":"at+jwt","kid":"key-1","crit":["x"],"x":1}`,
		) + "." + parts[1] + "." + parts[2],
		"payload changed": parts[0] + "." + b64(
			string(mustJSON(t, w.claimsFor("data:read data:delete"))),
		) + "." + parts[2],
		"signature cut":            parts[0] + "." + parts[1] + ".",
		"signature padded":         good + "==",
		"two tokens glued":         good + "." + good,
		"not a token":              "hello",
		"only dots":                "..",
		"type JWT":                 key.sign(t, payload, map[string]any{"typ": "JWT"}),
		"type missing":             key.sign(t, payload, nil),
		"a signed policy":          key.sign(t, payload, map[string]any{"typ": policy.TokenType}),
		"type almost right":        key.sign(t, payload, map[string]any{"typ": "x/at+jwt"}),
		"other issuer":             with("iss", "https://evil.example"),
		"issuer with slash":        with("iss", w.testIssuer.url+"/"),
		"no issuer":                with("iss", nil),
		"other audience":           with("aud", "https://mcp.globex.example/mcp"),
		"audience with slash":      with("aud", "https://mcp.acme.example/mcp/"),
		"audience is a prefix":     with("aud", "https://mcp.acme.example"),
		"audience list without it": with("aud", []string{"https://mcp.globex.example/mcp"}),
		"empty audience":           with("aud", []string{}),
		"no audience":              with("aud", nil),
		"audience is an object":    with("aud", map[string]any{"https://mcp.acme.example/mcp": true}),
		"expired":                  with("exp", now-60),
		"expired long ago":         with("exp", 1),
		"no expiry":                with("exp", nil),
		"expiry beyond reason":     with("exp", 1e300),
		"expiry is a string":       with("exp", "9999999999"),
		"negative expiry":          with("exp", -5),
		"not before tomorrow":      with("nbf", now+86400),
		"issued tomorrow":          with("iat", now+86400),
		"no issue time":            with("iat", nil),
		"no subject":               with("sub", nil),
		"no client":                with("client_id", nil),
		"line break in subject":    with("sub", "usr_ann\r\nOstiary-Scopes: data:delete"),
		"line break in client":     with("client_id", "a\nb"),
		"subject beyond ASCII":     with("sub", "usr_änn"),
		"scope is a list":          with("scope", []string{"data:read"}),
		"claims not an object":     key.sign(t, []byte(`["iss"]`), at),
		"claims not JSON":          key.sign(t, []byte(`{`), at),
		"duplicate claim": key.sign(
			t,
			[]byte(strings.Replace(string(payload), "{", `{"aud":"https://x.example",`, 1)),
			at,
		),
		"claim in capitals":     key.sign(t, []byte(strings.Replace(string(payload), `"sub"`, `"SUB"`, 1)), at),
		"longer than any token": strings.Repeat("a", maxTokenLength+1),
		"encrypted":             "a.b.c.d.e",
	}
	for name, token := range cases {
		t.Run(name, func(t *testing.T) {
			for range 2 {
				a := w.tool(t, token, "read_data").want(t, http.StatusUnauthorized)
				if got := a.header.Get("WWW-Authenticate"); !strings.HasPrefix(got, `Bearer error="invalid_token", `) {
					t.Errorf("challenge %q", got)
				}
			}
		})
	}
	if w.upstream.count() != 0 {
		t.Errorf("%d requests reached the MCP server", w.upstream.count())
	}
}

// hmacToken is the classic confusion: the public key, as everybody can fetch it, used as an HMAC secret.
func hmacToken(t *testing.T, key signer, payload []byte) string {
	t.Helper()
	secret, err := key.public().MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	opts := (&jose.SignerOptions{}).WithHeader("typ", "at+jwt").WithHeader("kid", key.kid)
	js, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: secret}, opts)
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

// embeddedKey brings its own key along in the header.
func embeddedKey(t *testing.T, key signer, payload []byte) string {
	t.Helper()
	opts := (&jose.SignerOptions{EmbedJWK: true}).WithHeader("typ", "at+jwt").WithHeader("kid", key.kid)
	js, err := jose.NewSigner(jose.SigningKey{Algorithm: key.alg, Key: key.key}, opts)
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

func TestToken_OfAnotherTenantIsRefused(t *testing.T) {
	t.Parallel()
	acme, globex := newWorld(t, nil), newWorld(t, nil)
	// Same kid, same user, same client, even the same audience: another issuer's key is another issuer's key.
	acme.tool(t, globex.token("data:read", map[string]any{"iss": acme.testIssuer.url}), "read_data").
		want(t, http.StatusUnauthorized)
	acme.tool(t, globex.token("data:read"), "read_data").want(t, http.StatusUnauthorized)
	globex.tool(t, globex.token("data:read"), "read_data").want(t, http.StatusOK)
}

func TestToken_RememberedOnesStillExpire(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	token := w.token("data:read")
	w.tool(t, token, "read_data").want(t, http.StatusOK)
	w.clock.advance(time.Hour + time.Minute)
	a := w.tool(t, token, "read_data").want(t, http.StatusUnauthorized)
	if !strings.Contains(a.header.Get("WWW-Authenticate"), "has expired") {
		t.Errorf("challenge does not say why: %q", a.header.Get("WWW-Authenticate"))
	}
}

func TestToken_WithdrawnKeyWithdrawsRememberedTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	old := w.token("data:read")
	w.tool(t, old, "read_data").want(t, http.StatusOK)
	w.change(func() { w.keys = []signer{newSigner(t, "key-1", jose.ES256)} }) // same kid, another key
	w.clock.advance(keysFreshFor + time.Second)
	eventually(t, "the token of the replaced key is refused", func() bool {
		return w.tool(t, old, "read_data").status == http.StatusUnauthorized
	})
	w.tool(t, w.token("data:read"), "read_data").want(t, http.StatusOK)
}

func TestToken_AudienceFollowsThePolicy(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	token := w.token("data:read")
	w.tool(t, token, "read_data").want(t, http.StatusOK)
	w.publish(func(d *policy.Document) { d.Resource.Identifier = "https://new.acme.example/mcp" })
	eventually(t, "a token for the former identifier is refused", func() bool {
		return w.tool(t, token, "read_data").status == http.StatusUnauthorized
	})
}

func TestToken_AuthorizationHeaderForms(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	token := w.token("data:read")
	for name, tc := range map[string]struct {
		values    []string
		status    int
		presented bool
	}{
		"scheme in lower case": {[]string{"bearer " + token}, 200, true},
		"two spaces":           {[]string{"Bearer  " + token}, 200, true},
		"basic":                {[]string{"Basic dTpw"}, 401, false},
		"no scheme":            {[]string{token}, 401, false},
		"empty":                {[]string{""}, 401, false},
		"scheme only":          {[]string{"Bearer"}, 401, true},
		"two headers":          {[]string{"Bearer " + token, "Bearer " + token}, 401, true},
		"two tokens":           {[]string{"Bearer " + token + " " + token}, 401, true},
		"list":                 {[]string{"Bearer " + token + ",Bearer x"}, 401, true},
	} {
		t.Run(name, func(t *testing.T) {
			var headers []string
			for _, v := range tc.values {
				headers = append(headers, "Authorization: "+v)
			}
			a := w.call(t, http.MethodPost, "/mcp", "", callBody(1, "read_data"), headers...).want(t, tc.status)
			says := strings.Contains(a.header.Get("WWW-Authenticate"), "invalid_token")
			if tc.status == 401 && says != tc.presented {
				t.Errorf("challenge %q", a.header.Get("WWW-Authenticate"))
			}
		})
	}
}

func FuzzToken(f *testing.F) {
	is := newIssuer(f)
	// Its own policy: nothing is asked of the issuer while f belongs to the fuzzer.
	g := is.newGate(f, func(o *Options) { o.Policy = StaticPolicy(is.doc) })
	good := is.token("data:read")
	f.Add(good)
	f.Add(good + ".")
	f.Add(b64(`{"alg":"none"}`) + "." + b64(`{}`) + ".")
	f.Add("..")
	f.Add("")
	f.Fuzz(func(t *testing.T, token string) {
		id, err := g.tokens.verify(t.Context(), token, "https://mcp.acme.example/mcp")
		if (id == nil) == (err == nil) {
			t.Fatalf("identity %v and error %v", id, err)
		}
		// The last character of a signature has bits that mean nothing, so compare what is signed.
		if id != nil && token[:strings.LastIndex(token, ".")] != good[:strings.LastIndex(good, ".")] {
			t.Fatalf("accepted a token nobody signed: %q", token)
		}
	})
}

func FuzzBearer(f *testing.F) {
	f.Add("Bearer abc")
	f.Add("bearer  abc")
	f.Add("Bearer a b")
	f.Add("Basic abc")
	f.Fuzz(func(t *testing.T, value string) {
		token, err := bearer([]string{value})
		if err != nil && token != "" {
			t.Fatalf("%q with %v", token, err)
		}
		if strings.ContainsAny(token, " \t,") {
			t.Fatalf("token with separators: %q", token)
		}
	})
}
