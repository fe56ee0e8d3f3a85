package oauth

import (
	"net/http"
	"net/url"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/ory/fosite"

	"github.com/ostiary/ostiary/oauth/attemptlog"
	"github.com/ostiary/ostiary/oauth/clients"
)

// proceed gathers the facts, asks next, and does what it says. Every step of an interaction comes back here.
func (m *Module) proceed(c echo.Context, i *Issuer, client *clients.Client, in Interaction) error {
	r := c.Request()
	session, consent, err := m.whoAsks(r, i, in)
	if err != nil {
		return err
	}
	if err := i.stoppedRequest(client, in, session); err != nil {
		return m.redirectProblem(c, i, in.answerTo(), err)
	}
	step, code := next(in, facts{
		now: m.now(), session: session, consent: consent, local: in.redirect.StaysLocal(), requested: in.Scopes,
	})
	switch step {
	case StepLogin:
		return m.showLogin(c, i, client, in, loginForm{email: in.LoginHint})
	case StepConsent:
		return m.showConsent(c, i, consentPage{client: client, in: in, session: session, consent: consent})
	case StepIssue:
		return m.issue(c, i, client, in, session, *consent)
	case StepRefuse:
	}
	return m.redirectProblem(c, i, in.answerTo(), badRequest(code, "The user has to be asked, and prompt=none forbids it."))
}

// showInteraction resumes an interaction: after sign-in, after an error, after a reload.
func (m *Module) showInteraction(c echo.Context) error {
	i, client, in, err := m.interaction(c, c.QueryParam("i"))
	if err != nil {
		return err
	}
	return m.proceed(c, i, client, in)
}

// interaction opens a sealed interaction and finds its client again: it may have been disabled meanwhile.
func (m *Module) interaction(c echo.Context, sealed string) (*Issuer, *clients.Client, Interaction, error) {
	r := c.Request()
	i, err := issuerFrom(r.Context())
	if err != nil {
		return nil, nil, Interaction{}, err
	}
	in, err := i.openInteraction(sealed, i.knownBrowser(r), m.now())
	attemptOf(r.Context()).resumes(r.Context(), in)
	if err != nil {
		return nil, nil, Interaction{}, err
	}
	client, err := i.Clients.Meet(r.Context(), in.ClientID, m.admitDocument(c, i))
	if err != nil {
		return nil, nil, Interaction{}, clientProblem(err)
	}
	if !client.MatchRedirect(in.redirect) { // its document changed meanwhile
		return nil, nil, Interaction{}, pageProblem("redirect_uri_unknown", nil)
	}
	attemptOf(r.Context()).asks(client, in.redirect)
	return i, client, in, nil
}

// resumeURL leads back to an interaction.
func (i *Issuer) resumeURL(in Interaction) string {
	return i.path(pathInteraction) + "?i=" + i.sealInteraction(in)
}

// issue answers the client with a code for what the consent allows of the request.
func (m *Module) issue(c echo.Context, i *Issuer, client *clients.Client, in Interaction, session *Session, consent Consent) error {
	request := fosite.NewAuthorizeRequest()
	request.Client = engineClient{Client: client, requested: in.RedirectURI}
	request.ResponseTypes = fosite.Arguments{"code"}
	request.ResponseMode = fosite.ResponseModeQuery
	request.State = in.State
	now := m.now()
	answer, err := m.engine.NewAuthorizeResponse(c.Request().Context(), request, &authorizeSession{code: authorizationCode{
		ConsentID: consent.ID, ClientID: in.ClientID, UserID: session.User.ID, OrgID: session.User.OrganizationID,
		ResourceID: in.ResourceID, Scopes: allowedOf(consent.Scopes, in.Scopes), RedirectURI: in.RedirectURI,
		CodeChallenge: in.CodeChallenge, Nonce: in.Nonce, AuthTime: session.AuthTime, GrantEndsAt: i.grantEnd(consent, now),
		CaseID: in.CaseID,
	}})
	if err != nil {
		return m.redirectProblem(c, i, in.answerTo(), err)
	}
	attemptOf(c.Request().Context()).facts.UserID = session.User.ID
	m.step(c.Request().Context(), attemptlog.KindCode, attemptlog.OutcomeOK, "", "Sent back to the app.")
	parameters := answer.GetParameters()
	if in.HasState {
		parameters.Set("state", in.State)
	}
	return redirectBack(c, redirectURL(in.RedirectURI, parameters))
}

// allowedOf returns what the consent allows. A consent covers what was allowed before as well: connecting again never
// silently takes something away.
func allowedOf(consented, requested []string) []string {
	return union(consented, silentOf(requested))
}

// grantEnd is the absolute end of a grant: the duration the user chose, or the environment's limit.
func (i *Issuer) grantEnd(consent Consent, now time.Time) time.Time {
	end := now.Add(i.Settings.RefreshAbsolute)
	if consent.ExpiresAt != nil && consent.ExpiresAt.Before(end) {
		return *consent.ExpiresAt
	}
	return end
}

// deny answers the client that the user said no.
func (m *Module) deny(c echo.Context, i *Issuer, in Interaction) error {
	parameters := url.Values{"error": {codeAccessDenied}, "error_description": {"The user did not allow it."}, "iss": {i.URL}}
	if in.HasState {
		parameters.Set("state", in.State)
	}
	m.log.InfoContext(c.Request().Context(), "user denied a request")
	m.step(c.Request().Context(), attemptlog.KindConsent, attemptlog.OutcomeRefused, "denied", "")
	return redirectBack(c, redirectURL(in.RedirectURI, parameters))
}

// seeOther is the answer to a post that succeeded.
func seeOther(c echo.Context, location string) error {
	return c.Redirect(http.StatusSeeOther, location)
}
