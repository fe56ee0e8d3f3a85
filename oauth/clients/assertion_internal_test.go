package clients

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

type signer struct {
	alg jose.SignatureAlgorithm
	key any
	id  string
}

func newSigner(t testing.TB, alg jose.SignatureAlgorithm, id string) signer {
	t.Helper()
	var key any
	var err error
	switch alg {
	case jose.ES256:
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case jose.ES384:
		key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case jose.EdDSA:
		_, key, err = ed25519.GenerateKey(rand.Reader)
	default:
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		t.Fatal(err)
	}
	return signer{alg: alg, key: key, id: id}
}

func (s signer) public(t testing.TB) json.RawMessage {
	t.Helper()
	jwk := jose.JSONWebKey{Key: s.key, KeyID: s.id, Use: "sig"}
	public := jwk.Public()
	raw, err := public.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func setOf(t testing.TB, signers ...signer) json.RawMessage {
	t.Helper()
	var keys []string
	for _, s := range signers {
		keys = append(keys, string(s.public(t)))
	}
	return json.RawMessage(`{"keys":[` + strings.Join(keys, ",") + `]}`)
}

// sign signs claims with header members added.
func (s signer) sign(t testing.TB, claims map[string]any, header map[string]any) string {
	t.Helper()
	options := new(jose.SignerOptions)
	for name, value := range header {
		options = options.WithHeader(jose.HeaderKey(name), value)
	}
	by, err := jose.NewSigner(jose.SigningKey{Algorithm: s.alg, Key: jose.JSONWebKey{Key: s.key, KeyID: s.id}}, options)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	jws, err := by.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := jws.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

const (
	testIssuer = "https://issuer.example"
	testToken  = "https://issuer.example/token"
)

var testTime = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// stated returns good claims with some replaced; nil takes one away.
func stated(change map[string]any) map[string]any {
	claims := map[string]any{
		"iss": testID, "sub": testID, "aud": testIssuer, "jti": "1", "iat": testTime.Unix(), "exp": testTime.Add(5 * time.Minute).Unix(),
	}
	for name, value := range change {
		if claims[name] = value; value == nil {
			delete(claims, name)
		}
	}
	return claims
}

// judge does what VerifyAssertion does before it spends the jti.
func judge(raw string, jwks json.RawMessage) error {
	a, err := ParseAssertion(raw)
	if err != nil {
		return err
	}
	if err := a.checkClaims([]string{testIssuer, testToken}, testTime); err != nil {
		return err
	}
	keys, err := parseKeySet(jwks)
	if err != nil {
		return err
	}
	return a.checkSignature(keys)
}

func TestAssertion_IsTakenByTheKeysAlgorithm(t *testing.T) {
	t.Parallel()
	for _, alg := range []jose.SignatureAlgorithm{jose.ES256, jose.RS256, jose.EdDSA} {
		s, other := newSigner(t, alg, "k1"), newSigner(t, alg, "k2")
		for name, raw := range map[string]string{
			"issuer":         s.sign(t, stated(nil), nil),
			"token endpoint": s.sign(t, stated(map[string]any{"aud": testToken}), nil),
			"a list of one":  s.sign(t, stated(map[string]any{"aud": []string{testIssuer}}), nil),
			"typed":          s.sign(t, stated(nil), map[string]any{"typ": "client-authentication+jwt"}),
			"typed JWT":      s.sign(t, stated(nil), map[string]any{"typ": "JWT"}),
			"no iat":         s.sign(t, stated(map[string]any{"iat": nil}), nil),
			"fractions":      s.sign(t, stated(map[string]any{"exp": float64(testTime.Unix()) + 60.5}), nil),
			"just expired":   s.sign(t, stated(map[string]any{"exp": testTime.Add(-59 * time.Second).Unix()}), nil),
			"fast clock":     s.sign(t, stated(map[string]any{"iat": testTime.Add(59 * time.Second).Unix(), "nbf": testTime.Add(59 * time.Second).Unix()}), nil),
			"ten minutes":    s.sign(t, stated(map[string]any{"exp": testTime.Add(10 * time.Minute).Unix()}), nil),
		} {
			if err := judge(raw, setOf(t, other, s)); err != nil {
				t.Errorf("%s, %s: %v", alg, name, err)
			}
		}
		anonymous := signer{alg: alg, key: s.key}
		if err := judge(anonymous.sign(t, stated(nil), nil), setOf(t, other, s)); err != nil {
			t.Errorf("%s, without kid: %v", alg, err)
		}
	}
}

func TestAssertion_IsRefused(t *testing.T) {
	t.Parallel()
	s := newSigner(t, jose.ES256, "k1")
	sign := func(change map[string]any) string { return s.sign(t, stated(change), nil) }
	good := sign(nil)
	parts := strings.Split(good, ".")
	b64 := base64.RawURLEncoding.EncodeToString
	withHeader := func(header string) string { return b64([]byte(header)) + "." + parts[1] + "." + parts[2] }
	rsaSigner := newSigner(t, jose.RS256, "k1")
	symmetric := signer{alg: jose.HS256, key: []byte(setOf(t, s)), id: "k1"}
	for name, raw := range map[string]string{
		"nothing":               "",
		"not a JWT":             "hello",
		"two parts":             parts[0] + "." + parts[1],
		"JSON form":             `{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`,
		"alg none":              withHeader(`{"alg":"none","kid":"k1"}`),
		"alg none, unsigned":    b64([]byte(`{"alg":"none"}`)) + "." + parts[1] + ".",
		"no alg":                withHeader(`{"kid":"k1"}`),
		"HS256 by the public":   symmetric.sign(t, stated(nil), nil),
		"key of another kind":   rsaSigner.sign(t, stated(nil), nil),
		"ES384":                 newSigner(t, jose.ES384, "k1").sign(t, stated(nil), nil),
		"PS256":                 signer{alg: jose.PS256, key: rsaSigner.key, id: "k1"}.sign(t, stated(nil), nil),
		"another key":           newSigner(t, jose.ES256, "k1").sign(t, stated(nil), nil),
		"wrong kid":             signer{alg: s.alg, key: s.key, id: "k9"}.sign(t, stated(nil), nil),
		"its own key inside":    embedded(t),
		"altered claims":        parts[0] + "." + b64([]byte(`{"iss":"x"}`)) + "." + parts[2],
		"altered signature":     parts[0] + "." + parts[1] + "." + parts[2][:len(parts[2])-4] + "AAAA",
		"critical extension":    s.sign(t, stated(nil), map[string]any{"crit": []string{"x"}, "x": 1}),
		"an access token":       s.sign(t, stated(nil), map[string]any{"typ": "at+jwt"}),
		"a DPoP proof":          s.sign(t, stated(nil), map[string]any{"typ": "dpop+jwt"}),
		"an ID-JAG":             s.sign(t, stated(nil), map[string]any{"typ": "oauth-id-jag+jwt"}),
		"no iss":                sign(map[string]any{"iss": nil}),
		"no sub":                sign(map[string]any{"sub": nil}),
		"iss is not sub":        sign(map[string]any{"iss": "https://other.example/c"}),
		"no aud":                sign(map[string]any{"aud": nil}),
		"another issuer":        sign(map[string]any{"aud": "https://other.example"}),
		"issuer with a slash":   sign(map[string]any{"aud": testIssuer + "/"}),
		"below the issuer":      sign(map[string]any{"aud": testIssuer + "/token/x"}),
		"two audiences":         sign(map[string]any{"aud": []string{testIssuer, "https://other.example"}}),
		"no audience in a list": sign(map[string]any{"aud": []string{}}),
		"aud is a number":       sign(map[string]any{"aud": 1}),
		"no exp":                sign(map[string]any{"exp": nil}),
		"exp is text":           sign(map[string]any{"exp": "soon"}),
		"exp zero":              sign(map[string]any{"exp": 0}),
		"exp negative":          sign(map[string]any{"exp": -1}),
		"exp for ever":          sign(map[string]any{"exp": 1e18}),
		"expired":               sign(map[string]any{"exp": testTime.Add(-61 * time.Second).Unix()}),
		"for a day":             sign(map[string]any{"exp": testTime.Add(24 * time.Hour).Unix()}),
		"issued tomorrow":       sign(map[string]any{"iat": testTime.Add(2 * time.Minute).Unix()}),
		"not yet":               sign(map[string]any{"nbf": testTime.Add(2 * time.Minute).Unix()}),
		"no jti":                sign(map[string]any{"jti": nil}),
		"empty jti":             sign(map[string]any{"jti": ""}),
		"endless jti":           sign(map[string]any{"jti": strings.Repeat("x", maxAssertionID+1)}),
		"too long":              sign(map[string]any{"x": strings.Repeat("x", maxAssertion)}),
	} {
		if err := judge(raw, setOf(t, s)); !errors.Is(err, ErrAssertion) {
			t.Errorf("%s: %v", name, err)
		}
	}
	twice := fmt.Sprintf(`{"iss":%[1]q,"sub":%[1]q,"aud":%[2]q,"aud":"https://other.example","jti":"1","exp":%[3]d}`, testID, testIssuer,
		testTime.Add(time.Minute).Unix())
	if err := judge(s.signRaw(t, twice), setOf(t, s)); !errors.Is(err, ErrAssertion) {
		t.Errorf("a claim that comes twice: %v", err)
	}
}

// embedded signs with a key that it brings along in its header.
func embedded(t *testing.T) string {
	t.Helper()
	key := newSigner(t, jose.ES256, "k1")
	by, err := jose.NewSigner(jose.SigningKey{Algorithm: key.alg, Key: key.key}, &jose.SignerOptions{EmbedJWK: true})
	if err != nil {
		t.Fatal(err)
	}
	payload, _ := json.Marshal(stated(nil))
	jws, err := by.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := jws.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func (s signer) signRaw(t testing.TB, payload string) string {
	t.Helper()
	by, err := jose.NewSigner(jose.SigningKey{Algorithm: s.alg, Key: jose.JSONWebKey{Key: s.key, KeyID: s.id}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	jws, err := by.Sign([]byte(payload))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := jws.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestKeySet_LeavesOutWhatItCannotUse(t *testing.T) {
	t.Parallel()
	good := string(newSigner(t, jose.ES256, "good").public(t))
	for name, tt := range map[string]struct {
		set  string
		want int
	}{
		"one":           {`{"keys":[` + good + `]}`, 1},
		"a curve":       {`{"keys":[` + string(newSigner(t, jose.ES384, "p384").public(t)) + `,` + good + `]}`, 1},
		"encryption":    {`{"keys":[` + strings.Replace(good, `"use":"sig"`, `"use":"enc"`, 1) + `]}`, 0},
		"another alg":   {`{"keys":[` + strings.Replace(good, `"use":"sig"`, `"alg":"ES512"`, 1) + `]}`, 0},
		"nonsense":      {`{"keys":[1,"x",null,{},` + good + `]}`, 1},
		"empty":         {`{"keys":[]}`, 0},
		"not a set":     {`[]`, 0},
		"small RSA key": {`{"keys":[{"kty":"RSA","n":"sXchDaQebHnPiGvyDOAT4saGEUetSyo9MKLOoWFsueri23bOdgWp4Dy1Wl","e":"AQAB"}]}`, 0},
	} {
		keys, err := parseKeySet([]byte(tt.set))
		if len(keys) != tt.want || (err == nil) != (tt.want > 0) {
			t.Errorf("%s: %d keys, %v", name, len(keys), err)
		}
	}
}

func FuzzAssertion(f *testing.F) {
	s := newSigner(f, jose.ES256, "k1")
	good := s.sign(f, stated(nil), nil)
	parts := strings.Split(good, ".")
	for _, raw := range []string{
		good, s.sign(f, stated(map[string]any{"aud": []string{testIssuer}}), nil), parts[0] + ".e30." + parts[2],
		base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + parts[1] + ".", "..", `{"payload":""}`,
	} {
		f.Add(raw)
	}
	set := setOf(f, s)
	f.Fuzz(func(t *testing.T, raw string) {
		a, err := ParseAssertion(raw)
		if err != nil {
			if !errors.Is(err, ErrAssertion) {
				t.Fatalf("%q: %v", raw, err)
			}
			return
		}
		if jti, _ := a.ID(); a.ClientID() == "" || jti == "" || len(jti) > maxAssertionID {
			t.Fatalf("%q: %+v", raw, a.claims)
		}
		// Nobody but the key's owner can sign: what is accepted says what was signed.
		if judge(raw, set) == nil && !sameClaims(a, good) {
			t.Fatalf("forged: %q", raw)
		}
	})
}

func sameClaims(a *Assertion, good string) bool {
	want, err := ParseAssertion(good)
	return err == nil && a.claims == want.claims
}
