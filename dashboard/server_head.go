package dashboard

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/ostiary/ostiary/app/policy"
	"github.com/ostiary/ostiary/templates/layout"
	"github.com/ostiary/ostiary/templates/pages"
	"github.com/ostiary/ostiary/templates/ui"
	"github.com/ostiary/ostiary/tenants"
)

// The tabs of a server's page.
const (
	tabOverview    = ""
	tabTools       = "tools"
	tabPermissions = "permissions"
	tabWording     = "wording"
)

// serverPage is what every page about one MCP server shows.
type serverPage struct {
	visit  *visit
	status tenants.DraftStatus
	tab    string
}

// loadServer reads the server in the URL.
func (d *Dashboard) loadServer(c echo.Context, tab string) (serverPage, error) {
	status, err := d.resources.Draft(c.Request().Context(), c.Param("server"))
	return serverPage{visit: visitOf(c), status: status, tab: tab}, err
}

func (p serverPage) server() tenants.Resource { return p.status.Draft.Resource }

func (p serverPage) url(parts ...string) string {
	return strings.Join(append([]string{serverURL(p.visit.env, p.server().ID)}, parts...), "/")
}

func (p serverPage) canEdit() bool { return tenants.CanEdit(p.visit.member.Role) }

// crumbs end with the tab, or with the server itself.
func (p serverPage) crumbs(last string) []ui.Link {
	crumbs := []ui.Link{{Label: "MCP servers", URL: serversURL(p.visit.env)}, {Label: p.server().Name, URL: p.url()}}
	if last == "" {
		return crumbs
	}
	return append(crumbs, ui.Link{Label: last})
}

func (d *Dashboard) serverShell(c echo.Context, p serverPage, last string) layout.DashboardView {
	title := p.server().Name
	if last != "" {
		title = last + " · " + title
	}
	return d.shell(c, title, p.crumbs(last)...)
}

func (p serverPage) head() pages.ServerHead {
	draft := p.status.Draft
	head := pages.ServerHead{
		Name: draft.Resource.Name, Address: draft.Resource.Identifier, Badges: p.badges(),
		Tabs: []ui.Tab{
			{Label: "Overview", URL: p.url(), Current: p.tab == tabOverview},
			{Label: "Tools", URL: p.url(tabTools), Count: strconv.Itoa(len(draft.Tools)), Current: p.tab == tabTools},
			{
				Label: "Permissions", URL: p.url(tabPermissions), Count: strconv.Itoa(len(draft.Scopes)),
				Current: p.tab == tabPermissions,
			},
		},
	}
	if len(draft.Scopes) > 0 {
		head.Tabs = append(head.Tabs, ui.Tab{Label: "Wording", URL: p.url(tabWording), Current: p.tab == tabWording})
	}
	if p.tab != tabWording { // whose primary button saves
		head.Primary = p.publish()
	}
	return head
}

func (p serverPage) badges() []ui.Badge {
	r := p.server()
	var badges []ui.Badge
	if r.Revision == 0 {
		badges = append(badges, ui.Badge{Text: "Not published"})
	} else {
		badges = append(badges, ui.Badge{Tone: ui.ToneSuccess, Text: "Revision " + strconv.Itoa(r.Revision)})
	}
	if r.Mode == "shadow" {
		badges = append(badges, ui.Badge{Tone: ui.ToneWarn, Text: "Shadow: nothing is refused"})
	}
	if n := p.status.Draft.Unmapped(); n > 0 {
		badges = append(badges, ui.Badge{Tone: ui.ToneWarn, Text: count(n, "unmapped tool")})
	}
	return badges
}

// publish is the button that says how much it changes. It sends which draft was on the screen.
func (p serverPage) publish() ui.Action {
	n := len(p.status.Changes)
	if !p.canEdit() || n == 0 && p.server().Revision > 0 {
		return ui.Action{}
	}
	label := "Publish " + count(n, "change")
	if p.server().Revision == 0 {
		label = "Publish"
	}
	return ui.Action{
		Label: label, URL: p.url("publish"), Post: true, Hidden: []ui.Hidden{{Name: fieldDraft, Value: p.status.Version}},
	}
}

// alerts says what is in the draft, before the button that publishes it.
func (p serverPage) alerts() []ui.Notice {
	var alerts []ui.Notice
	if !p.canEdit() {
		alerts = append(alerts, ui.Notice{
			What: "You can look at this, not change it.", Then: "An owner or admin of the workspace can change your role.",
		})
	}
	changes := p.status.Changes
	switch {
	case p.server().Revision == 0:
		alerts = append(alerts, ui.Notice{
			Tone: ui.ToneAccent, What: "Not published yet.", Then: "Hosts cannot connect to this server until it is.",
		})
	case len(changes) > 0:
		n := ui.Notice{
			Tone: ui.ToneAccent, What: "Draft: " + summary(changes) + ".", Then: first(changes, 3) + " Nobody is signed out.",
		}
		if p.tab == tabWording {
			n.Action = p.publish()
		}
		alerts = append(alerts, n)
	}
	return alerts
}

// summary counts changes by kind: "1 wording edited, 2 tools moved".
func summary(changes []tenants.Change) string {
	counts := map[tenants.ChangeKind]int{}
	for _, c := range changes {
		counts[c.Kind]++
	}
	var parts []string
	for _, kind := range []struct {
		kind      tenants.ChangeKind
		one, many string
	}{
		{tenants.ChangeServer, "1 server setting changed", "%d server settings changed"},
		{tenants.ChangeScope, "1 permission changed", "%d permissions changed"},
		{tenants.ChangeWording, "1 wording edited", "%d wordings edited"},
		{tenants.ChangeTool, "1 tool changed", "%d tools changed"},
		{tenants.ChangeMap, "1 tool moved", "%d tools moved"},
	} {
		switch n := counts[kind.kind]; n {
		case 0:
		case 1:
			parts = append(parts, kind.one)
		default:
			parts = append(parts, fmt.Sprintf(kind.many, n))
		}
	}
	return strings.Join(parts, ", ")
}

// first lists the first changes and says how many more there are.
func first(changes []tenants.Change, n int) string {
	var lines []string
	for _, c := range changes[:min(n, len(changes))] {
		lines = append(lines, c.String())
	}
	text := strings.Join(lines, "; ")
	if more := len(changes) - n; more > 0 {
		text += fmt.Sprintf("; and %d more", more)
	}
	return text + "."
}

// wasNeeded reports whether the published revision maps the tool to the permission.
func (p serverPage) wasNeeded(t tenants.Tool, permission string) bool {
	if p.status.Published == nil {
		return false
	}
	doc := p.status.Published.Document
	list := doc.Tools
	switch t.Kind {
	case policy.TargetPrompt:
		list = doc.Prompts
	case policy.TargetContent:
		list = doc.Contents
	case policy.TargetTool:
	}
	return slices.Contains(list[t.Name].Scopes, permission)
}

// kindBadges says what an entry is that is not a tool.
func kindBadges(t tenants.Tool) []ui.Badge {
	switch t.Kind {
	case policy.TargetPrompt:
		return []ui.Badge{{Text: "Prompt"}}
	case policy.TargetContent:
		return []ui.Badge{{Text: "Content"}}
	case policy.TargetTool:
	}
	return nil
}
