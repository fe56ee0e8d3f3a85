package storybook

import (
	"strconv"

	"github.com/ostiary/ostiary/templates/layout"
	"github.com/ostiary/ostiary/templates/pages"
	"github.com/ostiary/ostiary/templates/ui"
)

func shell(title string, crumbs ...ui.Link) layout.DashboardView {
	return layout.DashboardView{
		Title: title, HomeURL: Prefix,
		Environments: []layout.EnvironmentItem{
			{Name: "Development", URL: Prefix + "servers-start"},
			{Name: "Production", URL: Prefix + "servers", Production: true, Current: true},
		},
		Nav: []layout.NavItem{
			{Label: "MCP servers", URL: Prefix + "servers", Icon: ui.IconServer, Count: "5", Current: true},
			{Label: "Activity", URL: Prefix + "activity", Icon: ui.IconPulse},
			{Label: "Kill switch", URL: Prefix + "stops", Icon: ui.IconStop},
		},
		Crumbs: crumbs, Issuer: "https://auth.acmedata.example", DocsURL: "https://ostiary.example/docs",
		Member: layout.MemberView{Name: "Demo Owner", Detail: "Acme Data · owner", Initials: "DO", SignOutURL: posted},
	}
}

func serversCrumb() ui.Link { return ui.Link{Label: "MCP servers", URL: Prefix + "servers"} }

func memberStories() []Story {
	wrong := pages.MemberSignInView{
		Action: posted, Next: "/servers", Email: "owner@acmedata.example",
		Error: &ui.Notice{
			Tone: ui.ToneDanger, What: "That e-mail and password do not match.",
			Then: "Try again, or ask an owner of your workspace to reset your password.",
		},
	}
	hint := pages.MemberSignInView{Action: posted, Hint: &ui.Notice{
		What: "This is a development server.", Then: "Sign in as owner@acme.example with the password printed in the terminal.",
	}}
	gone := shell("Not found", ui.Link{Label: "Not found"})
	missing := pages.ErrorView{
		Shell: &gone, Title: "This MCP server does not exist", Lead: "It may have been deleted, or belong to another environment.",
		Fixes: []ui.Fix{
			{Icon: ui.IconServer, Title: "You can look in the other environment", Text: "The switch is at the top of the menu."},
			{Icon: ui.IconPerson, Title: "An owner can tell you who removed it", Text: "Every change is kept with a name and a time."},
		},
		Primary: ui.Action{Label: "See all MCP servers", URL: Prefix + "servers"},
	}
	broken := pages.ErrorView{
		Title: "Something broke on our side", Lead: "Nothing was changed. What you typed is still in the page before this one.",
		Fixes: []ui.Fix{
			{Title: "You can try again", Text: "Go back, and press the button once more."},
			{Icon: ui.IconPulse, Title: "The operator of this Ostiary can fix it", Text: "Give them the case id; the log has the cause under it."},
		},
		Primary: ui.Action{Label: "Try again", URL: Prefix}, CaseID: "OST-7Q4M-2KX9", When: "22 Nov 2026, 21:43 UTC",
	}
	return []Story{
		page("member-sign-in", "Members", "Sign-in", pages.MemberSignIn(pages.MemberSignInView{Action: posted})),
		page("member-sign-in-wrong", "Members", "Wrong password", pages.MemberSignIn(wrong)),
		page("member-sign-in-hint", "Members", "Development hint", pages.MemberSignIn(hint)),
		page("member-missing", "Members", "Not found", pages.Error(missing)),
		page("member-broken", "Members", "Our fault", pages.Error(broken)),
	}
}

func serversView() pages.ServersView {
	row := func(name, host, tools, perms, users, last string, h ui.Health, badges ...ui.Badge) pages.ServerRow {
		return pages.ServerRow{
			Name: name, URL: Prefix + "server", Address: "https://" + host + ".acmedata.example/mcp", Health: h,
			Badges: badges, Tools: tools, Permissions: perms, Users: users, LastUse: last,
		}
	}
	healthy := ui.Health{Tone: ui.ToneSuccess, Text: "Published"}
	return pages.ServersView{
		Shell: shell("MCP servers", ui.Link{Label: "MCP servers"}),
		Lead:  "The servers Ostiary guards in production, and who reaches them.",
		Add:   ui.Action{Label: "Add MCP server", URL: Prefix + "servers-start", Icon: ui.IconPlus},
		Alerts: []ui.Notice{{
			Tone: ui.ToneDanger, What: "Warehouse has not answered since 20:15.",
			Then:   "9 users get an error. Its operator can fix it; tokens and grants are not affected.",
			Action: ui.Action{Label: "See the server", URL: Prefix + "server"},
		}},
		Search: ui.Search{URL: Prefix + "servers", Label: "Search servers", Placeholder: "Search name or URL"},
		Rows: []pages.ServerRow{
			row("Acme Data", "mcp", "8", "4", "212", "just now", healthy, ui.Badge{Tone: ui.ToneWarn, Text: "1 unmapped tool"}),
			row("Signal Router", "signals", "6", "3", "61", "2 min ago", healthy),
			row("Profile Insights", "insights", "11", "5", "38", "11 min ago", ui.Health{Tone: ui.ToneWarn, Text: "Slow: 2.4 s"}),
			row("Warehouse", "warehouse", "4", "2", "9", "1 h 28 min ago", ui.Health{Tone: ui.ToneDanger, Text: "No answer since 20:15"}),
			row("Partner Sandbox", "sandbox", "0", "0", "0", "Never", ui.Health{Text: "Not published yet"}, ui.Badge{Text: "Draft"}),
		},
		Pager: ui.Pager{Summary: "5 servers"},
	}
}

func serversStories() []Story {
	steps := []ui.Fix{
		{Title: "Review permissions", Text: "Proposed from the tools’ annotations; you decide."},
		{Title: "Read it as your customer", Text: "Edit the wording beside the real consent page."},
		{Title: "Connect a host", Text: "A ready command for Claude, VS Code and Cursor."},
	}
	start := pages.ServersView{
		Shell: shell("MCP servers", ui.Link{Label: "MCP servers"}), Lead: "The servers Ostiary guards in development, and who reaches them.",
		Start: &pages.ServersStart{
			Title: "Describe your first MCP server", Text: "Write its tools and permissions into a file and apply it. Nothing of your server changes.",
			Command: ui.Snippet{Title: "In a terminal", Code: "ostiary apply acme.yaml"}, Steps: steps,
		},
	}
	add := start
	add.Start = &pages.ServersStart{
		Title: "Add your first MCP server", Text: "Paste its URL. Ostiary asks it for its tools and proposes permissions and wording.",
		AddURL: posted, AddHint: "A private address is fine, as long as this Ostiary can reach it.", Steps: steps,
		Value: "http://mcp.acmedata.example", Error: "Use https. Tokens would travel in the open.",
	}
	few := pages.ServersView{
		Shell: shell("MCP servers", ui.Link{Label: "MCP servers"}), Lead: "The servers Ostiary guards in development.",
		Rows:  []pages.ServerRow{{Name: "Acme Data", URL: Prefix + "server", Address: "http://localhost:8090/mcp", Tools: "4", Permissions: "4"}},
		Pager: ui.Pager{Summary: "1 server"},
	}
	none := serversView()
	none.Rows, none.Alerts, none.Pager, none.Search.Value = nil, nil, ui.Pager{}, "wharehouse"
	none.Found = &ui.Empty{
		Icon: ui.IconSearch, Title: "No server is called “wharehouse”", Text: "Search looks at names and URLs. Check the spelling, or look at all of them.",
		Action: ui.Action{Label: "See all servers", URL: Prefix + "servers"},
	}
	none.Shell.Flash = &layout.FlashView{Tone: ui.ToneDanger, Text: "Not deleted: 9 users still use Warehouse. Revoke their grants first."}
	long := serversView()
	long.Rows[0].Name, long.Rows[0].Address = longWord, "https://"+longHost+"/mcp"
	long.Rows[1].Name, long.Rows[1].Health.Text = arabic, longWord
	long.Shell.Issuer = "https://" + longHost
	long.Shell.Member.Name, long.Shell.Member.Detail = longWord, longName
	long.Shell.Environments[0].Name = longWord
	for i := range 20 {
		r := long.Rows[2]
		r.Name += " " + strconv.Itoa(i+2)
		long.Rows = append(long.Rows, r)
	}
	long.Pager = ui.Pager{Summary: "21 to 45 of 133 servers", Prev: Prefix + "servers?page=1", Next: Prefix + "servers?page=3"}
	return []Story{
		page("servers", "MCP servers", "Full", pages.Servers(serversView())),
		page("servers-few", "MCP servers", "One server, few columns", pages.Servers(few)),
		page("servers-start", "MCP servers", "Empty", pages.Servers(start)),
		page("servers-add", "MCP servers", "Empty, add by URL, in error", pages.Servers(add)),
		page("servers-none", "MCP servers", "Nothing found", pages.Servers(none)),
		page("servers-long", "MCP servers", "Long names, many pages", pages.Servers(long)),
	}
}
