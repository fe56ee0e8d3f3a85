package oauth

import (
	"context"
	"net/http"
	"time"

	"github.com/ory/fosite"

	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/oauth/clients"
)

// refreshGrant exchanges refresh tokens (RFC 6749 §6, OAuth 2.1 §4.3), rotating them.
type refreshGrant struct {
	store *store
	now   func() time.Time
}

// refreshRequest is a refresh whose token is ours.
type refreshRequest struct {
	grantID    string
	generation int
	resourceID string // asked for; empty means the grant's own
}

// CanSkipClientAuth is never true.
func (*refreshGrant) CanSkipClientAuth(context.Context, fosite.AccessRequester) bool { return false }

// CanHandleTokenEndpointRequest takes refresh_token.
func (*refreshGrant) CanHandleTokenEndpointRequest(_ context.Context, r fosite.AccessRequester) bool {
	return r.GetGrantTypes().ExactOne(clients.GrantRefreshToken)
}

// HandleTokenEndpointRequest checks the token's MAC: what this environment did not make costs no query.
func (*refreshGrant) HandleTokenEndpointRequest(_ context.Context, r fosite.AccessRequester) error {
	session := r.GetSession().(*tokenSession)
	session.client = r.GetClient().(engineClient).Client
	if !session.client.Allows(clients.GrantRefreshToken) {
		return badRequest(codeUnauthorizedClient, "The client may not use this grant type.")
	}
	grantID, generation, ok := session.issuer.parseRefreshToken(r.GetRequestForm().Get("refresh_token"))
	if !ok {
		return errRefreshDead
	}
	resourceID, err := session.issuer.target(r.GetRequestForm()["resource"])
	if err != nil {
		return err
	}
	session.refresh = refreshRequest{grantID: grantID, generation: generation, resourceID: resourceID}
	return nil
}

var errRefreshDead = invalidGrant("The refresh token is unknown, expired or revoked.")

// PopulateTokenEndpointResponse rotates and mints. The usual case is one statement; only when it does not apply is the row
// read and judged.
func (h *refreshGrant) PopulateTokenEndpointResponse(ctx context.Context, r fosite.AccessRequester, resp fosite.AccessResponder) error {
	if !h.CanHandleTokenEndpointRequest(ctx, r) {
		return fosite.ErrUnknownRequest
	}
	session := r.GetSession().(*tokenSession)
	i, now := session.issuer, h.now()
	if err := h.stopped(ctx, i, session); err != nil {
		return err
	}
	g, generation, err := h.rotate(ctx, i, session, now)
	if err != nil {
		return err
	}
	resource, ok := i.resourceByID(g.ResourceID)
	if !ok {
		return invalidGrant("The MCP server is gone.")
	}
	offered := resource.stillOffered(g.Scopes)
	if len(offered) == 0 {
		return errNothingOffered
	}
	scopes, ok := narrow(offered, splitScopes(r.GetRequestForm().Get("scope")))
	if !ok {
		return badRequest(codeInvalidScope, "Nothing of what was asked for is granted.")
	}
	return i.answerTokens(resp, issuance{grant: g, resource: resource, scopes: scopes, generation: generation}, now)
}

// stopped refuses a refresh whose grant is stopped, before anything is written: the token works again when the stop is
// lifted. Only while something is stopped does this cost a look at the grant.
func (h *refreshGrant) stopped(ctx context.Context, i *Issuer, session *tokenSession) error {
	if !i.stops.any() {
		return nil
	}
	g, state, err := h.store.loadRefresh(ctx, i, session.refresh.grantID, session.client.ID)
	if errs.Is(err, errs.NotFound) || state.RevokedAt != nil {
		return nil // what is dead is told so
	}
	if err != nil {
		return err
	}
	return i.stoppedToken(g)
}

// maxRefreshRounds bounds how often a refresh is judged anew because others were faster. Each round that loses means
// somebody else advanced, and a token that is no longer the newest is judged without a race.
const maxRefreshRounds = 4

// rotate returns the grant and the generation of the token to hand out.
func (h *refreshGrant) rotate(ctx context.Context, i *Issuer, session *tokenSession, now time.Time) (grant, int, error) {
	req, clientID := session.refresh, session.client.ID
	for range maxRefreshRounds {
		g, rotated, err := h.store.rotateRefresh(ctx, i, req, clientID, now)
		if err != nil {
			return grant{}, 0, err
		}
		if rotated {
			return g, req.generation + 1, nil
		}
		g, state, err := h.store.loadRefresh(ctx, i, req.grantID, clientID)
		if errs.Is(err, errs.NotFound) {
			return grant{}, 0, errRefreshDead
		}
		if err != nil {
			return grant{}, 0, err
		}
		if req.resourceID != "" && req.resourceID != g.ResourceID {
			return grant{}, 0, errOtherTarget
		}
		switch judgeRefresh(state, req.generation, i.Settings.RefreshGrace, now) {
		case refreshRotate:
			continue // the user or the row changed between the two statements
		case refreshRepeat, refreshRecover:
			used, err := h.store.repeatRefresh(ctx, i, req, state, now)
			if err != nil {
				return grant{}, 0, err
			}
			if used {
				return g, state.Generation, nil
			}
		case refreshReplayed:
			if err := h.store.revokeGrant(ctx, i, req.grantID, clientID, "refresh_token_replayed", now); err != nil {
				return grant{}, 0, err
			}
			return grant{}, 0, errRefreshDead
		case refreshBusy:
			return grant{}, 0, &problem{
				code: codeInvalidRequest, description: "This refresh token is used too often at once.",
				status: http.StatusTooManyRequests, retryAfter: "30",
			}
		case refreshDead:
			return grant{}, 0, errRefreshDead
		}
	}
	return grant{}, 0, &problem{
		code: codeUnavailable, description: "Try again in a moment.", status: http.StatusServiceUnavailable, retryAfter: "1",
	}
}
