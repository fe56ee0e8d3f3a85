package oauth

import (
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"
)

// userinfo is the answer of OpenID Connect Core §5.3.2.
type userinfo struct {
	Subject string `json:"sub"`
	identityClaims
}

// showUserinfo is the userinfo endpoint (OpenID Connect Core §5.3). It takes the access tokens that MCP servers get, whatever
// their audience: it belongs to the issuer they come from.
func (m *Module) showUserinfo(c echo.Context) error {
	r, w := c.Request(), c.Response()
	answer, refused, err := m.userinfo(r)
	switch {
	case err != nil:
		writeProblem(w, r, m.log, err)
	case refused != nil:
		refused.write(w)
	default:
		answerJSON(w, http.StatusOK, answer)
	}
	return nil
}

func (m *Module) userinfo(r *http.Request) (userinfo, *bearerProblem, error) {
	ctx := r.Context()
	i, err := issuerFrom(ctx)
	if err != nil {
		return userinfo{}, nil, err
	}
	token, refused := bearerToken(r)
	if refused != nil {
		return userinfo{}, refused, nil
	}
	invalid := &bearerProblem{
		status: http.StatusUnauthorized, code: "invalid_token", description: "The token is unknown, expired or revoked.",
	}
	now := m.now()
	claims, ok := i.verifyAccess(token, now)
	if !ok {
		return userinfo{}, invalid, nil
	}
	scopes := strings.Fields(claims.Scope)
	if !slices.Contains(scopes, scopeOpenID) {
		return userinfo{}, &bearerProblem{
			status: http.StatusForbidden, code: "insufficient_scope", description: "The token is not for openid.", scope: scopeOpenID,
		}, nil
	}
	if resource, ok := i.resource(claims.Audience); ok && i.stoppedClaims(claims, resource.ID()) {
		return userinfo{}, nil, errStoppedToken
	}
	live, err := m.store.liveGrant(ctx, i, claims, now)
	if err != nil {
		return userinfo{}, nil, err
	}
	if live == nil {
		return userinfo{}, invalid, nil
	}
	allowed, _ := narrow(live.scopes, scopes)
	return userinfo{Subject: claims.Subject, identityClaims: live.who.claims(allowed)}, nil, nil
}
