package oauth

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/ostiary/ostiary/app/policy"
	"github.com/ostiary/ostiary/app/scope"
	"github.com/ostiary/ostiary/app/secret"
	"github.com/ostiary/ostiary/app/web"
	"github.com/ostiary/ostiary/oauth/attemptlog"
	"github.com/ostiary/ostiary/oauth/clients"
	"github.com/ostiary/ostiary/templates/flow"
	"github.com/ostiary/ostiary/templates/ui"
)

// consentPage is what the consent page is drawn from.
type consentPage struct {
	client  *clients.Client
	in      Interaction
	session *Session
	consent *Consent // remembered, nil when there is none
	failed  *ui.Notice
	status  int
}

func (m *Module) showConsent(c echo.Context, i *Issuer, p consentPage) error {
	resource, ok := i.resourceByID(p.in.ResourceID)
	if !ok {
		return pageProblem("resource_gone", nil)
	}
	// The decision will be about exactly this user and this wording.
	p.in.UserID, p.in.Revision, p.in.GoesOn = p.session.User.ID, resource.Revision, p.prior() != ""
	p.in.Proof = proof{} // shown: what is decided is proved by the statement that records it
	sealed := i.sealInteraction(p.in)
	attemptOf(c.Request().Context()).facts.UserID = p.session.User.ID
	if p.status == 0 {
		p.status = http.StatusOK
		m.step(c.Request().Context(), attemptlog.KindConsent, attemptlog.OutcomeWaiting, "", "Consent page shown.")
	}
	return web.Render(c, p.status, flow.Consent(i.consentView(p, resource, sealed)))
}

// decide takes the user's decision.
func (m *Module) decide(c echo.Context) error {
	r := c.Request()
	if err := parsePost(r); err != nil {
		return pageProblem("request_malformed", err)
	}
	i, client, in, err := m.interaction(c, r.PostForm.Get(flow.FieldInteraction))
	if err != nil {
		return err
	}
	resource, ok := i.resourceByID(in.ResourceID)
	if !ok {
		return pageProblem("resource_gone", nil)
	}
	// As a rule nothing has changed since the page was shown. Recording finds out by itself, so nothing is asked beforehand.
	usual := in.UserID != "" && in.Revision == resource.Revision && !in.GoesOn && !i.stops.any()
	if usual && r.PostForm.Get(flow.FieldDecision) == flow.DecisionAllow {
		page := consentPage{client: client, in: in}
		if asked, _ := page.offer(resource); len(chosenScopes(resource, asked, choiceOf(r))) > 0 {
			if done, err := m.allow(c, i, page, resource); done || err != nil {
				return err
			}
		}
	}
	return m.decideSlowly(c, i, consentPage{client: client, in: in, status: http.StatusUnprocessableEntity}, resource)
}

// decideSlowly takes a decision after looking at who is signed in and what is remembered, and says what is in its way.
func (m *Module) decideSlowly(c echo.Context, i *Issuer, page consentPage, resource *Resource) error {
	r, in, client := c.Request(), page.in, page.client
	session, consent, err := m.store.who(r.Context(), i, i.sessionToken(r), in)
	if err != nil {
		return err
	}
	if err := i.stoppedRequest(client, in, session); err != nil {
		return m.redirectProblem(c, i, in.answerTo(), err)
	}
	page.session, page.consent = session, consent
	switch {
	case session == nil, in.UserID == "":
		return m.proceed(c, i, client, in) // signed out meanwhile, or no page was shown yet
	case r.PostForm.Get(flow.FieldDecision) == flow.DecisionCancel:
		return m.deny(c, i, in)
	case session.User.ID != in.UserID:
		page.failed = &ui.Notice{
			Tone: ui.ToneWarn, What: "You are now signed in as somebody else.",
			Then: "Nothing was allowed. Check the account below and decide again.",
		}
		m.step(r.Context(), attemptlog.KindConsent, attemptlog.OutcomeRefused, "user_switched", "")
		return m.showConsent(c, i, page)
	case resource.Revision != in.Revision:
		page.failed = &ui.Notice{
			Tone: ui.ToneWarn, What: "The permissions changed while you were reading.",
			Then: "Nothing was allowed yet. Read them again, then decide.",
		}
		m.step(r.Context(), attemptlog.KindConsent, attemptlog.OutcomeRefused, "policy_changed", "")
		return m.showConsent(c, i, page)
	case r.PostForm.Get(flow.FieldDecision) != flow.DecisionAllow:
		return m.showConsent(c, i, page)
	}
	if asked, _ := page.offer(resource); len(chosenScopes(resource, asked, choiceOf(r))) == 0 {
		page.failed = &ui.Notice{
			Tone: ui.ToneWarn, What: "Nothing is ticked.", Then: "Tick at least one permission, or choose Cancel.",
		}
		m.step(r.Context(), attemptlog.KindConsent, attemptlog.OutcomeRefused, "nothing_ticked", "")
		return m.showConsent(c, i, page)
	}
	done, err := m.allow(c, i, page, resource)
	if done || err != nil {
		return err
	}
	return m.proceed(c, i, client, in) // something changed this very moment
}

// allow records what the user allowed and issues a code for it. done is false, and nothing is answered, when what the page was
// about has changed.
func (m *Module) allow(c echo.Context, i *Issuer, p consentPage, resource *Resource) (done bool, err error) {
	r, now := c.Request(), m.now()
	asked, kept := p.offer(resource)
	chosen := chosenScopes(resource, asked, choiceOf(r))
	lasts := chosenDuration(r.PostForm.Get(flow.FieldDuration), p.in.redirect)
	consent := newConsent{
		Consent: Consent{
			ID: secret.NewOrderedID("con", now), Scopes: union(union(kept, chosen), silentOf(p.in.Scopes)),
			ExpiresAt: endOf(lasts, now), Lasts: lasts,
		},
		token: i.sessionToken(r), userID: p.in.UserID, client: p.client, resource: resource,
		receipt: receiptOf(resource, asked, chosen, p.in),
		prior:   p.prior(), local: p.in.redirect.StaysLocal(),
		rowKnown: p.session == nil && i.Clients.HasRow(p.client.ID), // nobody looked yet: on the slow way nothing is taken for known
	}
	ctx := scope.WithActor(r.Context(), scope.Actor{Kind: scope.ActorUser, ID: p.in.UserID})
	session, err := m.store.recordConsent(ctx, m.clients, i, consent)
	if err != nil || session == nil {
		return false, err
	}
	i.Clients.RememberRow(p.client)
	allowed := fmt.Sprintf("Allowed %d of %s.", len(chosen), permissionCount(len(asked)))
	m.step(ctx, attemptlog.KindConsent, attemptlog.OutcomeOK, "", allowed)
	return true, m.issue(c, i, p.client, p.in, session, consent.Consent)
}

// prior returns the id of the consent that a decision goes on from. A client nobody can authenticate is asked everything again.
func (p consentPage) prior() string {
	if p.consent == nil || p.in.redirect.StaysLocal() {
		return ""
	}
	return p.consent.ID
}

// offer splits what is requested into what the page asks and what it only says was allowed before.
func (p consentPage) offer(r *Resource) (asked, kept []string) {
	if p.prior() != "" {
		kept = r.stillOffered(p.consent.Scopes)
	}
	asked = make([]string, 0, len(p.in.Scopes))
	for _, s := range p.in.Scopes {
		if _, ok := r.scope(s); ok && !slices.Contains(kept, s) {
			asked = append(asked, s)
		}
	}
	if len(asked) == 0 { // prompt=consent with nothing new: ask again about all of it
		return r.onlyScopes(p.in.Scopes), nil
	}
	return asked, kept
}

// onlyScopes returns what of names are scopes that people are asked about.
func (r *Resource) onlyScopes(names []string) []string {
	out := make([]string, 0, len(names))
	for _, s := range names {
		if _, ok := r.scope(s); ok {
			out = append(out, s)
		}
	}
	return out
}

// choice is what a consent form says.
type choice struct {
	preset string
	ticked []string
}

func choiceOf(r *http.Request) choice {
	return choice{preset: r.PostForm.Get(flow.FieldPreset), ticked: r.PostForm[flow.FieldScope]}
}

// chosenScopes returns what of asked the user allowed. A preset is worked out here, so it works without script; a
// destructive scope is only ever allowed by its own tick, and a required one always.
func chosenScopes(r *Resource, asked []string, c choice) []string {
	chosen := make([]string, 0, len(asked))
	for _, name := range asked {
		s, _ := r.scope(name)
		ticked := slices.Contains(c.ticked, name)
		switch {
		case s.Required && s.Risk != policy.RiskDestructive:
			ticked = true
		case c.preset == flow.PresetAll && s.Risk != policy.RiskDestructive:
			ticked = true
		case c.preset == flow.PresetRead:
			ticked = s.Risk == policy.RiskRead
		}
		if ticked {
			chosen = append(chosen, name)
		}
	}
	return chosen
}

// chosenDuration returns how long the user allows it. An app nobody can verify gets no permission without an end.
func chosenDuration(value string, redirect clients.Redirect) string {
	switch value {
	case flow.DurationHour, flow.DurationMonth:
		return value
	case flow.DurationRevoke:
		if !redirect.StaysLocal() {
			return value
		}
	}
	return flow.DurationMonth
}

func endOf(lasts string, now time.Time) *time.Time {
	var end time.Time
	switch lasts {
	case flow.DurationHour:
		end = now.Add(time.Hour)
	case flow.DurationMonth:
		end = now.AddDate(0, 0, 30)
	default:
		return nil
	}
	return &end
}

func union(a, b []string) []string {
	out := append(make([]string, 0, len(a)+len(b)), a...)
	for _, s := range b {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// receipt is the exact wording shown and the choice made, kept with the consent.
type receipt struct {
	Shown      []receiptLine `json:"shown"`
	Kept       []string      `json:"kept,omitempty"`
	RedirectTo string        `json:"redirect_to"`
	CaseID     string        `json:"case"`
}

type receiptLine struct {
	Scope       string `json:"scope"`
	Title       string `json:"title"`
	Description string `json:"description,omitempty"`
	Risk        string `json:"risk"`
	Allowed     bool   `json:"allowed"`
}

func receiptOf(r *Resource, asked, chosen []string, in Interaction) receipt {
	out := receipt{CaseID: in.CaseID, RedirectTo: originOf(in.RedirectURI), Shown: make([]receiptLine, 0, len(asked))}
	for _, name := range asked {
		s, _ := r.scope(name)
		out.Shown = append(out.Shown, receiptLine{
			Scope: name, Title: s.Title, Description: s.Description, Risk: string(s.Risk), Allowed: slices.Contains(chosen, name),
		})
	}
	return out
}
