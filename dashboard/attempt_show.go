package dashboard

import (
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/ostiary/ostiary/app/web"
	"github.com/ostiary/ostiary/oauth/attemptlog"
	"github.com/ostiary/ostiary/templates/pages"
	"github.com/ostiary/ostiary/templates/ui"
)

// showAttempt shows one connection attempt, step by step.
func (d *Dashboard) showAttempt(c echo.Context) error {
	ctx, env := c.Request().Context(), visitOf(c).env
	steps, err := d.attempts.Find(ctx, c.Param("case"))
	if err != nil {
		return err
	}
	last := steps[len(steps)-1]
	list, _, err := d.attempts.List(ctx, attemptlog.AttemptFilter{Search: last.CaseID, Limit: 1})
	if err != nil {
		return err
	}
	a := attemptlog.Attempt{CaseID: last.CaseID, StartedAt: steps[0].At, Last: last, Host: last.Host, ClientName: last.ClientName}
	if len(list) == 1 {
		a = list[0]
	}
	title := attemptTitle(a, d.now())
	state := outcomeWords(a.Last, d.now())
	return web.Render(c, http.StatusOK, pages.Attempt(pages.AttemptView{
		Shell: d.shell(c, title, ui.Link{Label: "Activity", URL: activityURL(env)}, ui.Link{Label: a.CaseID}),
		Title: title, Badge: ui.Badge(state),
		Lead:  "One connection attempt, step by step, as Ostiary saw it.",
		Steps: append(attemptSteps(steps), stepsNotReached(a.Last)...), Facts: attemptFacts(a, steps),
	}))
}

func attemptFacts(a attemptlog.Attempt, steps []attemptlog.Step) []ui.Fact {
	facts := []ui.Fact{{Label: "Attempt", Value: a.CaseID, Copy: true}}
	add := func(label, value string) {
		if value != "" {
			facts = append(facts, ui.Fact{Label: label, Value: value})
		}
	}
	add("Host", a.Host)
	add("App", a.ClientName)
	if a.ClientID != "" {
		facts = append(facts, ui.Fact{Label: "Client id", Value: a.ClientID, Copy: true})
	}
	add("User", a.UserName)
	add("E-mail", a.UserEmail)
	add("Started", a.StartedAt.UTC().Format("2 Jan 2006, 15:04:05 UTC"))
	add("Came from", machines(steps))
	for _, s := range slices.Backward(steps) {
		if s.Kind == attemptlog.KindToken || s.Kind == attemptlog.KindRegister {
			add("App agent", s.Agent)
			break
		}
	}
	return facts
}

// machines says how many network addresses took part: an app that runs on a server has another than the user's browser.
func machines(steps []attemptlog.Step) string {
	seen := map[string]bool{}
	for _, s := range steps {
		if s.Address != "" {
			seen[s.Address] = true
		}
	}
	switch len(seen) {
	case 0:
		return ""
	case 1:
		return "1 network address"
	}
	return strconv.Itoa(len(seen)) + " network addresses"
}

func attemptSteps(steps []attemptlog.Step) []pages.AttemptStep {
	start := steps[0].At
	out := make([]pages.AttemptStep, 0, len(steps))
	for n, s := range steps {
		view := pages.AttemptStep{At: s.At.Format(time.TimeOnly), Title: stepTitle(s), What: stepEndpoints[s.Kind], Text: s.Detail}
		if since := s.At.Sub(start); n > 0 && since < time.Minute {
			view.At = "+" + strconv.FormatFloat(since.Seconds(), 'f', 1, 64) + " s"
		}
		switch {
		case stopped(s) && n == len(steps)-1:
			view.State, view.Text, view.Fail = pages.StepFailed, "", failOf(s)
		case stopped(s):
			view.State, view.Text = pages.StepFailed, attemptlog.Explain(s).What
		case s.Outcome == attemptlog.OutcomeWaiting && n == len(steps)-1:
			view.State = pages.StepWaiting
		}
		out = append(out, view)
	}
	return out
}

func failOf(s attemptlog.Step) *pages.StepFail {
	e := attemptlog.Explain(s)
	fail := &pages.StepFail{What: e.What, Detail: s.Detail, Asked: s.Asked, Expected: s.Expected, How: e.How}
	switch e.Who {
	case attemptlog.FixerMember:
		fail.Icon, fail.Who = ui.IconPerson, "You can fix it."
	case attemptlog.FixerUser:
		fail.Icon, fail.Who = ui.IconUsers, "The person who is connecting can fix it."
	case attemptlog.FixerOperator:
		fail.Icon, fail.Who = ui.IconServer, "The operator of this Ostiary can fix it."
	case attemptlog.FixerApp:
		fail.Icon, fail.Who = ui.IconClient, "The makers of the app can fix it."
	}
	return fail
}
