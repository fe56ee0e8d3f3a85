package oauth

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/ostiary/ostiary/app/secret"
	"github.com/ostiary/ostiary/tenants"
)

// introspection is the answer of RFC 7662 §2.2. Only Active is set for a token that is not for the one who asks.
type introspection struct {
	Active    bool   `json:"active"`
	Scope     string `json:"scope,omitempty"`
	ClientID  string `json:"client_id,omitempty"`
	TokenType string `json:"token_type,omitempty"`
	ExpiresAt int64  `json:"exp,omitempty"`
	IssuedAt  int64  `json:"iat,omitempty"`
	Subject   string `json:"sub,omitempty"`
	Audience  string `json:"aud,omitempty"`
	Issuer    string `json:"iss,omitempty"`
	ID        string `json:"jti,omitempty"`
	GrantID   string `json:"grant_id,omitempty"`
	OrgID     string `json:"org_id,omitempty"`
	Host      string `json:"host,omitempty"`
	AuthTime  int64  `json:"auth_time,omitempty"`
}

// introspect is token introspection (RFC 7662) for MCP servers: each by a credential of its own, each about access tokens
// for itself. Everything else, refresh tokens and id_tokens too, is answered {"active":false} without a word why (§2.2).
func (m *Module) introspect(c echo.Context) error {
	r, w := c.Request(), c.Response()
	answer, err := m.introspection(r)
	if err != nil {
		writeProblem(w, r, m.log, err)
		return nil
	}
	answerJSON(w, http.StatusOK, answer)
	return nil
}

func (m *Module) introspection(r *http.Request) (introspection, error) {
	ctx := r.Context()
	i, err := issuerFrom(ctx)
	if err != nil {
		return introspection{}, err
	}
	if err := readForm(r); err != nil {
		return introspection{}, err
	}
	resourceID, err := i.authenticateResource(r)
	if err != nil {
		return introspection{}, err
	}
	token := r.PostForm.Get("token")
	if token == "" {
		return introspection{}, badRequest(codeInvalidRequest, "token is missing.")
	}
	return m.describeToken(ctx, i, resourceID, token)
}

// describeToken asks the database only about tokens that are ours, fresh, and for this MCP server.
func (m *Module) describeToken(ctx context.Context, i *Issuer, resourceID, token string) (introspection, error) {
	now := m.now()
	claims, ok := i.verifyAccess(token, now)
	if !ok {
		return introspection{}, nil
	}
	resource, ok := i.resource(claims.Audience)
	if !ok || resource.ID() != resourceID {
		return introspection{}, nil
	}
	if i.stoppedClaims(claims, resourceID) {
		return introspection{}, nil
	}
	live, err := m.store.liveGrant(ctx, i, claims, now)
	if err != nil || live == nil {
		return introspection{}, err
	}
	// What the admin or the user took away since the token was made is gone from it.
	scopes, _ := narrow(resource.stillOffered(live.scopes), strings.Fields(claims.Scope))
	return introspection{
		Active: true, Scope: strings.Join(scopes, " "), ClientID: claims.ClientID, TokenType: "Bearer",
		ExpiresAt: claims.ExpiresAt, IssuedAt: claims.IssuedAt, Subject: claims.Subject, Audience: claims.Audience,
		Issuer: claims.Issuer, ID: claims.ID, GrantID: claims.GrantID, OrgID: claims.OrgID, Host: claims.Host,
		AuthTime: claims.AuthTime,
	}, nil
}

// authenticateResource returns the id of the MCP server whose credential the request carries, by Basic or in the body
// (RFC 7662 §2.1). Clients are no resources: theirs do not work here.
func (i *Issuer) authenticateResource(r *http.Request) (string, error) {
	id, presented := r.PostForm.Get("client_id"), r.PostForm.Get("client_secret")
	if rawID, rawSecret, basic := r.BasicAuth(); basic {
		if presented != "" {
			return "", badRequest(codeInvalidRequest, "The MCP server authenticated in two ways at once.")
		}
		id, presented = formDecoded(rawID), formDecoded(rawSecret)
	}
	credential, known := i.credentials[id]
	if same := secret.Equal(credential.SecretHash, secret.Hash(presented)); !known || !same {
		return "", &problem{
			code: codeInvalidClient, description: "Only an MCP server with a credential of its own may ask.",
			status: http.StatusUnauthorized, basic: true,
		}
	}
	return credential.ResourceID, nil
}

// formDecoded undoes the encoding of RFC 6749 §2.3.1, and leaves alone what was sent without it.
func formDecoded(s string) string {
	if decoded, err := url.QueryUnescape(s); err == nil {
		return decoded
	}
	return s
}

func credentialsByID(list []tenants.Credential) map[string]tenants.Credential {
	byID := make(map[string]tenants.Credential, len(list))
	for _, c := range list {
		byID[c.ID] = c
	}
	return byID
}
