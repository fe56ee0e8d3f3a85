package oauth

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"

	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/web"
	"github.com/ostiary/ostiary/oauth/clients"
	"github.com/ostiary/ostiary/templates/flow"
	"github.com/ostiary/ostiary/templates/layout"
	"github.com/ostiary/ostiary/templates/ui"
)

// pageProblem is a failure that is shown to the user, because redirecting would be unsafe or there is nowhere to go.
func pageProblem(code string, cause error) error {
	return &errs.Error{Kind: errs.Invalid, Code: code, Msg: "This request cannot be continued.", Err: cause}
}

var errCrossSite = &errs.Error{Kind: errs.Forbidden, Code: "cross_site", Msg: "The form was sent from another site."}

// pageText is what a page says: what happened, whether anything is at risk, and who can fix it.
type pageText struct {
	title, lead string
	fixes       []ui.Fix
}

const (
	startAgain  = "Go back to the app and connect again. Nothing was shared."
	appMakerFix = "Whoever makes the app can fix it"
)

var pageTexts = map[string]pageText{
	"client_unknown": {
		title: "This app is not known here",
		lead:  "The app that sent you is not registered, or its registration was switched off. Nothing has been shared.",
		fixes: []ui.Fix{
			{Title: "You can try again", Text: "Remove the connection in the app and add it again: it then registers anew."},
			{Icon: "server", Title: "If it keeps happening", Text: "Tell the people who run this server, with the case number below."},
		},
	},
	"redirect_uri_unknown": {
		title: "This app asks us to send you somewhere unexpected",
		lead:  "The address it wants to go back to is not one it registered, so we stopped. Nothing has been shared.",
		fixes: []ui.Fix{
			{Icon: "warn", Title: "If a link or a message brought you here, close this page", Text: "It may be an attempt to get at your data."},
			{Icon: "server", Title: appMakerFix, Text: "redirect_uri must equal a registered one; only the port of a localhost address may differ."},
		},
	},
	"redirect_uri_missing": {
		title: "This app did not say where to go back to",
		lead:  "Its request has no redirect_uri. Nothing has been shared.",
		fixes: []ui.Fix{{Icon: "server", Title: appMakerFix, Text: "Send redirect_uri with every authorization request."}},
	},
	"parameter_repeated": {
		title: "This request contradicts itself",
		lead:  "It names the app or the way back more than once, so we stopped. Nothing has been shared.",
		fixes: []ui.Fix{{Icon: "server", Title: appMakerFix, Text: "Send client_id and redirect_uri once each."}},
	},
	"logout_contradicts": {
		title: "This request contradicts itself",
		lead:  "It names one app and brings the proof of another, so we stopped. You are still signed in.",
		fixes: []ui.Fix{{Icon: "server", Title: appMakerFix, Text: "client_id must be the client that id_token_hint was issued to."}},
	},
	"interaction_expired": {
		title: "This request has waited too long",
		lead:  "For your safety a request to connect ends after a while. Nothing has been shared.",
		fixes: []ui.Fix{{Title: "You can start again", Text: startAgain}},
	},
	"interaction_other_browser": {
		title: "This request was started in another browser",
		lead:  "A request to connect can only be finished in the browser that began it. Nothing has been shared.",
		fixes: []ui.Fix{
			{Title: "Use the same browser", Text: "Open the app's link where you signed in, with cookies allowed."},
			{Icon: "warn", Title: "If somebody sent you this link, close this page", Text: "They may be trying to use your account."},
		},
	},
	"interaction_unknown": {
		title: "We cannot continue this request",
		lead:  "The address is incomplete, or it belongs to something that is over. Nothing has been shared.",
		fixes: []ui.Fix{{Title: "You can start again", Text: startAgain}},
	},
	"cross_site": {
		title: "This form was sent from another site",
		lead:  "We only take decisions from our own pages, so we stopped. Nothing has been shared.",
		fixes: []ui.Fix{{Title: "You can start again", Text: startAgain}},
	},
	clients.CodeDocumentRefused:     textDocumentRefused,
	clients.CodeDocumentUnavailable: textDocumentUnavailable,
	clients.CodeDocumentLimited:     textDocumentLimited,
	"resource_gone": {
		title: "This MCP server is not offered any more",
		lead:  "It was switched off while you were connecting. Nothing has been shared.",
		fixes: []ui.Fix{{Icon: "server", Title: "The people who run it can help", Text: "Ask them whether it has moved."}},
	},
}

var (
	textUnavailable = pageText{
		title: "We cannot reach our database",
		lead:  "Your request is safe. Nothing has been shared and nothing was lost.",
		fixes: []ui.Fix{
			{Title: "You can try again", Text: "Most of the time this passes within a minute. Reload the page to carry on."},
			{Icon: "server", Title: "If it keeps happening, the operator can fix it", Text: "Tell them, with the case number below."},
		},
	}
	textMalformed = pageText{
		title: "We could not read this request",
		lead:  "Something in it is malformed. Nothing has been shared.",
		fixes: []ui.Fix{{Title: "You can start again", Text: startAgain}},
	}
	textInternal = pageText{
		title: "Something went wrong on our side",
		lead:  "This is not your fault, and nothing has been shared.",
		fixes: []ui.Fix{
			{Title: "You can try again", Text: startAgain},
			{Icon: "server", Title: "If it keeps happening, the operator can fix it", Text: "The case number below leads them to the cause."},
		},
	}
)

// HandleError is the issuer's only writer of error pages. Client mistakes are logged as Info, ours as Error.
func (m *Module) HandleError(err error, c echo.Context) {
	if c.Response().Committed {
		return
	}
	r := c.Request()
	ctx := r.Context()
	i, issuerErr := issuerFrom(ctx)
	var routing *echo.HTTPError
	if issuerErr != nil || errors.As(err, &routing) {
		m.handleBare(c, err, routing)
		return
	}
	status, text := web.Status(err), textFor(err)
	if wait := retryAfter(err); wait != "" {
		c.Response().Header().Set("Retry-After", wait)
	}
	m.pageRefused(ctx, r.URL.Path, status, err)
	if status >= http.StatusInternalServerError {
		m.log.ErrorContext(ctx, "issuer page failed", "endpoint", r.URL.Path, "error", err)
	} else {
		m.log.InfoContext(ctx, "issuer page refused", "endpoint", r.URL.Path, "reason", codeOf(err))
	}
	view := flow.ErrorView{
		Branding: i.brand, Title: text.title, Lead: text.lead, Fixes: text.fixes, Facts: documentFacts(err), CaseID: shownCase(ctx),
		When: m.now().UTC().Format("2 Jan 2006, 15:04 UTC"), Support: i.support(),
	}
	if renderErr := web.Render(c, status, flow.Error(view)); renderErr != nil {
		m.log.ErrorContext(ctx, "error page failed", "error", renderErr)
	}
}

// handleBare answers what no page stands for: unknown paths, wrong methods, requests for no issuer.
func (m *Module) handleBare(c echo.Context, err error, routing *echo.HTTPError) {
	status := web.Status(err)
	if routing != nil {
		status = routing.Code
	}
	if status >= http.StatusInternalServerError {
		m.log.ErrorContext(c.Request().Context(), "issuer request failed", "error", err)
	}
	c.Response().Header().Set("Cache-Control", "no-store")
	if sendErr := c.NoContent(status); sendErr != nil {
		m.log.InfoContext(c.Request().Context(), "answer could not be sent", "error", sendErr)
	}
}

func textFor(err error) pageText {
	if text, ok := pageTexts[codeOf(err)]; ok {
		return text
	}
	switch errs.KindOf(err) {
	case errs.Unavailable:
		return textUnavailable
	case errs.Invalid:
		return textMalformed
	case errs.Internal, errs.NotFound, errs.Conflict, errs.Unauthenticated, errs.Forbidden, errs.RateLimited:
	}
	return textInternal
}

func codeOf(err error) string {
	var e *errs.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// branding is the tenant's part of issuer pages: words, links and a stylesheet of token values.
func (i *Issuer) branding() layout.Branding {
	b := layout.Branding{Name: i.Env.ProductName(), StylesheetURL: i.path(pathBrand) + "?v=" + i.brandVersion()}
	for _, link := range [...]ui.Link{
		{Label: "Privacy", URL: i.Env.Branding.PrivacyURL},
		{Label: "Terms", URL: i.Env.Branding.TermsURL},
		{Label: "Get help", URL: i.Env.Branding.HelpURL},
	} {
		if link.URL != "" {
			b.Legal = append(b.Legal, link)
		}
	}
	return b
}

func (i *Issuer) support() ui.Link {
	if email := i.Env.Branding.SupportEmail; email != "" {
		return ui.Link{Label: email, URL: "mailto:" + email}
	}
	return ui.Link{}
}

// brandVersion changes when the environment does, so that the stylesheet can be cached.
func (i *Issuer) brandVersion() string { return strconv.FormatInt(i.Env.UpdatedAt.Unix(), 36) }

// showBrand serves the tenant's token values as a stylesheet.
func (m *Module) showBrand(c echo.Context) error {
	i, err := issuerFrom(c.Request().Context())
	if err != nil {
		return err
	}
	b := i.Env.Branding
	css := flow.BrandCSS(flow.Brand{
		Light: flow.BrandColors(b.Light), Dark: flow.BrandColors(b.Dark), Radius: b.Radius, Font: b.Font,
	})
	c.Response().Header().Set("Cache-Control", "public, max-age=86400")
	return c.Blob(http.StatusOK, "text/css; charset=utf-8", css)
}

func permissionCount(n int) string {
	if n == 1 {
		return "1 permission"
	}
	return strconv.Itoa(n) + " permissions"
}
