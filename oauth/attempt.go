package oauth

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/scope"
	"github.com/ostiary/ostiary/oauth/attemptlog"
	"github.com/ostiary/ostiary/oauth/clients"
)

// attempt is what a page's request knows of the connection attempt it belongs to. It is filled in as the request goes on;
// each step that is recorded carries what is known by then.
type attempt struct{ facts attemptlog.Step }

type attemptKey struct{}

// attempted gives a page's request a case id. An interaction that it turns out to belong to replaces it.
func (m *Module) attempted(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		a := &attempt{facts: attemptlog.Step{Address: c.RealIP(), Agent: r.UserAgent()}}
		ctx := context.WithValue(scope.WithCase(r.Context(), newCaseID()), attemptKey{}, a)
		c.SetRequest(r.WithContext(ctx))
		return next(c)
	}
}

// attemptOf returns the attempt of a page's request; outside of pages one that nobody reads.
func attemptOf(ctx context.Context) *attempt {
	if a, ok := ctx.Value(attemptKey{}).(*attempt); ok {
		return a
	}
	return &attempt{}
}

// asks notes who asks and where the answer would go.
func (a *attempt) asks(client *clients.Client, redirect clients.Redirect) {
	a.facts.ClientID, a.facts.ClientName = client.ID, client.Name
	a.facts.Host = redirect.Host
}

// resumes notes which interaction a request belongs to.
func (a *attempt) resumes(ctx context.Context, in Interaction) {
	if in.CaseID == "" {
		return
	}
	scope.SetCase(ctx, in.CaseID)
	if in.ClientID != "" { // sealed by us: a client that was known when it began
		a.facts.ClientID, a.facts.Host = in.ClientID, in.redirect.Host
	}
	if in.UserID != "" {
		a.facts.UserID = in.UserID
	}
}

// differs notes what was sent and what would have been right.
func (a *attempt) differs(asked, expected string) { a.facts.Asked, a.facts.Expected = asked, expected }

// step records a step of a page's attempt.
func (m *Module) step(ctx context.Context, kind attemptlog.Kind, outcome attemptlog.Outcome, reason, detail string) {
	i, err := issuerFrom(ctx)
	if err != nil {
		return
	}
	s := attemptOf(ctx).facts
	s.CaseID, s.Kind, s.Outcome, s.Reason, s.Detail = scope.CaseID(ctx), kind, outcome, reason, detail
	if outcome != attemptlog.OutcomeRefused {
		s.Asked, s.Expected = "", ""
	}
	m.attempts.Record(i.attemptPlace(), s)
}

func (i *Issuer) attemptPlace() attemptlog.Place {
	return attemptlog.Place{Scope: i.Scope, Key: i.attemptKey}
}

// stepRefused records that a step of a page's attempt was refused, or failed through a fault of ours.
func (m *Module) stepRefused(ctx context.Context, kind attemptlog.Kind, p *problem) {
	outcome, reason := p.recorded()
	m.step(ctx, kind, outcome, reason, p.description)
}

// recorded is how the attempt log calls a problem.
func (p *problem) recorded() (attemptlog.Outcome, string) {
	switch {
	case p.intended:
		return attemptlog.OutcomeRefused, reasonStopped
	case p.status == http.StatusTooManyRequests:
		return outcomeOf(p.status), "rate_limited"
	}
	return outcomeOf(p.status), p.code
}

func outcomeOf(status int) attemptlog.Outcome {
	if status >= http.StatusInternalServerError {
		return attemptlog.OutcomeFailed
	}
	return attemptlog.OutcomeRefused
}

// authorizeStarted records an authorization request that passed its checks.
func (m *Module) authorizeStarted(ctx context.Context, i *Issuer, client *clients.Client, in Interaction) {
	if client.Source == clients.SourceMetadataDocument {
		m.step(ctx, attemptlog.KindMetadata, attemptlog.OutcomeOK, "", "Client metadata document of "+hostOf(client.ID)+".")
	}
	detail := "Asks for " + permissionCount(len(in.Scopes)) + "."
	if r, ok := i.resourceByID(in.ResourceID); ok {
		detail = "Asks for " + permissionCount(len(r.onlyScopes(in.Scopes))) + " of " + r.Name() + "."
	}
	m.step(ctx, attemptlog.KindAuthorize, attemptlog.OutcomeOK, "", detail)
}

// authorizeRefused records an authorization request that is answered with an error, and what differed.
func (m *Module) authorizeRefused(r *http.Request, i *Issuer, p *problem) {
	kind := attemptlog.KindAuthorize
	a := attemptOf(r.Context())
	switch p.code {
	case codeInvalidTarget:
		a.differs(cleanURLs(r.Form["resource"]), i.identifiers())
	case codeInvalidScope:
		a.differs(cleanScopes(r.Form.Get("scope")), i.scopesOf(r.Form["resource"]))
	case "login_required":
		kind = attemptlog.KindLogin
	case "consent_required":
		kind = attemptlog.KindConsent
	}
	m.stepRefused(r.Context(), kind, p)
}

// pageKinds are the steps that pages belong to.
var pageKinds = map[string]attemptlog.Kind{
	pathAuthorize: attemptlog.KindAuthorize, pathLogin: attemptlog.KindLogin, pathConsent: attemptlog.KindConsent,
	pathInteraction: attemptlog.KindPage, pathSwitch: attemptlog.KindPage,
}

// pageRefused records an error page.
func (m *Module) pageRefused(ctx context.Context, endpoint string, status int, err error) {
	kind, ok := pageKinds[endpoint]
	if !ok || scope.CaseID(ctx) == "" {
		return
	}
	reason, detail := codeOf(err), ""
	if reason == "" {
		reason = errs.KindOf(err).String()
	}
	if reason == errs.Internal.String() {
		reason = codeServerError
	}
	var p *problem
	if errors.As(err, &p) {
		reason, detail = p.code, p.description
	}
	if fact := documentFact(err); fact != "" {
		detail = fact
	}
	m.step(ctx, kind, outcomeOf(status), reason, detail)
}

// documentFact says what is wrong with a client's metadata document; empty for other errors.
func documentFact(err error) string {
	host, reason := documentReason(err)
	if host == "" || reason == "" {
		return reason
	}
	return host + ": " + reason
}

// redirectDiffers notes a redirect URI that the client did not register beside the ones it did.
func redirectDiffers(ctx context.Context, client *clients.Client, redirectURI string) {
	a := attemptOf(ctx)
	a.asks(client, clients.ParseRedirect(redirectURI))
	a.differs(attemptlog.CleanURL(redirectURI), cleanURLs(client.RedirectURIs))
}

// cleanURLs lists URLs without what may be secret in them. The first few are enough to see what differs.
func cleanURLs(raw []string) string {
	const most = 4
	var out []string
	for n, u := range raw {
		if n == most {
			out = append(out, "and "+strconv.Itoa(len(raw)-most)+" more")
			break
		}
		out = append(out, attemptlog.CleanURL(u))
	}
	return strings.Join(out, " ")
}

func (i *Issuer) identifiers() string {
	var all []string
	for _, r := range i.Resources {
		all = append(all, r.Identifier())
	}
	return cleanURLs(all)
}

// scopesOf names the permissions of the MCP server that a request names.
func (i *Issuer) scopesOf(resource []string) string {
	r, err := i.authorizeTarget(resource)
	if err != nil {
		return ""
	}
	return strings.Join(r.offered, " ")
}

// hostOfFirst is the host of the first redirect URI of a client.
func hostOfFirst(redirectURIs []string) string {
	if len(redirectURIs) == 0 {
		return ""
	}
	return clients.ParseRedirect(redirectURIs[0]).Host
}

// cleanID returns a client id that nobody knows, as far as it may be kept: a metadata document's without its query.
func cleanID(id string) string {
	if strings.Contains(id, "://") {
		return attemptlog.CleanURL(id)
	}
	return id
}

// cleanScopes keeps what can be a scope. Tokens that were put in the wrong place are longer.
func cleanScopes(raw string) string {
	const longest = 64
	words := splitScopes(raw)
	for n, word := range words {
		if len(word) > longest || strings.Contains(word, "?") {
			words[n] = "…"
		}
	}
	return strings.Join(words, " ")
}

// formClient returns who a protocol request says it comes from, for the log only: nothing of it is proved.
func formClient(r *http.Request) string {
	if id, _, ok := r.BasicAuth(); ok {
		if plain, err := url.QueryUnescape(id); err == nil {
			return cleanID(plain)
		}
	}
	return cleanID(r.PostForm.Get("client_id"))
}

// shownCase is the id that an error page shows: of the attempt, or of the request where there is none.
func shownCase(ctx context.Context) string {
	if id := scope.CaseID(ctx); id != "" {
		return id
	}
	return scope.RequestID(ctx)
}
