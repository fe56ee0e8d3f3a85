package oauth

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/ostiary/ostiary/oauth/attemptlog"
	"github.com/ostiary/ostiary/oauth/clients"
)

// protocolStep records a step of a host's own request: it has no page, and its case id, if any, comes in its code.
func (m *Module) protocolStep(c echo.Context, i *Issuer, s attemptlog.Step) {
	s.Address, s.Agent = c.RealIP(), c.Request().UserAgent()
	if s.CaseID == "" && (s.Outcome == attemptlog.OutcomeRefused || s.Outcome == attemptlog.OutcomeFailed) {
		s.CaseID = newCaseID() // an attempt of one step, so that it is listed
	}
	m.attempts.Record(i.attemptPlace(), s)
}

// protocolRefused fills in what an error says.
func protocolRefused(s attemptlog.Step, err error) attemptlog.Step {
	p := problemOf(err)
	s.Outcome, s.Reason = p.recorded()
	s.Detail = p.description
	if fact := documentFact(err); fact != "" {
		s.Detail = fact
	}
	return s
}

// tokenIssued records that a code became tokens. Refreshes that work are not worth a row.
func (m *Module) tokenIssued(c echo.Context, i *Issuer, session *tokenSession) {
	code := session.code
	if code.GrantID == "" {
		return
	}
	m.protocolStep(c, i, attemptlog.Step{
		CaseID: code.CaseID, Kind: attemptlog.KindToken, Outcome: attemptlog.OutcomeOK, UserID: code.UserID,
		ClientID: code.ClientID, ClientName: session.client.Name, Host: session.redirect.Host,
	})
}

// tokenRefused records a refused token request, with the case of the code it came with.
func (m *Module) tokenRefused(c echo.Context, i *Issuer, session *tokenSession, err error) {
	r := c.Request()
	s := protocolRefused(attemptlog.Step{Kind: attemptlog.KindToken, ClientID: formClient(r)}, err)
	if session.client != nil {
		s.ClientID, s.ClientName = session.client.ID, session.client.Name
		s.Host = hostOfFirst(session.client.RedirectURIs)
	}
	switch r.PostForm.Get("grant_type") {
	case clients.GrantRefreshToken:
		s.Kind = attemptlog.KindRefresh
		if s.Reason == codeInvalidGrant {
			s.Reason = "refresh_refused"
		}
	case clients.GrantAuthorizationCode:
		code, openErr := i.openCode(r.PostForm.Get("code"))
		if openErr != nil {
			if s.Reason == codeInvalidGrant {
				s.Reason = "code_unknown"
			}
			break
		}
		s.CaseID, s.UserID, s.Host = code.CaseID, code.UserID, clients.ParseRedirect(code.RedirectURI).Host
		if s.Reason == codeInvalidGrant || s.Reason == codeInvalidTarget {
			s = i.tokenDifference(s, r, code, m.now())
		}
	}
	m.protocolStep(c, i, s)
}

// tokenDifference says what differs between a token request that was refused and the authorization it belongs to. It follows
// the order of codeGrant's checks.
func (i *Issuer) tokenDifference(s attemptlog.Step, r *http.Request, code authorizationCode, now time.Time) attemptlog.Step {
	form := r.PostForm
	verifier := form.Get("code_verifier")
	switch {
	case s.Reason == codeInvalidTarget:
		s.Reason, s.Asked = "resource_differs", cleanURLs(form["resource"])
		if resource, ok := i.resourceByID(code.ResourceID); ok {
			s.Expected = attemptlog.CleanURL(resource.Identifier())
		}
	case s.ClientID != code.ClientID:
		s.Reason, s.Asked, s.Expected = "client_differs", s.ClientID, code.ClientID
	case form.Has("redirect_uri") && form.Get("redirect_uri") != code.RedirectURI:
		s.Reason = "redirect_uri_differs"
		s.Asked, s.Expected = attemptlog.CleanURL(form.Get("redirect_uri")), attemptlog.CleanURL(code.RedirectURI)
	case verifier == "":
		s.Reason = "pkce_missing"
	case !validVerifier(verifier) || !verifierMatches(verifier, code.CodeChallenge):
		s.Reason = "pkce_differs"
	case now.After(code.ExpiresAt):
		s.Reason = "code_expired"
	default:
		s.Reason = "code_spent"
		if _, ok := i.resourceByID(code.ResourceID); !ok {
			s.Reason = "resource_gone"
		}
	}
	return s
}

// clientRegistered records a registration.
func (m *Module) clientRegistered(c echo.Context, i *Issuer, client *clients.Client) {
	m.protocolStep(c, i, attemptlog.Step{
		Kind: attemptlog.KindRegister, Outcome: attemptlog.OutcomeOK, Detail: "Dynamic registration.",
		ClientID: client.ID, ClientName: client.Name, Host: hostOfFirst(client.RedirectURIs),
	})
}

// clientRefused records a registration that was refused.
func (m *Module) clientRefused(c echo.Context, i *Issuer, registration clients.Registration, err error) {
	s := attemptlog.Step{
		Kind: attemptlog.KindRegister, ClientName: registration.ClientName, Host: hostOfFirst(registration.RedirectURIs),
	}
	s = protocolRefused(s, err)
	if s.Reason == clients.CodeInvalidRedirectURI {
		s.Asked = cleanURLs(registration.RedirectURIs)
	}
	m.protocolStep(c, i, s)
}

// tokenRevoked records a revocation.
func (m *Module) tokenRevoked(c echo.Context, i *Issuer, err error) {
	s := attemptlog.Step{Kind: attemptlog.KindRevoke, Outcome: attemptlog.OutcomeOK, ClientID: formClient(c.Request())}
	if err != nil {
		s = protocolRefused(s, err)
	}
	m.protocolStep(c, i, s)
}
