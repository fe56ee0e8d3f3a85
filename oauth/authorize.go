package oauth

import (
	"errors"
	"maps"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/ostiary/ostiary/app/scope"
	"github.com/ostiary/ostiary/app/secret"
	"github.com/ostiary/ostiary/app/web"
	"github.com/ostiary/ostiary/oauth/clients"
)

// authorize is the authorization endpoint (RFC 6749 §3.1). Client and redirect URI are checked first: while either is in
// doubt the answer is a page, afterwards it is a redirect.
func (m *Module) authorize(c echo.Context) error {
	r := c.Request()
	i, err := issuerFrom(r.Context())
	if err != nil {
		return err
	}
	if r.Method == http.MethodPost && !isForm(r) { // OpenID Connect Core §3.1.2.1
		return pageProblem("request_malformed", nil)
	}
	if err := r.ParseForm(); err != nil {
		return pageProblem("request_malformed", err)
	}
	attemptOf(r.Context()).facts.ClientID = cleanID(r.Form.Get("client_id"))
	client, redirect, err := m.knownClient(c, i)
	if err != nil {
		return err
	}
	attemptOf(r.Context()).asks(client, redirect)
	back := answerTo{redirectURI: redirect.URI, state: r.Form.Get("state"), hasState: r.Form.Has("state")}
	in, err := m.newInteraction(r, i)
	if err != nil {
		return m.redirectProblem(c, i, back, err)
	}
	in.redirect = redirect
	in.Browser = i.browser(c.Response(), r)
	m.authorizeStarted(r.Context(), i, client, in)
	return m.proceed(c, i, client, in)
}

// answerTo is where an authorization request is answered once its client and redirect URI are beyond doubt. The redirect
// URI is kept as it was sent: clients compare it byte for byte.
type answerTo struct {
	redirectURI string
	state       string
	hasState    bool
}

func (in Interaction) answerTo() answerTo {
	return answerTo{redirectURI: in.RedirectURI, state: in.State, hasState: in.HasState}
}

// knownClient runs the checks whose failures are shown on a page: who asks, and where the answer would go.
func (m *Module) knownClient(c echo.Context, i *Issuer) (*clients.Client, clients.Redirect, error) {
	r := c.Request()
	for _, name := range [...]string{"client_id", "redirect_uri"} {
		if len(r.Form[name]) > 1 {
			return nil, clients.Redirect{}, pageProblem("parameter_repeated", nil)
		}
	}
	client, err := i.Clients.Meet(r.Context(), r.Form.Get("client_id"), m.admitDocument(c, i))
	if err != nil {
		return nil, clients.Redirect{}, clientProblem(err)
	}
	redirectURI := r.Form.Get("redirect_uri")
	if redirectURI == "" {
		return nil, clients.Redirect{}, pageProblem("redirect_uri_missing", nil)
	}
	redirect := clients.ParseRedirect(redirectURI)
	if !client.MatchRedirect(redirect) {
		redirectDiffers(r.Context(), client, redirectURI)
		return nil, clients.Redirect{}, pageProblem("redirect_uri_unknown", nil)
	}
	return client, redirect, nil
}

// engineRequest runs fosite's checks. Scopes and resources are checked by us against the tenant's catalogue, so fosite does
// not see them; request objects it never sees either.
func (m *Module) engineRequest(r *http.Request) error {
	clone := r.WithContext(r.Context())
	clone.Form = maps.Clone(r.Form)
	clone.MultipartForm = new(multipart.Form) // read already: fosite would add what a body of a GET says, unseen by our checks
	for _, ours := range [...]string{"scope", "resource", "audience", "response_mode"} {
		clone.Form.Del(ours)
	}
	// fosite wants a long state; ours may be short or absent, because PKCE does its work (OAuth 2.1 §7.5).
	clone.Form.Set("state", "carried by the interaction")
	_, err := m.engine.NewAuthorizeRequest(r.Context(), clone)
	return err
}

// newInteraction checks what is left of an authorization request. Errors are answered by redirect.
func (m *Module) newInteraction(r *http.Request, i *Issuer) (Interaction, error) {
	form := r.Form
	in := Interaction{
		ClientID: form.Get("client_id"), RedirectURI: form.Get("redirect_uri"),
		State: form.Get("state"), HasState: form.Has("state"),
		CodeChallenge: form.Get("code_challenge"), LoginHint: form.Get("login_hint"), MaxAge: -1,
		Nonce: form.Get("nonce"), Subject: i.hintedSubject(form.Get("id_token_hint")),
		CreatedAt: m.now().UTC(), CaseID: scope.CaseID(r.Context()),
	}
	if err := checkProtocol(form); err != nil {
		return in, err
	}
	if err := m.engineRequest(r); err != nil {
		return in, err
	}
	resource, err := i.authorizeTarget(form["resource"])
	if err != nil {
		return in, err
	}
	in.ResourceID = resource.ID()
	requested := splitScopes(form.Get("scope"))
	if len(requested) > maxRequestedScopes {
		return in, badRequest(codeInvalidScope, "Too many scopes are asked for.")
	}
	var ok bool
	if in.Scopes, ok = resource.limitScopes(requested); !ok {
		return in, badRequest(codeInvalidScope, "This MCP server offers nothing of what was asked for.")
	}
	if in.Prompt, err = readPrompt(form.Get("prompt")); err != nil {
		return in, err
	}
	if raw := form.Get("max_age"); raw != "" {
		if in.MaxAge, err = strconv.Atoi(raw); err != nil || in.MaxAge < 0 {
			return in, badRequest(codeInvalidRequest, "max_age must be a number of seconds.")
		}
	}
	return in, nil
}

// Bounds on what we carry for a client.
const (
	maxState = 4096
	maxNonce = 512
)

func checkProtocol(form url.Values) error {
	switch {
	case repeated(form):
		return badRequest(codeInvalidRequest, "A parameter is repeated.") // RFC 6749 §3.1
	case form.Has("request"):
		return badRequest("request_not_supported", "Request objects are not offered.")
	case form.Has("request_uri"):
		return badRequest("request_uri_not_supported", "Request objects are not offered.")
	case form.Get("response_type") == "":
		return badRequest(codeInvalidRequest, "response_type is missing.")
	case form.Get("response_type") != "code":
		return badRequest(codeUnsupportedResponse, "Only response_type=code is offered.")
	case form.Has("response_mode") && form.Get("response_mode") != "query":
		return badRequest(codeInvalidRequest, "Only response_mode=query is offered.")
	case len(form.Get("state")) > maxState:
		return badRequest(codeInvalidRequest, "state is too long.")
	case len(form.Get("nonce")) > maxNonce:
		return badRequest(codeInvalidRequest, "nonce is too long.")
	case form.Get("code_challenge") == "":
		return badRequest(codeInvalidRequest, "code_challenge is missing: PKCE is required.")
	case form.Get("code_challenge_method") != "S256": // absent means plain (RFC 7636 §4.3), which is refused
		return badRequest(codeInvalidRequest, "code_challenge_method must be S256.")
	case !validChallenge(form.Get("code_challenge")):
		return badRequest(codeInvalidRequest, "code_challenge is malformed.")
	}
	return nil
}

// readPrompt returns the prompt values we know, each once: every one of them is honoured, and none stands alone (OpenID Connect
// Core §3.1.2.1).
func readPrompt(raw string) (string, error) {
	values := strings.Fields(raw)
	login := slices.Contains(values, promptLogin) || slices.Contains(values, promptSelectAccount)
	consent := slices.Contains(values, promptConsent)
	switch {
	case slices.Contains(values, promptNone):
		if len(values) > 1 {
			return "", badRequest(codeInvalidRequest, "prompt=none stands alone.")
		}
		return promptNone, nil
	case login && consent:
		return promptLoginConsent, nil
	case login:
		return promptLogin, nil
	case consent:
		return promptConsent, nil
	}
	return "", nil
}

// redirectProblem answers an authorization request with an error (RFC 6749 §4.1.2.1, RFC 9207 §2). Our own trouble is shown
// instead: the host could do nothing about it, the user can try again.
func (m *Module) redirectProblem(c echo.Context, i *Issuer, back answerTo, err error) error {
	var p *problem
	if !errors.As(err, &p) || p.status >= http.StatusInternalServerError {
		return err
	}
	p.log(c.Request(), m.log)
	m.authorizeRefused(c.Request(), i, p)
	parameters := url.Values{"error": {p.code}, "error_description": {p.description}, "iss": {i.URL}}
	if back.hasState {
		parameters.Set("state", back.state)
	}
	return redirectBack(c, redirectURL(back.redirectURI, parameters))
}

// redirectBack leaves for the client: 303, never 307, which would repeat the post there (OAuth 2.1 §7).
func redirectBack(c echo.Context, location string) error {
	h := c.Response().Header()
	web.NoStore(h)
	h.Set("Location", location)
	return c.NoContent(http.StatusSeeOther)
}

// newCaseID returns a short id people can read out: 50 random bits, enough to find one request among billions.
func newCaseID() string {
	text := secret.NewID("")[1:]
	return "OST-" + text[:5] + "-" + text[5:10]
}
