package pages

import (
	"github.com/ostiary/ostiary/templates/flow"
	"github.com/ostiary/ostiary/templates/layout"
	"github.com/ostiary/ostiary/templates/ui"
)

// MemberSignInView is the dashboard's sign-in. The form sends email, password and next.
type MemberSignInView struct {
	Action        string // a path on this host
	Next          string // hidden, where to go afterwards; left out when empty
	Email         string
	Error         *ui.Notice
	EmailError    string
	PasswordError string
	Hint          *ui.Notice // the demo sign-in, in development
}

// ServersView is the list of MCP servers of an environment.
type ServersView struct {
	Shell  layout.DashboardView
	Lead   string    // "The servers Ostiary guards in development."
	Add    ui.Action // "Add MCP server"; left out when its Label is empty
	Alerts []ui.Notice
	Search ui.Search // left out when its URL is empty
	Rows   []ServerRow
	Pager  ui.Pager
	Found  *ui.Empty     // said when a search found nothing
	Start  *ServersStart // said when there is no server at all
}

// ServerRow is one MCP server in the list. A column that is empty in every row is not shown.
type ServerRow struct {
	Name        string
	URL         string // its page
	Address     string // https://mcp.acme.example/mcp, with a copy button
	Health      ui.Health
	Badges      []ui.Badge
	Tools       string
	Permissions string
	Users       string
	LastUse     string
}

// ServersStart is the first screen of an environment without a server. With AddURL it shows a form that posts the field
// url; otherwise Command with a copy button.
type ServersStart struct {
	Title   string
	Text    string
	AddURL  string
	AddHint string
	Value   string
	Error   string
	Command ui.Snippet
	Steps   []ui.Fix // "What happens next"
}

// ServerHead is the head of every page about one MCP server.
type ServerHead struct {
	Name    string
	Address string // with a copy button
	Badges  []ui.Badge
	Tabs    []ui.Tab
	Primary ui.Action // left out when its Label is empty
	Other   ui.Action
}

// ServerView is one MCP server. Exactly one of Overview, Tools and Permissions is set.
type ServerView struct {
	Shell       layout.DashboardView
	Head        ServerHead
	Alerts      []ui.Notice
	Overview    *OverviewView
	Tools       *ToolsView
	Permissions *PermissionsView
}

// OverviewView is the first tab: what this server is and how to connect to it.
type OverviewView struct {
	Facts        []ui.Fact
	Connect      []ui.Snippet
	ConnectTitle string // heading over the snippets, "Connect a host" when empty
	ConnectLead  string // one line under it
	Recent       []RecentRow
	NoRecent     ui.Empty
}

// RecentRow is one line of "Who connected": a user, with what, when.
type RecentRow struct {
	User string
	Host string
	May  string // "3 permissions"
	When string
}

// ToolsView is the second tab.
type ToolsView struct {
	Search ui.Search
	Rows   []ToolRow
	Pager  ui.Pager
	Empty  ui.Empty // said when Rows is empty
}

// ToolRow is one tool.
type ToolRow struct {
	Name        string
	Wording     string
	Badges      []ui.Badge // annotations: "read-only", "destructive", "open-world"
	Permissions []ToolPermission
	Unmapped    bool // no permission: hosts do not see it and every call is refused
}

// ToolPermission is a permission that allows a tool.
type ToolPermission struct {
	Title string
	Scope string
	Risk  ui.Risk
	URL   string // its wording
}

// PermissionsView is the third tab: which permission each tool needs.
type PermissionsView struct {
	Matrix ui.Matrix
	Search ui.Search
	Note   string    // at the foot: "1 unmapped tool. Hosts do not see it …"
	Add    ui.Action // left out when its Label is empty
	Empty  ui.Empty  // said when the matrix has no row or no column
	Action string    // where the matrix posts when it is not read-only
	Save   string    // label of the button then
}

// WordingView edits what people read about one permission, beside the page they will see. The form sends title,
// description, warning and one field per tool; PreviewURL takes the same fields and answers with Preview.
type WordingView struct {
	Shell       layout.DashboardView
	Head        ServerHead
	Alerts      []ui.Notice
	Permissions []WordingItem // all permissions of the server, to choose from
	Scope       string
	Risk        ui.Risk
	RiskLabel   string // "Change"
	RiskHint    string
	Edited      bool
	Action      string // a path on this host
	PreviewURL  string // a path on this host
	Revision    string // hidden, so that a save over somebody else's can be told; left out when empty
	Title       ui.Field
	Description ui.Field
	Warning     ui.Field
	Tools       []ui.Field // one per tool, Label is the tool's name
	Hints       []Hint
	Save        string // "Publish wording"
	Discard     ui.Link
	Foot        string // "Last published 3 Nov by Demo Editor"
	PreviewHost string // in the drawn address bar: "auth.acmedata.example"
	Preview     flow.ConsentView
}

// WordingItem is one entry of the list of permissions.
type WordingItem struct {
	Title   string
	Scope   string
	Risk    ui.Risk
	URL     string
	Current bool
	Badge   ui.Badge // "Edited"; left out when empty
}

// Hint is one line of "Reads well?".
type Hint struct {
	OK   bool
	What string
	Then string
}

// ErrorView is the dashboard's error page. Shell is nil when nobody is signed in.
type ErrorView struct {
	Shell     *layout.DashboardView
	Title     string
	Lead      string
	Fixes     []ui.Fix
	Primary   ui.Action
	Secondary ui.Action
	Facts     []ui.Fact
	CaseID    string
	When      string
}
