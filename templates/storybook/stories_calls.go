package storybook

import (
	"github.com/ostiary/ostiary/templates/pages"
	"github.com/ostiary/ostiary/templates/ui"
)

func activityTabs(calls bool) []ui.Tab {
	return []ui.Tab{
		{Label: "Connections", URL: Prefix + "activity", Current: !calls}, {Label: "Calls", URL: Prefix + "calls", Current: calls},
	}
}

func callFilters() *pages.CallFilters {
	choose := func(name, label string, options ...string) pages.CallSelect {
		s := pages.CallSelect{Name: name, Label: label}
		for _, o := range options {
			s.Options = append(s.Options, ui.Option{Value: o, Label: o})
		}
		return s
	}
	return &pages.CallFilters{
		URL:  Prefix + "calls",
		Tool: ui.Field{Name: "tool", ID: "filter-tool", Label: "Tool", Placeholder: "run_query", Off: true},
		User: ui.Field{Name: "user", ID: "filter-user", Label: "User", Placeholder: "E-mail or id", Off: true},
		Selects: []pages.CallSelect{
			choose("server", "MCP server", "Any", "Acme Data", "Acme Billing"), choose("host", "Host", "Any", "ChatGPT", "Claude Code"),
			choose("decision", "Decision", "Any", "Allowed", "Denied", "Let through in shadow mode"),
			choose("back", "When", "Any time", "The last hour", "The last day"),
		},
	}
}

func callsView() pages.CallsView {
	row := func(tool, host, took, when, reason string, decision ui.Health) pages.CallRow {
		return pages.CallRow{
			Tool: tool, Server: "Acme Data", URL: Prefix + "call", Decision: decision, Reason: reason, User: "Sample User",
			Organization: "Northwind Logistics", Host: host, Took: took, When: when,
		}
	}
	ok, no := ui.Health{Tone: ui.ToneSuccess, Text: "Allowed"}, ui.Health{Tone: ui.ToneDanger, Text: "Denied"}
	return pages.CallsView{
		Shell: activityShell("Calls", ui.Link{Label: "Activity", URL: Prefix + "activity"}, ui.Link{Label: "Calls"}),
		Lead:  "Which app called which tool for whom in Production, and how it was decided.",
		Tabs:  activityTabs(true), Filters: callFilters(),
		Rows: []pages.CallRow{
			row("run_query", "Claude Code", "184.2 ms", "22 Nov, 21:42:10 UTC", "", ok),
			row("route_signal", "Claude Code", "0.2 ms", "22 Nov, 21:42:02 UTC", "Permission missing", no),
			row("delete_segment", "ChatGPT", "0.1 ms", "22 Nov, 21:40:55 UTC", "Stopped", no),
			row("export_all", "Not verified", "96.0 ms", "22 Nov, 21:31:40 UTC", "Unknown tool", ui.Health{Tone: ui.ToneWarn, Text: "Let through"}),
			row("search_accounts", "Visual Studio Code", "38.7 ms", "22 Nov, 21:30:12 UTC", "", ok),
		},
		Pager: ui.Pager{Summary: "22 Nov, 21:30:12 UTC to 22 Nov, 21:42:10 UTC", Next: Prefix + "calls"},
	}
}

func callView() pages.CallView {
	return pages.CallView{
		Shell: activityShell("route_signal was denied", ui.Link{Label: "Activity", URL: Prefix + "activity"},
			ui.Link{Label: "Calls", URL: Prefix + "calls"}, ui.Link{Label: "route_signal"}),
		Title: "route_signal was denied", Badge: ui.Badge{Tone: ui.ToneDanger, Text: "Denied"},
		Lead: "One call, decided again from the policy that was in force.",
		Why:  "Denied, because the token did not carry “Route signals” (signals:write).",
		Reasons: []string{
			"The tool route_signal needs “Route signals” (signals:write); the token carried “Query your data” (data:read).",
			"Revision 7 was in force, published on 20 Nov 2026 at 09:12:44 UTC by Demo Owner.",
		},
		Denied:   true,
		Fix:      "Sample User can allow it: the app is told what is missing and can ask for it, or connect again.",
		Standing: &ui.Notice{Tone: ui.ToneSuccess, What: "The record fits.", Then: "Decided again from what it says, it comes out the same."},
		Facts: []ui.Fact{
			{Label: "Call", Value: "call_7Q4M2KX9AB7Q4M2KX9AB7Q4M2K", Copy: true}, {Label: "When", Value: "22 Nov 2026, 21:42:02.117 UTC"},
			{Label: "MCP server", Value: "Acme Data", URL: Prefix + "server"}, {Label: "Tool", Value: "route_signal", Mono: true},
			{Label: "User", Value: "Sample User"}, {Label: "E-mail", Value: "user@acmedata.example"},
			{Label: "Organization", Value: "Northwind Logistics"}, {Label: "Host", Value: "Claude Code"},
			{Label: "Client id", Value: "https://claude.ai/oauth/client.json", Copy: true},
			{Label: "Grant", Value: "grt_7Q4M2KX9AB7Q4M2KX9AB7Q4M2K", Copy: true}, {Label: "Known by", Value: "Access token"},
			{Label: "Permissions", Value: "data:read", Mono: true}, {Label: "Missing", Value: "signals:write", Mono: true}, {Label: "Answer", Value: "HTTP 403"},
			{Label: "Took", Value: "0.2 ms"}, {Label: "Revision", Value: "7"}, {Label: "Issuer heard", Value: "3 seconds before"},
		},
		More: []ui.Link{
			{Label: "Of this tool", URL: Prefix + "calls"}, {Label: "Of this user", URL: Prefix + "calls"},
			{Label: "Of this server", URL: Prefix + "calls"}, {Label: "Of this host", URL: Prefix + "calls"},
		},
	}
}

func callStories() []Story {
	start := callsView()
	start.Filters, start.Rows, start.Pager = nil, nil, ui.Pager{}
	start.Empty = ui.Empty{
		Icon: ui.IconPulse, Title: "No call has been reported yet",
		Text: "Gates and SDKs report their calls once they have the credential of their MCP server: name one under its resource in the " +
			"tenant file, then start the gate with it.",
		Command: "ostiary gate --credential-file FILE …",
	}
	none := callsView()
	none.Rows, none.Pager = nil, ui.Pager{}
	none.Filters.Tool.Value, none.Filters.Filtered = "zzz", true
	none.Empty = ui.Empty{
		Icon: ui.IconSearch, Title: "No call found", Text: "No call that is kept fits all of these filters.",
		Action: ui.Action{Label: "Show all calls", URL: Prefix + "calls"},
	}
	gaps := callsView()
	gaps.Lost = &ui.Notice{
		Tone: ui.ToneWarn, What: "This list has gaps: 1,200 calls of the last week were lost before they could be reported.",
		Then: "Gates drop the oldest when the issuer is out of reach for long.",
	}
	gaps.Rows[0].Tool, gaps.Rows[0].Server, gaps.Rows[0].User, gaps.Rows[0].Organization = longWord, longName, longName, longName
	gaps.Rows[1].Host, gaps.Rows[1].User, gaps.Rows[1].Tool = longHost, arabic, arabic
	doubted := callView()
	doubted.Title, doubted.Badge = longWord+" was allowed", ui.Badge{Tone: ui.ToneSuccess, Text: "Allowed"}
	doubted.Why, doubted.Fix, doubted.Denied = "Allowed, says the resource side.", "", false
	doubted.Act = ui.Action{Label: "Stop this tool", URL: Prefix + "call", Icon: ui.IconStop}
	doubted.Standing = &ui.Notice{
		Tone: ui.ToneWarn, What: "The record does not fit.",
		Then: "An old gate or SDK, a clock that is wrong, or somebody who reports what did not happen.",
	}
	doubted.Doubts = []string{"The resource side says “allowed”; decided again, revision 7 says “insufficient_scope”."}
	doubted.Arguments = []ui.Fact{
		{Label: "dataset", Value: `"visits"`, Mono: true}, {Label: longWord, Value: `"` + longHost + longHost + `"`, Mono: true},
	}
	return []Story{
		page("calls", "Activity", "Calls", pages.Calls(callsView())),
		page("calls-start", "Activity", "Calls, none reported", pages.Calls(start)),
		page("calls-none", "Activity", "Calls, nothing found", pages.Calls(none)),
		page("calls-gaps", "Activity", "Calls, with gaps and long names", pages.Calls(gaps)),
		page("call", "Activity", "One call that was denied", pages.Call(callView())),
		page("call-doubted", "Activity", "One call that does not fit, with arguments", pages.Call(doubted)),
	}
}
