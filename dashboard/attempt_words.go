package dashboard

import (
	"slices"
	"time"

	"github.com/ostiary/ostiary/oauth/attemptlog"
	"github.com/ostiary/ostiary/templates/pages"
	"github.com/ostiary/ostiary/templates/ui"
)

// abandonedAfter is when an attempt that waits for its user is no longer expected to go on.
const abandonedAfter = 10 * time.Minute

const reasonDenied = "denied"

func stopped(s attemptlog.Step) bool {
	return s.Outcome == attemptlog.OutcomeRefused || s.Outcome == attemptlog.OutcomeFailed
}

// attemptTitle says who it was and how it ended.
func attemptTitle(a attemptlog.Attempt, now time.Time) string {
	who := a.ClientName
	if who == "" {
		who = a.Host
	}
	if who == "" {
		who = "An unknown app"
	}
	switch {
	case a.Last.Reason == reasonDenied:
		return who + " was not allowed"
	case stopped(a.Last):
		return who + " could not connect"
	case isConnected(a.Last):
		return who + " connected"
	case now.Sub(a.Last.At) < abandonedAfter:
		return who + " is connecting"
	}
	return who + " did not finish"
}

func isConnected(s attemptlog.Step) bool {
	return s.Outcome == attemptlog.OutcomeOK && (s.Kind == attemptlog.KindToken || s.Kind == attemptlog.KindRevoke)
}

// outcomeWords says in one or two words how far an attempt came.
func outcomeWords(last attemptlog.Step, now time.Time) ui.Health {
	switch {
	case last.Reason == reasonDenied:
		return ui.Health{Text: "Cancelled by the user"}
	case stopped(last):
		return ui.Health{Tone: ui.ToneDanger, Text: "Stopped at " + stepNames[last.Kind]}
	case isConnected(last):
		return ui.Health{Tone: ui.ToneSuccess, Text: "Connected"}
	case now.Sub(last.At) < abandonedAfter:
		return ui.Health{Text: "In progress"}
	}
	return ui.Health{Tone: ui.ToneWarn, Text: "Not finished"}
}

var stepNames = map[attemptlog.Kind]string{
	attemptlog.KindMetadata: "Metadata", attemptlog.KindRegister: "Registration", attemptlog.KindAuthorize: "Authorize",
	attemptlog.KindPage: "Page", attemptlog.KindLogin: "Sign-in", attemptlog.KindConsent: "Consent",
	attemptlog.KindCode: "Return", attemptlog.KindToken: "Token", attemptlog.KindRefresh: "Refresh",
	attemptlog.KindRevoke: "Revocation",
}

func stepTitle(s attemptlog.Step) string {
	if name, ok := stepNames[s.Kind]; ok {
		return name
	}
	return string(s.Kind)
}

var stepEndpoints = map[attemptlog.Kind]string{
	attemptlog.KindRegister: "POST /register", attemptlog.KindAuthorize: "GET /authorize", attemptlog.KindToken: "POST /token",
	attemptlog.KindRefresh: "POST /token", attemptlog.KindRevoke: "POST /revoke",
}

// stepsNotReached are the steps that would have come after the one an attempt ended at.
func stepsNotReached(last attemptlog.Step) []pages.AttemptStep {
	order := []attemptlog.Kind{
		attemptlog.KindAuthorize, attemptlog.KindLogin, attemptlog.KindConsent, attemptlog.KindToken,
	}
	kind := last.Kind
	switch kind {
	case attemptlog.KindCode:
		kind = attemptlog.KindConsent
	case attemptlog.KindPage:
		kind = attemptlog.KindAuthorize
	}
	at := slices.Index(order, kind)
	if at < 0 || last.Reason == reasonDenied {
		return nil
	}
	var out []pages.AttemptStep
	for _, k := range order[at+1:] {
		out = append(out, pages.AttemptStep{At: "–", State: pages.StepTodo, Title: stepNames[k], Text: "Not reached."})
	}
	return out
}
