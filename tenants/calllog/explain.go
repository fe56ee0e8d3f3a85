package calllog

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/ostiary/ostiary/app/calls"
	"github.com/ostiary/ostiary/app/policy"
)

// Standing says how what was reported compares with what the issuer knows.
type Standing string

// The standings.
const (
	Confirmed    Standing = "confirmed"    // decided again from the same revision, it comes out the same
	Unconfirmed  Standing = "unconfirmed"  // what it was decided from is not known here any more
	Contradicted Standing = "contradicted" // decided again, it comes out differently
)

// Explanation answers why a call was allowed or denied.
type Explanation struct {
	Call     Call      `json:"call"`
	Decision Decision  `json:"decision"`
	Why      string    `json:"why"`           // one sentence
	Facts    []string  `json:"facts"`         // what it was decided from, a sentence each
	Fix      string    `json:"fix,omitempty"` // who can do what about it; empty when nothing is wrong
	Standing Standing  `json:"standing"`
	Doubts   []string  `json:"doubts,omitempty"` // why it is not confirmed, a sentence each
	Revision *Revision `json:"revision,omitempty"`
	StopID   string    `json:"stop,omitempty"` // the stop that was on
}

// Revision names a published policy.
type Revision struct {
	Number      int       `json:"number"`
	PublishedAt time.Time `json:"published_at"`
	PublishedBy string    `json:"published_by"` // a member's name, or what published it
}

// published is a revision with its document.
type published struct {
	Revision
	document *policy.Document
}

// ending is something a call rested on that has ended.
type ending struct {
	what   string // "The permission of the app", "The user" …
	did    string // "was revoked", "was disabled"
	at     time.Time
	reason string // in words; may be empty
	by     string // may be empty
}

// stop is a stop of the kill switch that was on about the time of a call.
type stop struct {
	ID        string
	Kind      policy.StopKind
	Value     string
	Reason    string
	CreatedAt time.Time
	CreatedBy string
	LiftedAt  *time.Time
	LiftedBy  string
}

// evidence is what the issuer knows about a call besides its record.
type evidence struct {
	inForce *published // the revision the call names; nil when it was never published
	then    *published // the newest at the time of the call
	now     *published // the newest
	endings []ending
	stops   []stop
	grant   *grant // that the call names; nil when there is none of this server
}

// grant is what the issuer knows of a grant.
type grant struct {
	user, organization, client string
	scopes                     []string
	revoked                    bool
}

// tolerance is how far clocks may be apart, and how long the news may take.
const tolerance = 30 * time.Second

// Explain says why a call was allowed or denied, by deciding it again from the policy revision it names, and whether that comes
// out as it was reported. Errors: errs.NotFound, errs.Forbidden.
func (l *Log) Explain(ctx context.Context, id string) (Explanation, error) {
	sc, err := readable(ctx)
	if err != nil {
		return Explanation{}, err
	}
	c, err := l.get(ctx, sc, id)
	if err != nil {
		return Explanation{}, err
	}
	e, err := l.loadEvidence(ctx, sc, c)
	if err != nil {
		return Explanation{}, err
	}
	return explain(c, e), nil
}

// explain decides.
func explain(c Call, e evidence) Explanation {
	x := Explanation{Call: c, Decision: c.Decision(), Standing: Confirmed}
	if e.inForce != nil {
		x.Revision = &e.inForce.Revision
	}
	switch c.Reason {
	case policy.ReasonRevoked:
		x.explainRevoked(e)
	case policy.ReasonStopped:
		x.explainStopped(e)
	default:
		x.explainPolicy(e)
	}
	x.checkGrant(e.grant)
	x.addRevisions(e)
	return x
}

func (x *Explanation) doubt(s Standing, sentence string) {
	if s == Contradicted || x.Standing == Confirmed {
		x.Standing = s
	}
	x.Doubts = append(x.Doubts, sentence)
}

// noFit is said of a record whose parts cannot be true together.
const noFit = "The reason and the outcome that were reported do not fit together."

// checkGrant holds who is said to have called to the grant that is said to have allowed it. Whoever has the server's credential
// can report what it likes.
func (x *Explanation) checkGrant(g *grant) {
	c := x.Call
	if c.Proof == calls.ProofLegacy {
		return // who stands behind a key is known at the gate alone
	}
	if g == nil {
		x.doubt(Unconfirmed, "The grant that the token is said to belong to is not known here.")
		return
	}
	var of []string
	for _, part := range [...]struct{ reported, known, word string }{
		{c.User, g.user, "user"}, {c.Client, g.client, "app"}, {c.Organization, g.organization, "organization"},
	} {
		if part.reported != part.known {
			of = append(of, "another "+part.word)
		}
	}
	if len(of) > 0 {
		x.doubt(Contradicted, "The grant that the token is said to belong to is that of "+strings.Join(of, " and ")+".")
	}
	beyond := slices.DeleteFunc(slices.Clone(c.Scopes), func(s string) bool { return slices.Contains(g.scopes, s) })
	if len(beyond) > 0 {
		x.doubt(Unconfirmed, "The token is said to have carried what its grant does not hold: "+
			Shown(strings.Join(beyond[:min(len(beyond), 8)], ", "))+".")
	}
}

// explainRevoked looks for what had ended.
func (x *Explanation) explainRevoked(e evidence) {
	x.Why = "Denied, because what the access rested on had been taken back."
	x.Fix = "The user can connect the app again, if that is wanted."
	x.checkDenied()
	found := false
	for _, end := range e.endings {
		if !end.at.After(x.Call.At.Add(tolerance)) {
			x.Facts, found = append(x.Facts, end.sentence()), true
		}
	}
	if !found {
		x.doubt(Unconfirmed,
			"Nothing that this call rested on is revoked or disabled here. It may have been disabled then and enabled since.")
	}
}

// checkDenied holds the outcome to a reason that lets nothing through, in no mode.
func (x *Explanation) checkDenied() {
	if x.Call.Allowed || x.Call.Shadowed {
		x.Why = plainWhy(x.Call)
		x.doubt(Contradicted, noFit)
	}
}

// explainStopped looks for the stop that was on.
func (x *Explanation) explainStopped(e evidence) {
	x.Why = "Denied, because an administrator had stopped it."
	x.checkDenied()
	for _, s := range e.stops {
		x.StopID = s.ID
		x.Facts = append(x.Facts, s.sentence(x.Call))
		if s.LiftedAt == nil {
			x.Fix = "An owner or admin can lift the stop."
		} else {
			x.Fix = "Nothing to do: the stop has been lifted."
		}
	}
	if len(e.stops) == 0 {
		x.doubt(Contradicted, "No stop was on at that time that could have denied this call.")
	}
}

// explainPolicy decides again from the revision in force.
func (x *Explanation) explainPolicy(e evidence) {
	c := x.Call
	if e.inForce == nil {
		x.Why = plainWhy(c)
		x.doubt(Contradicted, x.unknownRevision())
		x.missed(e)
		return
	}
	again := judgeAgain(e.inForce.document, c)
	x.describe(e, again)
	shadow := e.inForce.document.Mode == policy.ModeShadow && inPolicy(again.Reason)
	reported := string(c.Reason)
	switch {
	case again.Reason != c.Reason:
		x.doubt(Contradicted, "The resource side says "+quoted(reported)+"; decided again, revision "+number(c.Revision)+
			" says "+quoted(string(again.Reason))+".")
	case c.Shadowed && !shadow:
		x.doubt(Contradicted, "The call was let through as in shadow mode, but revision "+number(c.Revision)+
			" is not in shadow mode.")
	case c.Allowed != (again.Allowed || shadow):
		x.doubt(Contradicted, noFit)
	case !again.Allowed && !sameScopes(again.Missing, c.Missing):
		x.doubt(Contradicted, "The resource side reports other missing permissions than revision "+number(c.Revision)+
			" asks for.")
	}
	x.missed(e)
}

// missed finds what should have denied a call that was not denied for it.
func (x *Explanation) missed(e evidence) {
	c := x.Call
	decided := c.decidedAt()
	heard := decided.Add(-time.Duration(max(c.Silence, 0)) * time.Second)
	late := func(at time.Time, sentence string) {
		switch {
		case at.After(decided):
		case at.Before(heard.Add(-tolerance)):
			x.doubt(Contradicted, sentence+
				" That was before the call, and the resource side says it had heard from the issuer since.")
		default:
			x.Facts = append(x.Facts, sentence+" The resource side had last heard from the issuer "+seconds(c.Silence)+
				" before the call, so it did not know yet.")
		}
	}
	for _, end := range e.endings {
		late(end.at, end.sentence())
	}
	for _, s := range e.stops {
		switch lifted := s.LiftedAt; {
		case lifted == nil || lifted.After(decided.Add(tolerance)):
			late(s.CreatedAt, s.sentence(c))
		case lifted.After(decided): // or just before: clocks are not that exact
			x.Facts = append(x.Facts, s.sentence(c))
		}
	}
}

// addRevisions says which revision it was, and what others would have said.
func (x *Explanation) addRevisions(e evidence) {
	c := x.Call
	if e.inForce != nil {
		x.Facts = append(x.Facts,
			"Revision "+number(c.Revision)+" was in force, published "+day(e.inForce.PublishedAt)+by(e.inForce.PublishedBy)+".")
		if e.inForce.PublishedAt.After(c.At.Add(tolerance)) {
			x.doubt(Contradicted, "Revision "+number(c.Revision)+" was published only after the call.")
		}
	}
	if e.then != nil && e.then.Number > c.Revision && c.Revision > 0 {
		x.Facts = append(x.Facts, "Revision "+number(e.then.Number)+" had been published "+ago(c.decidedAt().Sub(e.then.PublishedAt))+
			" before the call and had not arrived there.")
	}
	if e.now == nil || e.inForce == nil || e.now.Number == c.Revision || !inPolicy(c.Reason) && c.Reason != policy.ReasonAllowed {
		return
	}
	today := judgeAgain(e.now.document, c)
	if today.Allowed == (c.Reason == policy.ReasonAllowed) {
		return
	}
	would := "denied"
	if today.Allowed {
		would = "allowed"
	}
	x.Facts = append(x.Facts, "With revision "+number(e.now.Number)+", published since, the same call would be "+would+".")
}

// judgeAgain decides with what the record says and an empty feed.
func judgeAgain(doc *policy.Document, c Call) policy.Decision {
	compiled := policy.Compile(doc)
	s := policy.Subject{
		User: c.User, Organization: c.Organization, Client: c.Client, Host: c.Host, Grant: c.Grant, Scopes: c.Scopes,
	}
	silence := time.Duration(c.Silence) * time.Second
	if c.Reason == policy.ReasonOutOfContact {
		silence += time.Second - 1 // whole seconds are reported: it was longer than they say
	}
	return compiled.Judge(policy.Target{Kind: c.Kind, Name: c.Tool}, s, compiled.Granted(c.Scopes), policy.Situation{
		Feed: policy.CompileFeed(nil), Silence: silence,
	})
}

// decidedAt is when a call was decided: a record is made when the answer has ended, which a stream may take long to do.
func (c Call) decidedAt() time.Time { return c.At.Add(-time.Duration(c.LatencyUS) * time.Microsecond) }

// inPolicy reports whether a denial is about the map from tools to permissions, which shadow mode lets through.
func inPolicy(r policy.Reason) bool {
	return r == policy.ReasonInsufficientScope || r == policy.ReasonUnknownTool || r == policy.ReasonUnmappedTool
}

func sameScopes(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}
