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
	p.in.UserID, p.in.Revision = p.session.User.ID, resource.Revision
	sealed, err := i.sealInteraction(p.in)
	if err != nil {
		return err
	}
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
	if err := r.ParseForm(); err != nil {
		return pageProblem("request_malformed", err)
	}
	i, client, in, err := m.interaction(c, r.PostForm.Get(flow.FieldInteraction))
	if err != nil {
		return err
	}
	session, consent, err := m.store.who(r.Context(), i, i.sessionToken(r), in)
	if err != nil {
		return err
	}
	resource, ok := i.resourceByID(in.ResourceID)
	if !ok {
		return pageProblem("resource_gone", nil)
	}
	if err := i.stoppedRequest(client, in, session); err != nil {
		return m.redirectProblem(c, i, in.answerTo(), err)
	}
	page := consentPage{client: client, in: in, session: session, consent: consent, status: http.StatusUnprocessableEntity}
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
	return m.allow(c, i, page, resource)
}

// allow records what the user allowed and issues a code for it.
func (m *Module) allow(c echo.Context, i *Issuer, p consentPage, resource *Resource) error {
	r := c.Request()
	now := m.now()
	asked, kept := p.offer(resource)
	chosen := chosenScopes(resource, asked, choice{
		preset: r.PostForm.Get(flow.FieldPreset), ticked: r.PostForm[flow.FieldScope],
	})
	if len(chosen) == 0 {
		p.failed = &ui.Notice{
			Tone: ui.ToneWarn, What: "Nothing is ticked.", Then: "Tick at least one permission, or choose Cancel.",
		}
		m.step(r.Context(), attemptlog.KindConsent, attemptlog.OutcomeRefused, "nothing_ticked", "")
		return m.showConsent(c, i, p)
	}
	lasts := chosenDuration(r.PostForm.Get(flow.FieldDuration), p.in.RedirectURI)
	scopes := union(union(kept, chosen), silentOf(p.in.Scopes))
	consent := newConsent{
		Consent:  Consent{ID: secret.NewID("con"), Scopes: scopes, ExpiresAt: endOf(lasts, now), Lasts: lasts},
		client:   p.client,
		user:     p.session.User,
		resource: resource,
		receipt:  receiptOf(resource, asked, chosen, p.in),
	}
	ctx := scope.WithActor(r.Context(), scope.Actor{Kind: scope.ActorUser, ID: p.session.User.ID})
	if err := m.store.recordConsent(ctx, m.clients, i, consent, now); err != nil {
		return err
	}
	allowed := fmt.Sprintf("Allowed %d of %s.", len(chosen), permissionCount(len(asked)))
	m.step(ctx, attemptlog.KindConsent, attemptlog.OutcomeOK, "", allowed)
	return m.issue(c, i, p.client, p.in, p.session, consent.Consent)
}

// offer splits what is requested into what the page asks and what it only says was allowed before. A client nobody can
// authenticate is asked everything again.
func (p consentPage) offer(r *Resource) (asked, kept []string) {
	if p.consent != nil && !clients.StaysLocal(p.in.RedirectURI) {
		kept = r.stillOffered(p.consent.Scopes)
	}
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
	var out []string
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

// chosenScopes returns what of asked the user allowed. A preset is worked out here, so it works without script; a
// destructive scope is only ever allowed by its own tick, and a required one always.
func chosenScopes(r *Resource, asked []string, c choice) []string {
	var chosen []string
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
func chosenDuration(value, redirectURI string) string {
	switch value {
	case flow.DurationHour, flow.DurationMonth:
		return value
	case flow.DurationRevoke:
		if !clients.StaysLocal(redirectURI) {
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
	out := slices.Clone(a)
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
	out := receipt{CaseID: in.CaseID, RedirectTo: originOf(in.RedirectURI)}
	for _, name := range asked {
		s, _ := r.scope(name)
		out.Shown = append(out.Shown, receiptLine{
			Scope: name, Title: s.Title, Description: s.Description, Risk: string(s.Risk), Allowed: slices.Contains(chosen, name),
		})
	}
	return out
}
