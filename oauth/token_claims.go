package oauth

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/ostiary/ostiary/app/policy"
	"github.com/ostiary/ostiary/app/secret"
)

// JWS types we sign (RFC 8725 §3.11: one type, one meaning).
const (
	typeAccessToken = "at+jwt" // RFC 9068 §2.1
	typePolicy      = policy.TokenType
	typeRevocations = policy.FeedType
)

// accessClaims is an access token (RFC 9068 §2.2) with the grant and organization it belongs to.
type accessClaims struct {
	Issuer    string `json:"iss"`
	Subject   string `json:"sub"`
	Audience  string `json:"aud"` // one resource, so one string
	ExpiresAt int64  `json:"exp"`
	IssuedAt  int64  `json:"iat"`
	ID        string `json:"jti"`
	ClientID  string `json:"client_id"`
	Scope     string `json:"scope"`
	GrantID   string `json:"grant_id"`
	OrgID     string `json:"org_id,omitempty"`
	Host      string `json:"host,omitempty"` // what was checked about the client, see clients.Hosts.HostOf
	AuthTime  int64  `json:"auth_time,omitempty"`
}

// grant is the lasting permission behind a token.
type grant struct {
	ID         string
	UserID     string
	ClientID   string
	ResourceID string
	OrgID      string
	Host       string
	Scopes     []string
	AuthTime   time.Time
	EndsAt     time.Time
	who        identity // filled in when the client may know it
}

// subject is whom a token is about: the user, or the client itself when no user is behind it (RFC 9068 §2.2).
func (g grant) subject() string { return cmp.Or(g.UserID, g.ClientID) }

// accessToken signs an access token of g for scopes. Nothing is stored for it. It returns the token and its lifetime, which
// never outlasts the grant.
func (i *Issuer) accessToken(g grant, r *Resource, scopes []string, now time.Time) (string, time.Duration, error) {
	lifetime := i.Settings.AccessTokenLifetime
	if !g.EndsAt.IsZero() { // a machine's grant has no end
		lifetime = min(lifetime, g.EndsAt.Sub(now).Truncate(time.Second))
	}
	claims := accessClaims{
		Issuer: i.URL, Subject: g.subject(), Audience: r.Identifier(), ExpiresAt: now.Add(lifetime).Unix(), IssuedAt: now.Unix(),
		ID: secret.NewID("tok"), ClientID: g.ClientID, Scope: strings.Join(scopes, " "), GrantID: g.ID, OrgID: g.OrgID,
		Host: g.Host,
	}
	if !g.AuthTime.IsZero() {
		claims.AuthTime = g.AuthTime.Unix()
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", 0, fmt.Errorf("access token: %w", err)
	}
	token, err := i.Keys.Sign(typeAccessToken, payload)
	if err != nil {
		return "", 0, fmt.Errorf("access token: %w", err)
	}
	return token, lifetime, nil
}
