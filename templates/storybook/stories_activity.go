package storybook

import (
	"github.com/ostiary/ostiary/templates/layout"
	"github.com/ostiary/ostiary/templates/pages"
	"github.com/ostiary/ostiary/templates/ui"
)

func activityShell(title string, crumbs ...ui.Link) layout.DashboardView {
	view := shell(title, crumbs...)
	view.Nav[0].Current, view.Nav[1].Current = false, true
	return view
}

func activityView() pages.ActivityView {
	row := func(host, client, user, reason, when string, outcome ui.Health) pages.AttemptRow {
		return pages.AttemptRow{
			Host: host, Client: client, CaseID: "OST-7Q4M2-KX9AB", URL: Prefix + "attempt", User: user, Outcome: outcome,
			Reason: reason, When: when,
		}
	}
	return pages.ActivityView{
		Shell:  activityShell("Activity", ui.Link{Label: "Activity"}),
		Lead:   "Who tried to connect to Production in the last seven days, and how it went.",
		Tabs:   activityTabs(false),
		Search: ui.Search{URL: Prefix + "activity", Label: "Find an attempt", Placeholder: "Case id, app, host or user"},
		Rows: []pages.AttemptRow{
			row("cursor.com", "Cursor", "Sample User", "The app asked for a token for another address than the user approved.",
				"22 Nov, 21:40:02 UTC", ui.Health{Tone: ui.ToneDanger, Text: "Stopped at Token"}),
			row("claude.ai", "Claude", "Sample User", "", "22 Nov, 21:31:40 UTC", ui.Health{Tone: ui.ToneSuccess, Text: "Connected"}),
			row("127.0.0.1", "Claude Code (acme)", "", "", "22 Nov, 21:30:12 UTC", ui.Health{Text: "In progress"}),
			row("vscode.dev", "Visual Studio Code", "", "", "22 Nov, 20:02:55 UTC", ui.Health{Tone: ui.ToneWarn, Text: "Not finished"}),
			row("Unknown app", "", "", "The app is not registered here, or its registration was switched off.",
				"22 Nov, 19:44:31 UTC", ui.Health{Tone: ui.ToneDanger, Text: "Stopped at Authorize"}),
		},
		Pager: ui.Pager{Summary: "5 attempts"},
	}
}

func attemptView() pages.AttemptView {
	return pages.AttemptView{
		Shell: activityShell("Cursor could not connect", ui.Link{Label: "Activity", URL: Prefix + "activity"}, ui.Link{Label: "OST-7Q4M2-KX9AB"}),
		Title: "Cursor could not connect", Badge: ui.Badge{Tone: ui.ToneDanger, Text: "Stopped at Token"},
		Lead: "One connection attempt, step by step, as Ostiary saw it.",
		Steps: []pages.AttemptStep{
			{At: "21:40:02", Title: "Metadata", Text: "Issuer metadata."},
			{At: "+0.2 s", Title: "Registration", What: "POST /register", Text: "Dynamic registration."},
			{At: "+0.4 s", Title: "Authorize", What: "GET /authorize", Text: "Asks for 3 permissions of Acme Data."},
			{At: "+0.6 s", Title: "Sign-in", Text: "Signed in with e-mail and password."},
			{At: "+9.8 s", Title: "Consent", Text: "Allowed 2 of 3 permissions."},
			{At: "+9.8 s", Title: "Return", Text: "Sent back to the app."},
			{
				At: "+14.1 s", State: pages.StepFailed, Title: "Token", What: "POST /token",
				Fail: &pages.StepFail{
					What:   "The app asked for a token for another address than the user approved.",
					Detail: "The resource differs from what was authorized.", Asked: "https://mcp.acmedata.example/mcp/v2",
					Expected: "https://mcp.acmedata.example/mcp", Icon: ui.IconPerson, Who: "You can fix it.",
					How: "If both mean the same server, add the other spelling to its aliases.",
				},
			},
		},
		Facts: []ui.Fact{
			{Label: "Attempt", Value: "OST-7Q4M2-KX9AB", Copy: true}, {Label: "Host", Value: "cursor.com"},
			{Label: "App", Value: "Cursor"}, {Label: "Client id", Value: "dyn_" + longHost, Copy: true},
			{Label: "User", Value: "Sample User"}, {Label: "E-mail", Value: "user@acmedata.example"},
			{Label: "Started", Value: "22 Nov 2026, 21:40:02 UTC"}, {Label: "Came from", Value: "2 network addresses"},
		},
	}
}

func activityStories() []Story {
	none := activityView()
	none.Rows, none.Pager = nil, ui.Pager{}
	none.Search.Value = "zzz"
	none.Empty = ui.Empty{
		Icon: ui.IconSearch, Title: "No attempt found",
		Text:   "No case id, app, host or user contains what you searched for. Attempts are kept for seven days.",
		Action: ui.Action{Label: "Show all attempts", URL: Prefix + "activity"},
	}
	start := activityView()
	start.Rows, start.Search, start.Pager = nil, ui.Search{}, ui.Pager{}
	start.Empty = ui.Empty{
		Icon: ui.IconPulse, Title: "Nobody has tried to connect yet",
		Text:   "Connect a host to one of your MCP servers. Each attempt appears here, step by step, also when it fails.",
		Action: ui.Action{Label: "See how to connect", URL: Prefix + "servers"},
	}
	long := activityView()
	long.Rows[0].Host, long.Rows[0].Client, long.Rows[0].User = longHost, longWord, longName
	long.Rows[1].Client, long.Rows[1].User = arabic, arabic
	long.Pager = ui.Pager{Summary: "21 to 25 of 25 attempts", Prev: Prefix + "activity?page=1"}
	waiting := attemptView()
	waiting.Title, waiting.Badge = longWord+" is connecting", ui.Badge{Text: "In progress"}
	waiting.Steps = append(waiting.Steps[2:3],
		pages.AttemptStep{At: "+0.2 s", State: pages.StepFailed, Title: "Sign-in", Text: "E-mail and password did not match."},
		pages.AttemptStep{At: "+8.0 s", Title: "Sign-in", Text: "Signed in with e-mail and password."},
		pages.AttemptStep{At: "+8.1 s", State: pages.StepWaiting, Title: "Consent", Text: "Consent page shown."},
		pages.AttemptStep{At: "–", State: pages.StepTodo, Title: "Token", Text: "Not reached."})
	waiting.Facts[1].Value, waiting.Facts[2].Value = longHost, longWord
	return []Story{
		page("activity", "Activity", "Full", pages.Activity(activityView())),
		page("activity-start", "Activity", "Empty", pages.Activity(start)),
		page("activity-none", "Activity", "Nothing found", pages.Activity(none)),
		page("activity-long", "Activity", "Long names, many pages", pages.Activity(long)),
		page("attempt", "Activity", "One attempt that failed", pages.Attempt(attemptView())),
		page("attempt-waiting", "Activity", "One attempt under way, long names", pages.Attempt(waiting)),
	}
}
