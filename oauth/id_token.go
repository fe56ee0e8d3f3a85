package oauth

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// typeIDToken is the JWS type of id_tokens, and of nothing else we sign: an id_token is never an access token or a policy.
const typeIDToken = "JWT"

// idClaims is an id_token (OpenID Connect Core §2). Its audience is the client, never a resource.
type idClaims struct {
	Issuer          string `json:"iss"`
	Subject         string `json:"sub"`
	Audience        string `json:"aud"`
	ExpiresAt       int64  `json:"exp"`
	IssuedAt        int64  `json:"iat"`
	AuthTime        int64  `json:"auth_time,omitempty"`
	Nonce           string `json:"nonce,omitempty"`
	AccessTokenHash string `json:"at_hash"`
	identityClaims
}

func claimsSupported() []string {
	return []string{"iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "at_hash", "name", "email", "email_verified"}
}

// idToken signs what out's client learns of the user, beside the access token it is bound to (§3.1.3.6).
func (i *Issuer) idToken(out issuance, accessToken string, lifetime time.Duration, now time.Time) (string, error) {
	claims := idClaims{
		Issuer: i.URL, Subject: out.grant.UserID, Audience: out.grant.ClientID,
		ExpiresAt: now.Add(lifetime).Unix(), IssuedAt: now.Unix(), Nonce: out.nonce,
		AccessTokenHash: i.Keys.HalfHash(accessToken), identityClaims: out.grant.who.claims(out.scopes),
	}
	if !out.grant.AuthTime.IsZero() {
		claims.AuthTime = out.grant.AuthTime.Unix()
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("id_token: %w", err)
	}
	token, err := i.Keys.Sign(typeIDToken, payload)
	if err != nil {
		return "", fmt.Errorf("id_token: %w", err)
	}
	return token, nil
}

// wantsIDToken reports whether a token response carries an id_token: a user was there, and the client may know who.
func (out issuance) wantsIDToken() bool {
	return out.grant.UserID != "" && slices.Contains(out.scopes, scopeOpenID)
}

// openIDToken returns the claims of an id_token of this issuer. It may have expired: as a hint about who somebody was, it
// still serves (OpenID Connect RP-Initiated Logout §2). ok is false for everything else.
func (i *Issuer) openIDToken(token string) (claims idClaims, ok bool) {
	payload, err := i.Keys.Verify(typeIDToken, token)
	if err != nil || json.Unmarshal(payload, &claims) != nil || claims.Issuer != i.URL || claims.Subject == "" {
		return idClaims{}, false
	}
	return claims, true
}

// hintedSubject returns the user that an id_token_hint names, empty when it names none of ours.
func (i *Issuer) hintedSubject(hint string) string {
	claims, _ := i.openIDToken(hint)
	return claims.Subject
}
