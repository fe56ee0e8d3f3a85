package oauth

import (
	"net/http"

	"github.com/labstack/echo/v4"
)

// revokeToken is token revocation (RFC 7009). Whatever the token's kind, its grant ends: access and refresh tokens live off
// the same one (§2.1). A token that is unknown or another client's is answered like a revoked one (§2.2), and only the
// database being away is not.
func (m *Module) revokeToken(c echo.Context) error {
	r, w := c.Request(), c.Response()
	err := m.revoke(r)
	if i, issuerErr := issuerFrom(r.Context()); issuerErr == nil {
		m.tokenRevoked(c, i, err)
	}
	if err != nil {
		writeProblem(w, r, m.log, err)
		return nil
	}
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	return nil
}

func (m *Module) revoke(r *http.Request) error {
	ctx := r.Context()
	i, err := issuerFrom(ctx)
	if err != nil {
		return err
	}
	if err := readForm(r); err != nil {
		return err
	}
	credentials, err := readCredentials(r, r.PostForm)
	if err != nil {
		return err
	}
	client, err := i.authenticate(ctx, credentials)
	if err != nil {
		return err
	}
	token := r.PostForm.Get("token")
	if token == "" {
		return badRequest(codeInvalidRequest, "token is missing.")
	}
	grantID, ok := i.grantOf(token)
	if !ok {
		return nil
	}
	if client.Machine != nil {
		return m.renewMachine(ctx, i, grantID, client.ID)
	}
	return m.store.revokeGrant(ctx, i, grantID, client.ID, "revoked_by_client", m.now())
}

// grantOf returns the grant a token of ours belongs to.
func (i *Issuer) grantOf(token string) (string, bool) {
	if grantID, _, ok := i.parseRefreshToken(token); ok {
		return grantID, true
	}
	claims, ok := i.openAccess(token)
	return claims.GrantID, ok
}
