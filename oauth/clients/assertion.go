package clients

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json" // case-sensitive and strict about duplicates, unlike encoding/json
)

// AssertionType is the client_assertion_type of RFC 7523 §2.2.
const AssertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

const (
	maxAssertion      = 8 << 10
	maxAssertionAhead = 10 * time.Minute // how far exp may lie ahead: that long its jti is remembered
	assertionSkew     = time.Minute
	maxAssertionID    = 512
	keysWithoutID     = 4 // tried for an assertion that does not say which key signed it
)

// ErrAssertion is the kind of every assertion that proves nothing. What is wrong is in its text, for the log of whoever runs the
// client; nothing in it was secret.
var ErrAssertion = errors.New("client assertion refused")

func badAssertion(why string) error { return fmt.Errorf("%w: %s", ErrAssertion, why) }

// Assertion is a client assertion (RFC 7523 §3) that was read and not yet believed.
type Assertion struct {
	jws    *jose.JSONWebSignature
	header jose.Header
	claims assertionClaims
}

type assertionClaims struct {
	Issuer    string      `json:"iss"`
	Subject   string      `json:"sub"`
	Audience  audience    `json:"aud"`
	ExpiresAt numericDate `json:"exp"`
	IssuedAt  numericDate `json:"iat"`
	NotBefore numericDate `json:"nbf"`
	ID        string      `json:"jti"`
}

// audience is one string, or a list of exactly one: an assertion for several servers could be used at another by any of them.
type audience string

// UnmarshalJSON reads both forms.
func (a *audience) UnmarshalJSON(raw []byte) error {
	var one string
	if len(raw) > 0 && raw[0] == '"' {
		if err := json.Unmarshal(raw, &one); err != nil {
			return err
		}
		*a = audience(one)
		return nil
	}
	var list []string
	if err := json.Unmarshal(raw, &list); err != nil {
		return err
	}
	if len(list) != 1 {
		return errors.New("aud must be one audience")
	}
	*a = audience(list[0])
	return nil
}

// numericDate is seconds since the epoch, possibly with a fraction (RFC 7519 §2); zero when absent.
type numericDate float64

func (d numericDate) present() bool { return d > 0 && d < 1e11 }

func (d numericDate) time() time.Time { return time.Unix(int64(d), 0).UTC() }

// assertionTypes are the types a client assertion may have (RFC 7519 §5.1; the one of its own is from 7523bis). A token made for
// another purpose says so and is not one (RFC 8725 §3.11).
var assertionTypes = []string{"", "jwt", "client-authentication+jwt"}

// ParseAssertion reads a compact JWS without believing it. Errors: ErrAssertion.
func ParseAssertion(raw string) (*Assertion, error) {
	if len(raw) > maxAssertion {
		return nil, badAssertion("it is too long")
	}
	jws, err := jose.ParseSignedCompact(raw, assertionAlgorithms())
	if err != nil || len(jws.Signatures) != 1 {
		return nil, badAssertion("it is not a JWT signed with ES256, RS256 or EdDSA")
	}
	a := &Assertion{jws: jws, header: jws.Signatures[0].Protected}
	typ, _ := a.header.ExtraHeaders[jose.HeaderType].(string)
	typ = strings.TrimPrefix(strings.ToLower(typ), "application/")
	if !slices.Contains(assertionTypes, typ) {
		return nil, badAssertion("its type is that of another token")
	}
	if err := json.Unmarshal(jws.UnsafePayloadWithoutVerification(), &a.claims); err != nil {
		return nil, badAssertion("its claims are malformed")
	}
	c := a.claims
	switch {
	case c.Subject == "" || c.Issuer != c.Subject:
		return nil, badAssertion("iss and sub must both be the client_id")
	case c.ID == "" || len(c.ID) > maxAssertionID:
		return nil, badAssertion("jti is missing or too long")
	}
	return a, nil
}

// ClientID returns the client the assertion says it is from.
func (a *Assertion) ClientID() string { return a.claims.Subject }

// ID returns the assertion's jti, and until when it must be remembered.
func (a *Assertion) ID() (jti string, until time.Time) {
	return a.claims.ID, a.claims.ExpiresAt.time().Add(assertionSkew)
}

// checkClaims holds the claims against the clock and the names we go by (RFC 7523 §3). Errors: ErrAssertion.
func (a *Assertion) checkClaims(audiences []string, now time.Time) error {
	c := a.claims
	switch {
	case !slices.Contains(audiences, string(c.Audience)):
		return badAssertion("aud is neither the issuer nor the token endpoint")
	case !c.ExpiresAt.present():
		return badAssertion("exp is missing")
	case !now.Before(c.ExpiresAt.time().Add(assertionSkew)):
		return badAssertion("it has expired")
	case c.ExpiresAt.time().After(now.Add(maxAssertionAhead + assertionSkew)):
		return badAssertion("exp is more than ten minutes ahead")
	case c.IssuedAt.present() && c.IssuedAt.time().After(now.Add(assertionSkew)),
		c.NotBefore.present() && c.NotBefore.time().After(now.Add(assertionSkew)):
		return badAssertion("it is from the future")
	}
	return nil
}

// checkSignature reports whether one of the keys signed it; errWrongKey when none is the one it names. A key goes with one
// algorithm, so the header chooses nothing (RFC 8725 §3.1); keys inside the header are not looked at.
func (a *Assertion) checkSignature(keys []publicKey) error {
	tried := 0
	for _, key := range keys {
		if string(key.alg) != a.header.Algorithm || (a.header.KeyID != "" && key.id != a.header.KeyID) {
			continue
		}
		if tried++; tried > keysWithoutID {
			break
		}
		if _, err := a.jws.Verify(key.key); err == nil {
			return nil
		}
	}
	if tried == 0 {
		return errWrongKey
	}
	return badAssertion("the signature is not by the client's key")
}

var errWrongKey = badAssertion("no key of the client fits its kid and algorithm")

// VerifyAssertion checks that client made the assertion, for one of audiences, and that it was not used before; then it is used.
// A stranger cannot use up a client's jti: nothing is recorded before the signature and every claim is found good.
// Errors: ErrAssertion; errs.NotFound for keys that are withdrawn; errs.Unavailable while keys or the database cannot be reached.
func (b *Book) VerifyAssertion(ctx context.Context, client *Client, a *Assertion, audiences []string) error {
	now := b.now()
	if client.AuthMethod != AuthPrivateKeyJWT || client.ID != a.ClientID() {
		return badAssertion("this client does not authenticate by assertions")
	}
	if err := a.checkClaims(audiences, now); err != nil {
		return err
	}
	if err := b.checkSignature(ctx, client, a); err != nil {
		return err
	}
	jti, until := a.ID()
	fresh, err := b.store.useAssertion(ctx, client.ID, jti, until)
	if err != nil {
		return err
	}
	if !fresh {
		return badAssertion("it was used before")
	}
	return nil
}

func (b *Book) checkSignature(ctx context.Context, client *Client, a *Assertion) error {
	if client.Keys.URI == "" {
		keys, err := parseKeySet(client.Keys.JWKS)
		if err != nil {
			return badAssertion(err.Error())
		}
		return a.checkSignature(keys)
	}
	keys, err := b.documents.keySet(ctx, client.Keys.URI, b.loopback)
	if err != nil {
		return documentProblem(err)
	}
	err = a.checkSignature(keys)
	if !errors.Is(err, errWrongKey) {
		return err
	}
	// The client may have a new key since.
	if keys, err = b.documents.newerKeySet(ctx, client.Keys.URI, b.loopback); err != nil {
		return documentProblem(err)
	}
	return a.checkSignature(keys)
}
