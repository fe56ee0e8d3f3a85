package pages

import (
	"github.com/ostiary/ostiary/templates/layout"
	"github.com/ostiary/ostiary/templates/ui"
)

// StopsView is the kill switch of an environment: what is stopped, and what was.
type StopsView struct {
	Shell  layout.DashboardView
	Lead   string
	New    ui.Action // left out when its Label is empty
	Live   []StopRow
	Pager  ui.Pager // of Live
	Empty  ui.Empty // said when Live is empty
	Lifted []StopRow
	Older  string // said when not all that was lifted is listed
}

// StopRow is one stop in a list.
type StopRow struct {
	Kind   string // "Tool"
	Name   string // "run_query", "ada@example.com"
	Detail string // the server of a tool
	ID     string // of a user or an organization, to copy
	Mono   bool   // for what a machine reads
	Reason string
	Since  string
	By     string
	Ended  string    // when and by whom it was lifted
	Lift   ui.Action // left out when its Label is empty
}

// StopFormView asks what to stop. Which fields there are depends on the kind, which the tabs choose.
type StopFormView struct {
	Shell   layout.DashboardView
	Lead    string
	Kinds   []ui.Tab
	Kind    string // sent along
	Action  string
	Servers []ui.Option // left out when there is none
	NoSuch  string      // what is wrong with the server
	Value   *ui.Field
	Reason  ui.Field
	Cancel  ui.Link
}

// StopConfirmView says what a stop would hold, before anybody acts.
type StopConfirmView struct {
	Shell   layout.DashboardView
	Title   string // "Stop run_query?"
	Lead    string
	Numbers []ui.Fact
	Notice  *ui.Notice // it is stopped already
	Action  string
	Hidden  []ui.Hidden
	Stop    string // the button: says for how many; left out when empty
	Cancel  ui.Link
}
