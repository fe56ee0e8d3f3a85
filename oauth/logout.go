package oauth

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/scope"
	"github.com/ostiary/ostiary/app/secret"
	"github.com/ostiary/ostiary/app/web"
	"github.com/ostiary/ostiary/oauth/clients"
	"github.com/ostiary/ostiary/templates/flow"
	"github.com/ostiary/ostiary/templates/ui"
)

// signOut is a pending sign-out. It travels sealed in the form of the page that asks, bound to the browser it was shown in.
type signOut struct {
	ReturnTo  string    `json:"r,omitempty"` // already found among the client's own, and named on the page
	Browser   []byte    `json:"b"`
	CreatedAt time.Time `json:"t"`
}

// wayBack is where a client wants the browser after a sign-out. The zero value is nowhere.
type wayBack struct {
	uri     string
	host    string // as people read it
	trusted bool   // the tenant named the client
}

// logout is RP-initiated logout (OpenID Connect RP-Initiated Logout §2). It ends the browser's sign-in here and no grant: apps
// stay connected. Without a question it only does so for a client that proves, by an id_token of ours, that it knows who is
// signed in; for anybody else's link the user is asked, by a form (§2: "SHOULD ask the End-User").
func (m *Module) logout(c echo.Context) error {
	r := c.Request()
	ctx := r.Context()
	i, err := issuerFrom(ctx)
	if err != nil {
		return err
	}
	query := r.URL.Query()
	if repeated(query) {
		return pageProblem("request_malformed", nil)
	}
	hint, hinted := i.openIDToken(query.Get("id_token_hint"))
	if id := query.Get("client_id"); hinted && id != "" && id != hint.Audience {
		return pageProblem("logout_contradicts", nil)
	}
	var back wayBack
	if hinted {
		if back, err = i.postLogout(ctx, hint.Audience, query); err != nil {
			return err
		}
	}
	user, err := m.store.signedIn(ctx, i, i.sessionToken(r))
	switch {
	case err != nil:
		return err
	case user == nil && back.trusted:
		return i.leaveSignedOut(c, back.uri)
	case user == nil:
		return i.sayingSignedOut(c, back)
	case hinted && user.ID == hint.Subject:
		return m.endSignIn(c, i, *user, back.uri)
	}
	return m.askSignOut(c, i, *user, back)
}

// postLogout returns where the client wants the browser after the sign-out, with its state; nowhere unless it registered
// exactly that (§3). Only a client that showed an id_token is heard: a client_id alone is no secret, and with open
// registration a redirect for it would be an open one.
func (i *Issuer) postLogout(ctx context.Context, clientID string, query url.Values) (wayBack, error) {
	target := query.Get("post_logout_redirect_uri")
	if target == "" {
		return wayBack{}, nil
	}
	client, err := i.Clients.GetConfirmed(ctx, clientID)
	switch {
	case errs.Is(err, errs.NotFound):
		return wayBack{}, nil
	case err != nil:
		return wayBack{}, err
	case !client.MatchPostLogout(target):
		return wayBack{}, nil
	}
	back := wayBack{uri: target, host: clients.ParseRedirect(target).Host, trusted: client.Source == clients.SourcePreregistered}
	if state := query.Get("state"); state != "" && len(state) <= maxState {
		back.uri = redirectURL(target, url.Values{"state": {state}})
	}
	return back, nil
}

// repeatLogout turns a posted request into the same one by GET: browsers keep our cookie back from other sites' posts, and we
// would sign nobody out.
func (m *Module) repeatLogout(c echo.Context) error {
	r := c.Request()
	i, err := issuerFrom(r.Context())
	if err != nil {
		return err
	}
	if err := r.ParseForm(); err != nil {
		return pageProblem("request_malformed", err)
	}
	again := url.Values{}
	for _, name := range [...]string{"id_token_hint", "client_id", "post_logout_redirect_uri", "state"} {
		if values := r.Form[name]; len(values) > 0 {
			again[name] = values
		}
	}
	return seeOther(c, i.path(pathLogout)+"?"+again.Encode())
}

// askSignOut asks the user, and says where that leads. The answer is a post from our own page.
func (m *Module) askSignOut(c echo.Context, i *Issuer, user SessionUser, back wayBack) error {
	sealed, err := i.sealSignOut(signOut{
		ReturnTo: back.uri, Browser: i.browser(c.Response(), c.Request()), CreatedAt: m.now().UTC(),
	})
	if err != nil {
		return err
	}
	next := ""
	if back.host != "" {
		next = " Next, you go back to " + back.host + "."
	}
	return web.Render(c, http.StatusOK, flow.SignedOut(flow.SignedOutView{
		Branding: i.brand, Title: "Sign out of " + i.Env.ProductName() + "?",
		Lead: "You are signed in as " + user.Email + ". Apps you connected stay connected." + next +
			" If you did not ask to sign out, close this page.",
		Primary: ui.Action{
			Label: "Sign out", Post: true, URL: i.path(pathSignOut), Hidden: []ui.Hidden{{Name: flow.FieldInteraction, Value: sealed}},
		},
	}))
}

// signOut takes the user's answer.
func (m *Module) signOut(c echo.Context) error {
	r := c.Request()
	i, err := issuerFrom(r.Context())
	if err != nil {
		return err
	}
	if err := r.ParseForm(); err != nil {
		return pageProblem("request_malformed", err)
	}
	pending, err := i.openSignOut(r.PostForm.Get(flow.FieldInteraction), i.knownBrowser(r), m.now())
	if err != nil {
		return err
	}
	user, err := m.store.signedIn(r.Context(), i, i.sessionToken(r))
	if err != nil {
		return err
	}
	if user == nil {
		return i.leaveSignedOut(c, pending.ReturnTo)
	}
	return m.endSignIn(c, i, *user, pending.ReturnTo)
}

func (m *Module) endSignIn(c echo.Context, i *Issuer, user SessionUser, returnTo string) error {
	r := c.Request()
	ctx := scope.WithActor(r.Context(), scope.Actor{Kind: scope.ActorUser, ID: user.ID})
	if err := m.store.signOut(ctx, i, i.sessionToken(r), user.ID); err != nil {
		return err
	}
	i.clearCookie(c.Response(), cookieSession)
	return i.leaveSignedOut(c, returnTo)
}

// leaveSignedOut leaves for the client, or for a page that says it is done.
func (i *Issuer) leaveSignedOut(c echo.Context, returnTo string) error {
	if returnTo == "" {
		returnTo = i.path(pathSignedOut)
	}
	return redirectBack(c, returnTo)
}

// showSignedOut says that it is done.
func (m *Module) showSignedOut(c echo.Context) error {
	i, err := issuerFrom(c.Request().Context())
	if err != nil {
		return err
	}
	return i.sayingSignedOut(c, wayBack{})
}

// sayingSignedOut says that nobody is signed in here. Where a client that registered itself wants to go is a button: anybody
// can register, and a link to us that led on by itself would lend our name to whatever stands there.
func (i *Issuer) sayingSignedOut(c echo.Context, back wayBack) error {
	view := flow.SignedOutView{Branding: i.brand, Lead: "You can close this page. Apps you connected stay connected."}
	if back.uri != "" {
		view.Primary = ui.Action{Label: "Go on to " + back.host, URL: back.uri}
	}
	return web.Render(c, http.StatusOK, flow.SignedOut(view))
}

// signOutPurpose keeps a sealed sign-out from being opened as anything else.
const signOutPurpose = "|sign-out"

func (i *Issuer) sealSignOut(s signOut) (string, error) {
	plaintext, err := json.Marshal(s)
	if err != nil {
		return "", fmt.Errorf("seal sign-out: %w", err)
	}
	return i.interactions.SealText(plaintext, []byte(i.Scope.EnvironmentID+signOutPurpose)), nil
}

// openSignOut returns the sign-out that text seals, when it is fresh and was shown in this browser.
// Errors: errs.Invalid, errs.Forbidden.
func (i *Issuer) openSignOut(text string, browser []byte, now time.Time) (signOut, error) {
	var s signOut
	plaintext, err := i.interactions.OpenText(text, []byte(i.Scope.EnvironmentID+signOutPurpose))
	if err != nil || json.Unmarshal(plaintext, &s) != nil {
		return signOut{}, errInteraction
	}
	if !secret.Equal(s.Browser, browser) {
		return signOut{}, errOtherBrowser
	}
	if now.After(s.CreatedAt.Add(i.Settings.InteractionLifetime)) {
		return signOut{}, errInteractionExpired
	}
	return s, nil
}
