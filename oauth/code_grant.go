package oauth

import (
	"context"
	"time"

	"github.com/ory/fosite"

	"github.com/ostiary/ostiary/app/secret"
	"github.com/ostiary/ostiary/oauth/clients"
)

// codeAuthorizer is the last step of an authorization: it seals the code. fosite calls it once the request is checked and
// the user has decided; what they decided comes in the session.
type codeAuthorizer struct{ now func() time.Time }

// authorizeSession carries a decision to codeAuthorizer.
type authorizeSession struct {
	tokenSession
	code authorizationCode
}

// HandleAuthorizeEndpointRequest adds code and iss (RFC 9207 §2) to the answer.
func (h *codeAuthorizer) HandleAuthorizeEndpointRequest(
	ctx context.Context, ar fosite.AuthorizeRequester, resp fosite.AuthorizeResponder,
) error {
	if !ar.GetResponseTypes().ExactOne("code") {
		return nil
	}
	i, err := issuerFrom(ctx)
	if err != nil {
		return err
	}
	session, ok := ar.GetSession().(*authorizeSession)
	if !ok {
		return fosite.ErrServerError
	}
	now := h.now()
	session.code.GrantID = secret.NewOrderedID("grt", now)
	session.code.ExpiresAt = now.Add(i.Settings.CodeLifetime)
	resp.AddParameter("code", i.sealCode(session.code))
	resp.AddParameter("iss", i.URL)
	ar.SetResponseTypeHandled("code")
	return nil
}

// codeGrant redeems authorization codes (RFC 6749 §4.1.3, RFC 7636 §4.6).
type codeGrant struct {
	store *store
	now   func() time.Time
}

// CanSkipClientAuth is never true: public clients authenticate by naming themselves.
func (*codeGrant) CanSkipClientAuth(context.Context, fosite.AccessRequester) bool { return false }

// CanHandleTokenEndpointRequest takes authorization_code.
func (*codeGrant) CanHandleTokenEndpointRequest(_ context.Context, r fosite.AccessRequester) bool {
	return r.GetGrantTypes().ExactOne(clients.GrantAuthorizationCode)
}

// HandleTokenEndpointRequest checks everything that needs no database. Nothing is consumed here: a wrong verifier does not
// spend the code, and the right one is still asked for afterwards.
func (h *codeGrant) HandleTokenEndpointRequest(_ context.Context, r fosite.AccessRequester) error {
	session := r.GetSession().(*tokenSession)
	i, form := session.issuer, r.GetRequestForm()
	client := r.GetClient().(engineClient).Client
	session.client = client
	code, err := i.openCode(form.Get("code"))
	if err != nil {
		return invalidGrant("The code is unknown.")
	}
	if code.ClientID != client.ID {
		return invalidGrant("The code was issued to another client.")
	}
	if !client.Allows(clients.GrantAuthorizationCode) {
		return badRequest(codeUnauthorizedClient, "The client may not use this grant type.")
	}
	// OAuth 2.1 dropped redirect_uri here; one that is sent must be the one the code was issued for.
	if form.Has("redirect_uri") && form.Get("redirect_uri") != code.RedirectURI {
		return invalidGrant("redirect_uri differs from the authorization request.")
	}
	verifier := form.Get("code_verifier")
	if verifier == "" {
		return invalidGrant("code_verifier is missing.")
	}
	if !validVerifier(verifier) || !verifierMatches(verifier, code.CodeChallenge) {
		return invalidGrant("code_verifier does not match.")
	}
	if h.now().After(code.ExpiresAt) {
		return invalidGrant("The code has expired.")
	}
	target, err := i.target(form["resource"])
	if err != nil {
		return err
	}
	if target != "" && target != code.ResourceID { // RFC 8707 §2.2: never wider than what was authorized
		return errOtherTarget
	}
	session.code, session.redirect = code, clients.ParseRedirect(code.RedirectURI)
	// Nothing was consumed: a code that is young enough works when the stop is lifted.
	return i.stoppedToken(grant{
		UserID: code.UserID, OrgID: code.OrgID, ResourceID: code.ResourceID, Host: i.hosts.HostOf(client, session.redirect),
	})
}

// PopulateTokenEndpointResponse redeems the code and mints tokens: one statement, one commit.
func (h *codeGrant) PopulateTokenEndpointResponse(ctx context.Context, r fosite.AccessRequester, resp fosite.AccessResponder) error {
	if !h.CanHandleTokenEndpointRequest(ctx, r) {
		return fosite.ErrUnknownRequest
	}
	session := r.GetSession().(*tokenSession)
	i, code, now := session.issuer, session.code, h.now()
	resource, ok := i.resourceByID(code.ResourceID)
	if !ok {
		return invalidGrant("The MCP server is gone.")
	}
	scopes := resource.stillOffered(code.Scopes)
	if len(scopes) == 0 {
		return errNothingOffered
	}
	g := grant{
		ID: code.GrantID, UserID: code.UserID, ClientID: code.ClientID, ResourceID: code.ResourceID, OrgID: code.OrgID,
		Scopes: code.Scopes, AuthTime: code.AuthTime, EndsAt: code.GrantEndsAt,
		Host: i.hosts.HostOf(session.client, session.redirect),
	}
	generation := 0
	if session.client.Allows(clients.GrantRefreshToken) {
		generation = 1
	}
	redeemed, err := h.store.redeem(ctx, i, &g, code.ConsentID, generation, now)
	if err != nil {
		return err
	}
	if !redeemed {
		return h.refuseReplay(ctx, i, g, now)
	}
	return i.answerTokens(resp, issuance{
		grant: g, resource: resource, scopes: scopes, generation: generation, nonce: code.Nonce,
	}, now)
}

var errNothingOffered = invalidGrant("Nothing of what was allowed is offered any more.")

// refuseReplay handles a code whose grant could not be made: a second redemption, which revokes what the first one got
// (RFC 6749 §4.1.2), or a consent that was withdrawn meanwhile.
func (h *codeGrant) refuseReplay(ctx context.Context, i *Issuer, g grant, now time.Time) error {
	if err := h.store.revokeGrant(ctx, i, g.ID, g.ClientID, "code_replayed", now); err != nil {
		return err
	}
	return invalidGrant("The code was already used, or what it stands for was withdrawn.")
}

// issuance is what a token response is made of.
type issuance struct {
	grant      grant
	resource   *Resource
	scopes     []string // of the access token
	generation int      // of the refresh token; 0 when there is none
	nonce      string   // of the authorization request; a refresh has none (OpenID Connect Core §12.2)
}

// answerTokens fills in a token response (RFC 6749 §5.1, OpenID Connect Core §3.1.3.3).
func (i *Issuer) answerTokens(resp fosite.AccessResponder, out issuance, now time.Time) error {
	token, lifetime, err := i.accessToken(out.grant, out.resource, out.scopes, now)
	if err != nil {
		return err
	}
	resp.SetAccessToken(token)
	resp.SetTokenType("Bearer")
	resp.SetExpiresIn(lifetime)
	resp.SetScopes(out.scopes)
	if out.generation > 0 {
		resp.SetExtra("refresh_token", i.refreshToken(out.grant.ID, out.generation))
	}
	if !out.wantsIDToken() {
		return nil
	}
	idToken, err := i.idToken(out, token, lifetime, now)
	if err != nil {
		return err
	}
	resp.SetExtra("id_token", idToken)
	return nil
}
