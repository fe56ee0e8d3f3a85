package storybook

import (
	"fmt"

	"github.com/ostiary/ostiary/templates/flow"
	"github.com/ostiary/ostiary/templates/layout"
	"github.com/ostiary/ostiary/templates/pages"
	"github.com/ostiary/ostiary/templates/ui"
)

func serverHead(current string) pages.ServerHead {
	tab := func(label, slug, count string) ui.Tab {
		return ui.Tab{Label: label, URL: Prefix + slug, Count: count, Current: label == current}
	}
	return pages.ServerHead{
		Name: "Acme Data", Address: "https://mcp.acmedata.example/mcp",
		Badges: []ui.Badge{{Tone: ui.ToneSuccess, Text: "Published"}},
		Tabs: []ui.Tab{
			tab("Overview", "server", ""), tab("Tools", "server-tools", "8"),
			tab("Permissions", "server-permissions", "4"), tab("Wording", "wording", ""),
		},
	}
}

func serverShell(tab string) layout.DashboardView {
	return shell(tab+" · Acme Data", serversCrumb(), ui.Link{Label: "Acme Data", URL: Prefix + "server"}, ui.Link{Label: tab})
}

func overviewView() pages.ServerView {
	return pages.ServerView{
		Shell: serverShell("Overview"), Head: serverHead("Overview"),
		Overview: &pages.OverviewView{
			Facts: []ui.Fact{
				{Label: "Id", Value: "res_7M2QK4X9T1", Copy: true},
				{Label: "Identifier", Value: "https://mcp.acmedata.example/mcp", Copy: true},
				{Label: "Issuer", Value: "https://auth.acmedata.example", Copy: true},
				{Label: "Tools", Value: "8, 1 of them unmapped", URL: Prefix + "server-tools"},
				{Label: "Permissions", Value: "4", URL: Prefix + "server-permissions"},
				{Label: "Published", Value: "3 Nov 2026 by Demo Editor"},
			},
			ConnectLead: "Paste one of these. The host opens the browser, and you choose what it may do.",
			Connect: []ui.Snippet{
				{Title: "Claude Code", Code: "claude mcp add --transport http acme https://mcp.acmedata.example/mcp"},
				{Title: "Cursor", Hint: "In .cursor/mcp.json", Code: "{\n  \"mcpServers\": {\n    \"acme\": { \"url\": \"https://mcp.acmedata.example/mcp\" }\n  }\n}"},
			},
			Recent: []pages.RecentRow{
				{User: "Sample User", Host: "claude.ai", May: "3 permissions", When: "just now"},
				{User: arabic, Host: "127.0.0.1", May: "1 permission", When: "22 Nov, 21:43"},
			},
		},
	}
}

func toolsView() pages.ServerView {
	perm := func(title, scope string, risk ui.Risk) []pages.ToolPermission {
		return []pages.ToolPermission{{Title: title, Scope: scope, Risk: risk, URL: Prefix + "wording"}}
	}
	return pages.ServerView{
		Shell: serverShell("Tools"), Head: serverHead("Tools"),
		Tools: &pages.ToolsView{
			Search: ui.Search{URL: Prefix + "server-tools", Label: "Find a tool", Placeholder: "Find a tool"},
			Rows: []pages.ToolRow{
				{Name: "run_query", Wording: "Run one query, up to 10,000 rows", Badges: []ui.Badge{{Text: "read-only"}}, Permissions: perm("Query your data", "data:read", ui.RiskRead)},
				{Name: "list_datasets", Wording: "List datasets and their columns", Badges: []ui.Badge{{Text: "read-only"}}, Permissions: perm("Query your data", "data:read", ui.RiskRead)},
				{Name: "route_signal", Wording: "Send one signal to a destination", Badges: []ui.Badge{{Text: "open-world"}}, Permissions: append(perm("Route signals", "signals:write", ui.RiskWrite), perm("Query your data", "data:read", ui.RiskRead)...)},
				{Name: "delete_segment", Wording: "Delete one segment for good", Badges: []ui.Badge{{Text: "destructive"}}, Permissions: perm("Delete segments", "segments:delete", ui.RiskDestructive)},
				{Name: "export_rows", Unmapped: true},
			},
			Pager: ui.Pager{Summary: "5 tools"},
		},
	}
}

func matrix() ui.Matrix {
	cols := []ui.MatrixColumn{
		{Title: "Query your data", Scope: "data:read", Risk: ui.RiskRead, URL: Prefix + "wording"},
		{Title: "Look up and analyse profiles", Scope: "profiles:read", Risk: ui.RiskRead, URL: Prefix + "wording"},
		{Title: "Route signals", Scope: "signals:write", Risk: ui.RiskWrite, URL: Prefix + "wording"},
		{Title: "Delete segments", Scope: "segments:delete", Risk: ui.RiskDestructive, URL: Prefix + "wording"},
	}
	row := func(tool, text string, on int, badges ...ui.Badge) ui.MatrixRow {
		r := ui.MatrixRow{Tool: tool, Text: text, Badges: badges, Cells: make([]ui.MatrixCell, len(cols)), Unmapped: on < 0}
		if on >= 0 {
			r.Cells[on].On = true
		}
		return r
	}
	return ui.Matrix{Columns: cols, ReadOnly: true, Rows: []ui.MatrixRow{
		row("run_query", "Run one query, up to 10,000 rows", 0, ui.Badge{Text: "read-only"}),
		row("list_datasets", "List datasets and their columns", 0, ui.Badge{Text: "read-only"}),
		row("search_accounts", "Find companies by name or trait", 1),
		row("analyze_profile", "Summarise one contact or company", 1),
		row("route_signal", "Send one signal to a destination", 2, ui.Badge{Text: "open-world"}),
		row("update_segment", "Change the rules of a saved segment", 2),
		row("delete_segment", "Delete one segment for good", 3, ui.Badge{Text: "destructive"}),
		row("export_rows", "Write query results to a file", -1),
	}}
}

func editedMatrix() ui.Matrix {
	m := matrix()
	m.ReadOnly = false
	moved := &m.Rows[5]
	moved.Changed = true
	moved.Badges = []ui.Badge{{Tone: ui.ToneAccent, Text: "Moved"}}
	moved.Cells[0].Was = true
	return m
}

func wideMatrix() ui.Matrix {
	m := matrix()
	for i := range 8 {
		c := m.Columns[i%4]
		c.Title, c.Scope = fmt.Sprintf("%s %d", c.Title, i+2), fmt.Sprintf("%s.level%d", c.Scope, i+2)
		m.Columns = append(m.Columns, c)
	}
	m.Rows[2].Tool, m.Rows[2].Text = "a_tool_name_"+longHost, longWord
	return m
}

func permissionsView(m ui.Matrix) pages.ServerView {
	return pages.ServerView{
		Shell: serverShell("Permissions"), Head: serverHead("Permissions"),
		Permissions: &pages.PermissionsView{
			Matrix: m, Search: ui.Search{URL: Prefix + "server-permissions", Label: "Find a tool", Placeholder: "Find a tool"},
			Note: "1 unmapped tool. Hosts do not see it, and every call is refused until it has a permission.", Action: posted,
		},
	}
}

func serverStories() []Story {
	fresh := overviewView()
	fresh.Overview.Recent = nil
	fresh.Overview.NoRecent = ui.Empty{
		Icon: ui.IconUsers, Title: "Nobody has connected yet", Text: "Paste one of the lines above into a host. Whoever allows it appears here.",
	}
	fresh.Shell.Flash = &layout.FlashView{Text: "Published. Live on the next consent.", Link: ui.Link{Label: "See the wording", URL: Prefix + "wording"}}
	noTools := toolsView()
	noTools.Tools = &pages.ToolsView{Empty: ui.Empty{
		Icon: ui.IconTool, Title: "This server has no tools yet", Text: "Add them to its file and apply it again.", Command: "ostiary apply acme.yaml",
	}}
	noMatrix := permissionsView(ui.Matrix{})
	noMatrix.Permissions.Note = ""
	noMatrix.Permissions.Search = ui.Search{}
	noMatrix.Permissions.Empty = ui.Empty{
		Icon: ui.IconLock, Title: "No permission yet", Text: "Until a permission allows them, all 8 tools are hidden from hosts and every call is refused.",
		Command: "ostiary apply acme.yaml",
	}
	edited := permissionsView(editedMatrix())
	edited.Permissions.Save = "Publish 1 change"
	edited.Alerts = []ui.Notice{{
		Tone: ui.ToneAccent, What: "Draft: 1 tool moved.", Then: "Publishing asks 14 of 212 users to confirm Route signals the next time they use that tool. Nobody is signed out.",
	}}
	return []Story{
		page("server", "MCP server", "Overview", pages.Server(overviewView())),
		page("server-fresh", "MCP server", "Overview, nobody connected, just saved", pages.Server(fresh)),
		page("server-tools", "MCP server", "Tools", pages.Server(toolsView())),
		page("server-tools-none", "MCP server", "Tools, none", pages.Server(noTools)),
		page("server-permissions", "MCP server", "Permissions, read-only", pages.Server(permissionsView(matrix()))),
		page("server-permissions-edit", "MCP server", "Permissions, being edited", pages.Server(edited)),
		page("server-permissions-wide", "MCP server", "Permissions, more than fit", pages.Server(permissionsView(wideMatrix()))),
		page("server-permissions-none", "MCP server", "Permissions, none", pages.Server(noMatrix)),
	}
}

func wordingView() pages.WordingView {
	preview := consentView()
	preview.SwitchURL = posted
	preview.Groups[1].Permissions[0].Edited = true
	sh := serverShell("Wording")
	sh.Live, sh.BrandURL = true, Prefix+"brand.css"
	item := func(p flow.Permission, risk ui.Risk) pages.WordingItem {
		return pages.WordingItem{Title: p.Title, Scope: p.Scope, Risk: risk, URL: Prefix + "wording", Current: p.Scope == "signals:write"}
	}
	return pages.WordingView{
		Shell: sh, Head: serverHead("Wording"), Scope: "signals:write", Risk: ui.RiskWrite, Action: posted, PreviewURL: Prefix + "preview",
		Permissions: []pages.WordingItem{
			item(queryData(), ui.RiskRead), item(profiles(), ui.RiskRead), item(routeSignals(), ui.RiskWrite), item(deleteSegments(), ui.RiskDestructive),
		},
		Title:       ui.Field{Name: "title", Label: "Title", Value: "Route signals", Max: 40, Hint: "Completes the sentence “Allow Claude to …”", Required: true},
		Description: ui.Field{Name: "description", Label: "What happens if I say yes", Rows: 3, Max: 140, Hint: "Two lines at most on a phone.", Value: "Send signals to Salesforce and Slack, where other people will see them."},
		Warning:     ui.Field{Name: "warning", Label: "Warning", Max: 100, Hint: "Only if something cannot be undone or reaches other people."},
		Tools: []ui.Field{
			{Name: "tool.route_signal", Label: "route_signal", Value: "Send one signal to a destination"},
			{Name: "tool.update_segment", Label: "update_segment", Value: "Change the rules of a saved segment"},
		},
		Hints: []pages.Hint{
			{OK: true, What: "Starts with a verb, in words a customer uses"},
			{What: "Says nothing about segments.", Then: "update_segment changes saved segments."},
		},
		Save: "Publish wording", Discard: ui.Link{Label: "Discard", URL: Prefix + "wording"}, Revision: "12",
		Foot: "Last published 3 Nov by Demo Editor", PreviewHost: "auth.acmedata.example", Preview: preview,
	}
}

func wordingStories() []Story {
	wrong := wordingView()
	wrong.Edited = true
	wrong.Title.Value, wrong.Title.Error = "", "Write a title. People read it first."
	wrong.Description.Value = longWord + " " + longName + " " + longWord
	wrong.Description.Error = "Make it shorter: 140 characters at most."
	wrong.Tools[0].Error = "Write what this tool does."
	wrong.Alerts = []ui.Notice{{Tone: ui.ToneDanger, What: "Not saved yet.", Then: "3 fields need a change; what you wrote is below."}}
	long := wordingView()
	long.Preview = longView()
	long.Scope = "a-very-long-scope:" + longHost
	for i := range long.Permissions {
		long.Permissions[i].Title += " " + longWord
	}
	long.Tools[0].Label, long.Tools[0].Value = "a_tool_name_"+longHost, longWord
	return []Story{
		page("wording", "Wording", "One permission", pages.Wording(wordingView())),
		page("wording-wrong", "Wording", "Fields in error", pages.Wording(wrong)),
		page("wording-long", "Wording", "Long names", pages.Wording(long)),
	}
}
