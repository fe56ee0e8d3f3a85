package gate

import (
	"crypto"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/ostiary/ostiary/app/secret"
)

// HeaderIdentity carries the identity token, in place of the plain headers, where Options.IdentityKey is set.
const HeaderIdentity = "Ostiary-Identity"

// IdentityTokenType is the JWS type of an identity token. It is none that an issuer signs, so neither is taken for the other
// (RFC 8725 §3.11).
const IdentityTokenType = "ostiary-identity+jwt" //nolint:gosec // the name of a type, not a credential

// IdentityTokenIssuer is the iss of identity tokens: they come from the gate and not from the authorization server.
const IdentityTokenIssuer = "urn:ostiary:gate"

const (
	identityLifetime = time.Minute
	identityReuse    = 30 * time.Second // of its lifetime at least this much is left when it is sent
	rememberedProofs = 8192
)

// identityClaims are those of an identity token. aud is the resource identifier: a token for one MCP server proves nothing to
// another one with the same key.
type identityClaims struct {
	Issuer       string `json:"iss"`
	Audience     string `json:"aud"`
	Subject      string `json:"sub"`
	IssuedAt     int64  `json:"iat"`
	ExpiresAt    int64  `json:"exp"`
	ID           string `json:"jti"`
	Organization string `json:"org_id,omitempty"`
	Client       string `json:"client_id"`
	Host         string `json:"host,omitempty"`
	Grant        string `json:"grant_id,omitempty"`
	Scope        string `json:"scope"`
}

// identitySigner makes short tokens that tell the MCP server who calls, so that it need not trust the network between.
type identitySigner struct {
	signer jose.Signer
	now    func() time.Time
	made   *recent[*Identity, madeToken] // an identity is remembered as long as its access token is
}

type madeToken struct {
	text     string
	audience string
	expires  time.Time
}

func newIdentitySigner(key ed25519.PrivateKey, now func() time.Time) (*identitySigner, error) {
	if len(key) != ed25519.PrivateKeySize {
		return nil, fmt.Errorf("gate: the identity key is not an Ed25519 key")
	}
	kid, err := IdentityKeyID(key.Public().(ed25519.PublicKey))
	if err != nil {
		return nil, err
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: jose.JSONWebKey{Key: key, KeyID: kid}},
		(&jose.SignerOptions{}).WithType(IdentityTokenType))
	if err != nil {
		return nil, fmt.Errorf("gate: identity key: %w", err)
	}
	return &identitySigner{signer: signer, now: now, made: newRecent[*Identity, madeToken](rememberedProofs)}, nil
}

// IdentityKeyID is the kid of an identity key: its thumbprint (RFC 7638, RFC 8037 §2).
func IdentityKeyID(key ed25519.PublicKey) (string, error) {
	sum, err := (&jose.JSONWebKey{Key: key}).Thumbprint(crypto.SHA256)
	if err != nil {
		return "", fmt.Errorf("gate: identity key: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(sum), nil
}

// token returns a token about id for the MCP server with this identifier. It outlives neither a minute nor the access token.
func (s *identitySigner) token(id *Identity, identifier string) (string, error) {
	now := s.now()
	if known, ok := s.made.get(id); ok && known.audience == identifier && now.Add(identityReuse).Before(known.expires) {
		return known.text, nil
	}
	expires := now.Add(identityLifetime)
	if !id.ExpiresAt.IsZero() && id.ExpiresAt.Before(expires) {
		expires = id.ExpiresAt
	}
	payload, err := json.Marshal(identityClaims{
		Issuer: IdentityTokenIssuer, Audience: identifier, Subject: id.User, IssuedAt: now.Unix(), ExpiresAt: expires.Unix(),
		ID: secret.NewID("idt"), Organization: id.Organization, Client: id.Client, Host: id.Host, Grant: id.Grant,
		Scope: strings.Join(id.Scopes, " "),
	})
	if err != nil {
		return "", fmt.Errorf("identity token: %w", err)
	}
	signed, err := s.signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("identity token: %w", err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		return "", fmt.Errorf("identity token: %w", err)
	}
	s.made.put(id, madeToken{text: text, audience: identifier, expires: expires})
	return text, nil
}
