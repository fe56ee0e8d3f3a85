package pages

import (
	"github.com/ostiary/ostiary/templates/layout"
	"github.com/ostiary/ostiary/templates/ui"
)

// CallsView is the list of tool calls of an environment.
type CallsView struct {
	Shell   layout.DashboardView
	Lead    string
	Tabs    []ui.Tab
	Filters *CallFilters // nil before there is anything to filter
	Lost    *ui.Notice   // says that calls are missing
	Rows    []CallRow
	Pager   ui.Pager
	Empty   ui.Empty // said when Rows is empty
}

// CallFilters is the form above the list. It is a GET form, so that a filtered list has an address of its own.
type CallFilters struct {
	URL      string // of the unfiltered list
	Tool     ui.Field
	User     ui.Field
	Selects  []CallSelect
	Filtered bool // offers the way back to everything
}

// CallSelect is one select of the filters.
type CallSelect struct {
	Name    string
	Label   string
	Options []ui.Option
}

// CallRow is one call in the list.
type CallRow struct {
	Tool         string
	Server       string
	URL          string // its page
	Decision     ui.Health
	Reason       string // in words; empty when it was allowed
	User         string
	Organization string
	Host         string
	Took         string // "1.8 ms"
	When         string
}

// CallView is one call, and why it was allowed or denied.
type CallView struct {
	Shell     layout.DashboardView
	Title     string // "run_query was denied"
	Badge     ui.Badge
	Lead      string
	Why       string // one sentence
	Reasons   []string
	Denied    bool
	Fix       string     // who can do what about it; left out when empty
	Standing  *ui.Notice // how the report compares with what the issuer knows
	Doubts    []string
	Arguments []ui.Fact
	Facts     []ui.Fact
	More      []ui.Link // other calls like it
	Act       ui.Action // left out when its Label is empty
}
