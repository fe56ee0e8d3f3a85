package gate

import (
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4/json" // case-sensitive and strict about duplicates, unlike encoding/json

	"github.com/ostiary/ostiary/app/calls"
)

const (
	tokenType      = "at+jwt" // RFC 9068 §2.1
	maxTokenLength = 16 << 10
)

// tokenError says why a token is not good, in words for error_description.
type tokenError string

func (e tokenError) Error() string { return string(e) }

const (
	errTokenMalformed tokenError = "The access token is not valid"
	errTokenExpired   tokenError = "The access token has expired"
	errTokenEarly     tokenError = "The access token is not valid yet"
	errTokenIssuer    tokenError = "The access token comes from another issuer"
	errTokenAudience  tokenError = "The access token is for another resource"
)

// claims are those of RFC 9068 §2.2 that the gate reads.
type claims struct {
	Issuer       string      `json:"iss"`
	Subject      string      `json:"sub"`
	Audience     audience    `json:"aud"`
	ExpiresAt    numericDate `json:"exp"`
	NotBefore    numericDate `json:"nbf"`
	IssuedAt     numericDate `json:"iat"`
	TokenID      string      `json:"jti"`
	ClientID     string      `json:"client_id"`
	Scope        string      `json:"scope"`
	GrantID      string      `json:"grant_id"`
	Organization string      `json:"org_id"`
	Host         string      `json:"host"`
}

// audience is one string or a list of them (RFC 7519 §4.1.3).
type audience []string

// UnmarshalJSON reads both forms.
func (a *audience) UnmarshalJSON(raw []byte) error {
	if len(raw) > 0 && raw[0] == '"' {
		*a = make(audience, 1)
		return json.Unmarshal(raw, &(*a)[0])
	}
	return json.Unmarshal(raw, (*[]string)(a))
}

// numericDate is seconds since the epoch, possibly with a fraction (RFC 7519 §2); zero when absent.
type numericDate float64

func (d numericDate) present() bool { return d > 0 && d < 1e11 }

func (d numericDate) time() time.Time { return time.Unix(int64(d), 0).UTC() }

// verifier turns access tokens into identities.
type verifier struct {
	keys   *issuerKeys
	issuer string
	skew   time.Duration
	now    func() time.Time
	cache  *tokenCache
}

// verify returns whose token this is. The error is a tokenError when the token is at fault, else errKeysUnavailable or
// that of ctx.
func (v *verifier) verify(ctx context.Context, token, resource string) (*Identity, error) {
	if len(token) > maxTokenLength {
		return nil, errTokenMalformed
	}
	now := v.now()
	sum := sha256.Sum256([]byte(token))
	entry, ok := v.cache.get(sum)
	if !ok || !v.stillSigned(entry) {
		var err error
		if entry, err = v.check(ctx, token); err != nil {
			return nil, err
		}
		v.cache.put(sum, entry)
	}
	// Time and audience are looked at on every use: time passes, and the policy may name the resource anew.
	id := entry.identity
	switch {
	case !now.Before(id.ExpiresAt.Add(v.skew)):
		return nil, errTokenExpired
	case now.Add(v.skew).Before(id.notBefore):
		return nil, errTokenEarly
	case !slices.Contains(id.audience, resource):
		return nil, errTokenAudience
	}
	return id, nil
}

// stillSigned reports whether the key an entry was verified with is still the issuer's: withdrawing a key withdraws
// everything it signed, remembered or not.
func (v *verifier) stillSigned(e tokenEntry) bool {
	key, ok := v.keys.held(e.keyID)
	return ok && key.thumbprint == e.thumbprint
}

func (v *verifier) check(ctx context.Context, token string) (tokenEntry, error) {
	s, err := v.keys.verify(ctx, token, tokenType)
	if errors.Is(err, errKeysUnavailable) || ctx.Err() != nil {
		return tokenEntry{}, err
	}
	if err != nil {
		return tokenEntry{}, errTokenMalformed
	}
	var c claims
	if err := json.Unmarshal(s.payload, &c); err != nil {
		return tokenEntry{}, errTokenMalformed
	}
	if c.Issuer != v.issuer {
		return tokenEntry{}, errTokenIssuer
	}
	if !c.ExpiresAt.present() || !c.IssuedAt.present() || c.Subject == "" || c.ClientID == "" {
		return tokenEntry{}, errTokenMalformed
	}
	id := identityOf(c)
	// These travel upstream as header values; a token that could break one is not one of ours.
	if !headerSafe(id.User) || !headerSafe(id.Client) || !headerSafe(id.Organization) || !headerSafe(id.Grant) ||
		!headerSafe(id.Host) {
		return tokenEntry{}, errTokenMalformed
	}
	return tokenEntry{identity: id, keyID: s.key.id, thumbprint: s.key.thumbprint}, nil
}

func identityOf(c claims) *Identity {
	id := &Identity{
		Issuer: c.Issuer, User: c.Subject, Organization: c.Organization, Client: c.ClientID, Grant: c.GrantID,
		Host: c.Host, TokenID: c.TokenID, IssuedAt: c.IssuedAt.time(), ExpiresAt: c.ExpiresAt.time(), audience: c.Audience,
		proof: calls.ProofToken,
	}
	for _, s := range strings.Fields(c.Scope) {
		if headerSafe(s) {
			id.Scopes = append(id.Scopes, s)
		}
	}
	// A token from the future is one from a clock that is wrong, or forged with a stolen idea of time.
	id.notBefore = id.IssuedAt
	if c.NotBefore.present() && c.NotBefore.time().After(id.notBefore) {
		id.notBefore = c.NotBefore.time()
	}
	return id
}
