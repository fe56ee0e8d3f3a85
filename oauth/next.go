package oauth

import (
	"slices"
	"time"
)

// Step is what happens next in an interaction.
type Step uint8

const (
	StepRefuse  Step = iota // answer the client with an error
	StepLogin               // ask who the user is
	StepConsent             // ask the user what to allow
	StepIssue               // answer the client with a code
)

// facts is what the decision needs to know, gathered beforehand.
type facts struct {
	now       time.Time
	session   *Session // nil: nobody is signed in here
	consent   *Consent // nil: nothing is remembered for this user, client and resource
	local     bool     // the answer goes to a program on the user's device, which nobody can check
	requested []string // scopes, limited to what the resource offers
}

// next decides the next step. It is the only place that does; every step returns here. The string is the OAuth error code
// when the step is StepRefuse.
func next(in Interaction, f facts) (Step, string) {
	if f.session == nil || mustLoginAgain(in, f) {
		if in.Prompt == promptNone {
			return StepRefuse, "login_required"
		}
		return StepLogin, ""
	}
	if mustAsk(in, f) {
		if in.Prompt == promptNone {
			return StepRefuse, "consent_required"
		}
		return StepConsent, ""
	}
	return StepIssue, ""
}

// mustLoginAgain honours prompt=login, max_age and id_token_hint (OpenID Connect Core §3.1.2.1), once per interaction: who
// then signs in is the user's choice, and the id_token says who it was.
func mustLoginAgain(in Interaction, f facts) bool {
	fresh := !in.LoggedInAt.IsZero() && !f.session.AuthTime.Before(in.LoggedInAt.Truncate(time.Second))
	if fresh {
		return false
	}
	if in.prompts(promptLogin) || (in.Subject != "" && in.Subject != f.session.User.ID) {
		return true
	}
	return in.MaxAge >= 0 && f.now.Sub(f.session.AuthTime) > time.Duration(in.MaxAge)*time.Second
}

// mustAsk reports whether the user has to decide. A remembered consent is not used for a client that lives on the user's
// machine only: anything there can pretend to be it (RFC 8252 §8.6).
func mustAsk(in Interaction, f facts) bool {
	if in.prompts(promptConsent) || f.local || f.consent == nil {
		return true
	}
	return slices.ContainsFunc(f.requested, func(s string) bool {
		return !isSilentScope(s) && !slices.Contains(f.consent.Scopes, s)
	})
}
