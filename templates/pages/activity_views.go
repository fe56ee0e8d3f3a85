package pages

import (
	"github.com/ostiary/ostiary/templates/layout"
	"github.com/ostiary/ostiary/templates/ui"
)

// ActivityView is the list of connection attempts of an environment.
type ActivityView struct {
	Shell  layout.DashboardView
	Lead   string
	Tabs   []ui.Tab
	Search ui.Search // left out when its URL is empty
	Rows   []AttemptRow
	Pager  ui.Pager
	Empty  ui.Empty // said when Rows is empty
}

// AttemptRow is one attempt in the list.
type AttemptRow struct {
	Host    string // cursor.com
	Client  string // "Cursor", as it calls itself
	CaseID  string
	URL     string // its page
	User    string
	Outcome ui.Health
	Reason  string // in words, empty when it worked
	When    string
}

// AttemptView is one connection attempt, step by step.
type AttemptView struct {
	Shell layout.DashboardView
	Title string // "Cursor could not connect"
	Badge ui.Badge
	Lead  string
	Steps []AttemptStep
	Facts []ui.Fact
}

// StepState picks the mark of a step and the word that screen readers say for it.
type StepState string

// The states of a step. The zero value is done.
const (
	StepDone    StepState = ""
	StepWaiting StepState = "waiting"
	StepFailed  StepState = "failed"
	StepTodo    StepState = "todo" // not reached
)

// AttemptStep is one step of an attempt.
type AttemptStep struct {
	At    string // "21:40:02", then "+0.2 s"
	State StepState
	Title string // "Token"
	What  string // "POST /token"
	Text  string
	Fail  *StepFail // why it did not work; printed open
}

// StepFail says why a step did not work, what differs, who can fix it and how.
type StepFail struct {
	What     string
	Detail   string
	Asked    string // both are left out when empty
	Expected string
	Icon     string // of who can fix it
	Who      string // "You can fix it."
	How      string
}

func (s AttemptStep) class() string {
	switch s.State {
	case StepFailed:
		return "step step--fail"
	case StepWaiting, StepTodo:
		return "step step--todo"
	case StepDone:
	}
	return "step"
}

func (s AttemptStep) icon() string {
	switch s.State {
	case StepFailed:
		return ui.IconX
	case StepWaiting:
		return ui.IconClock
	case StepTodo:
		return ui.IconDash
	case StepDone:
	}
	return ui.IconCheck
}

func (s AttemptStep) word() string {
	switch s.State {
	case StepFailed:
		return "Failed"
	case StepWaiting:
		return "Waiting"
	case StepTodo:
		return "Not reached"
	case StepDone:
	}
	return "Done"
}

func (v ActivityView) hasUsers() bool {
	for _, r := range v.Rows {
		if r.User != "" {
			return true
		}
	}
	return false
}
