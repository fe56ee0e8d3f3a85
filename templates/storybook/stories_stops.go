package storybook

import (
	"github.com/ostiary/ostiary/templates/layout"
	"github.com/ostiary/ostiary/templates/pages"
	"github.com/ostiary/ostiary/templates/ui"
)

func stopsShell(title string, crumbs ...ui.Link) layout.DashboardView {
	view := shell(title, crumbs...)
	for i := range view.Nav {
		view.Nav[i].Current = view.Nav[i].Label == "Kill switch"
	}
	return view
}

func stopsCrumb() ui.Link { return ui.Link{Label: "Kill switch", URL: Prefix + "stops"} }

func stopsView() pages.StopsView {
	lift := ui.Action{Label: "Lift", URL: posted, Post: true}
	return pages.StopsView{
		Shell: stopsShell("Kill switch", ui.Link{Label: "Kill switch"}),
		Lead: "What an administrator holds in Production. Calls are refused within seconds, at every MCP server; sign-ins and " +
			"connections stay.",
		New: ui.Action{Label: "Stop something", URL: Prefix + "stop-form"},
		Live: []pages.StopRow{
			{
				Kind: "Tool", Name: "route_signal", Detail: "Acme Data", Mono: true, Reason: "Sends signals twice.",
				Since: "22 Nov 2026, 21:40 UTC", By: "Demo Owner", Lift: lift,
			},
			{Kind: "Host", Name: "ChatGPT", Detail: "chatgpt", Since: "22 Nov 2026, 20:12 UTC", By: "the command line", Lift: lift},
			{
				Kind: "User", Name: "user@acmedata.example", ID: "usr_7Q4M2KX9AB7Q4M2KX9AB7Q4M2K", Reason: "Lost laptop.",
				Since: "22 Nov 2026, 19:03 UTC", By: "Demo Owner", Lift: lift,
			},
		},
		Pager: ui.Pager{Summary: "3 stops"},
		Lifted: []pages.StopRow{{
			Kind: "MCP server", Name: "Warehouse", Reason: "Maintenance.", Since: "21 Nov 2026, 08:00 UTC", By: "Demo Owner",
			Ended: "21 Nov 2026, 09:30 UTC, Demo Owner",
		}},
	}
}

func stopForm() pages.StopFormView {
	tab := func(label string, current bool) ui.Tab {
		return ui.Tab{Label: label, URL: Prefix + "stop-form", Current: current}
	}
	return pages.StopFormView{
		Shell: stopsShell("Stop something", stopsCrumb(), ui.Link{Label: "Stop something"}),
		Lead:  "One tool of one MCP server. Every other tool goes on.",
		Kinds: []ui.Tab{
			tab("Tool", true), tab("User", false), tab("Organization", false), tab("Host", false), tab("MCP server", false),
		},
		Kind: "tool", Action: posted,
		Servers: []ui.Option{{Value: "1", Label: "Acme Data", Selected: true}, {Value: "2", Label: longName}},
		Value: &ui.Field{
			Name: "value", Label: "Tool", Hint: "Its name as hosts call it, such as run_query.", Required: true, Mono: true,
		},
		Reason: ui.Field{
			Name: "reason", Label: "Why", Max: 200, Hint: "For whoever reads the list, not for users. May stay empty.",
		},
		Cancel: ui.Link{Label: "Cancel", URL: Prefix + "stops"},
	}
}

func stopConfirm() pages.StopConfirmView {
	return pages.StopConfirmView{
		Shell: stopsShell("Stop route_signal of Acme Data?", stopsCrumb(), ui.Link{Label: "Confirm"}),
		Title: "Stop route_signal of Acme Data?",
		Lead: "It takes effect within 5 seconds, at every MCP server and in every host. The next call is refused and says why. " +
			"Sign-ins and connections stay, and you can lift it at any time.",
		Numbers: []ui.Fact{
			{Label: "Live connections", Value: "74"}, {Label: "People", Value: "61"}, {Label: "Calls in the last 24 hours", Value: "1,310"},
			{Label: "Tools", Value: "route_signal"}, {Label: "Why", Value: "Sends signals twice."},
		},
		Action: posted, Hidden: []ui.Hidden{{Name: "kind", Value: "tool"}}, Stop: "Stop it for 61 people",
		Cancel: ui.Link{Label: "Keep it on", URL: Prefix + "stops"},
	}
}

func stopStories() []Story {
	none := stopsView()
	none.Live, none.Lifted, none.Pager = nil, nil, ui.Pager{}
	none.Empty = ui.Empty{
		Icon: ui.IconStop, Title: "Nothing is stopped",
		Text: "In an incident you can stop one tool, a user, an organization, a host or a whole MCP server, and lift it again.",
	}
	long := stopsView()
	long.Live[0].Name, long.Live[0].Detail, long.Live[0].Reason, long.Live[0].By = longWord, longName, longName, longName
	long.Live[1].Name, long.Live[1].Reason = longHost, arabic
	long.Pager = ui.Pager{Summary: "26 to 50 of 1,000 stops", Prev: Prefix + "stops", Next: Prefix + "stops"}
	wrong := stopForm()
	wrong.Value.Value, wrong.Value.Error = "rute_signal", "This MCP server has no tool of this name, published or in the draft."
	already := stopConfirm()
	already.Stop, already.Cancel.Label = "", "Back to the list"
	already.Notice = &ui.Notice{
		Tone: ui.ToneWarn, What: "It is stopped already, since 22 Nov 2026, 21:40 UTC.", Then: "Lift it in the list to let it work again.",
	}
	return []Story{
		page("stops", "Kill switch", "Full", pages.Stops(stopsView())),
		page("stops-none", "Kill switch", "Empty", pages.Stops(none)),
		page("stops-long", "Kill switch", "Long names", pages.Stops(long)),
		page("stop-form", "Kill switch", "What to stop", pages.StopForm(stopForm())),
		page("stop-form-wrong", "Kill switch", "What to stop, wrong", pages.StopForm(wrong)),
		page("stop-confirm", "Kill switch", "Confirm", pages.StopConfirm(stopConfirm())),
		page("stop-confirm-already", "Kill switch", "Stopped already", pages.StopConfirm(already)),
	}
}
