package storybook

import (
	"github.com/ostiary/ostiary/templates/flow"
	"github.com/ostiary/ostiary/templates/layout"
	"github.com/ostiary/ostiary/templates/static"
	"github.com/ostiary/ostiary/templates/ui"
)

func queryData() flow.Permission {
	return flow.Permission{
		Scope: "data:read", Title: "Query your data", Ticked: true, ToolsLabel: flow.ToolsLabel(2),
		Description: "Run read-only queries on datasets you can already open.",
		Tools: []flow.Tool{
			{Wording: "Run one query, up to 10,000 rows", Name: "run_query"},
			{Wording: "List datasets and their columns", Name: "list_datasets"},
		},
	}
}

func profiles() flow.Permission {
	return flow.Permission{
		Scope: "profiles:read", Title: "Look up and analyse profiles", Ticked: true, ToolsLabel: flow.ToolsLabel(2),
		Description: "Find companies and contacts, and summarise them. Includes names and work e-mail addresses.",
		Tools: []flow.Tool{
			{Wording: "Find companies by name or trait", Name: "search_accounts"},
			{Wording: "Summarise one contact or company", Name: "analyze_profile"},
		},
	}
}

func routeSignals() flow.Permission {
	return flow.Permission{
		Scope: "signals:write", Title: "Route signals", Ticked: true, ToolsLabel: flow.ToolsLabel(2),
		Description: "Send signals to Salesforce and Slack, where other people will see them.",
		Tools: []flow.Tool{
			{Wording: "Send one signal to a destination", Name: "route_signal"},
			{Wording: "Change the rules of a saved segment", Name: "update_segment"},
		},
	}
}

func deleteSegments() flow.Permission {
	return flow.Permission{
		Scope: "segments:delete", Title: "Delete segments", Ticked: true, ToolsLabel: flow.ToolsLabel(1),
		Description: "Remove saved segments for everyone at Northwind Logistics.",
		Warning:     "A deleted segment cannot be restored.",
		Tools:       []flow.Tool{{Wording: "Delete one segment for good", Name: "delete_segment"}},
	}
}

func consentView() flow.ConsentView {
	return flow.ConsentView{
		Branding: acme(), Action: posted, Interaction: "int_demo",
		Title: "Claude wants to use Acme Data", Lead: "It will act as you, and only within what you allow here.",
		Asker: claude(), Server: flow.Party{Name: "Acme Data", Address: "mcp.acmedata.example"},
		Organization: "Northwind Logistics",
		User:         flow.Party{Name: "Sample User", Address: "user@northwind.example"},
		SwitchURL:    posted, Question: "What may Claude do?", Notes: flow.NotesFor("Claude"),
		Groups: []flow.Group{
			flow.GroupOf(ui.RiskRead, queryData(), profiles()),
			flow.GroupOf(ui.RiskWrite, routeSignals()),
			flow.GroupOf(ui.RiskDestructive, deleteSegments()),
		},
		Durations: []ui.Option{
			{Value: flow.DurationHour, Label: "1 hour"},
			{Value: flow.DurationMonth, Label: "30 days", Selected: true},
			{Value: flow.DurationRevoke, Label: "Until I revoke"},
		},
		Return:   flow.Return{Words: "claude.ai"},
		Footnote: "Did not start this? Choose Cancel. Nothing is shared.",
	}
}

func unverifiedView() flow.ConsentView {
	v := consentView()
	v.Title, v.Question, v.Notes = "An app on this computer wants to use Acme Data", "What may it do?", flow.NotesFor("it")
	v.Asker = notebook()
	v.Warning = &ui.Notice{
		Tone: ui.ToneWarn, What: "We cannot tell who made this app.",
		Then: "Apps that run on a computer have no web address to check. Continue only if you started it yourself, just now.",
	}
	v.Groups[1].Permissions[0].Ticked = false
	v.Durations = []ui.Option{
		{Value: flow.DurationHour, Label: "1 hour", Selected: true}, {Value: flow.DurationMonth, Label: "30 days"},
	}
	v.Return = flow.Return{Words: "this computer", Detail: "127.0.0.1:53682"}
	return v
}

func incrementalView() flow.ConsentView {
	v := consentView()
	v.Title, v.Question = "Claude wants to do more with Acme Data", "What else may Claude do?"
	fresh := routeSignals()
	fresh.New = true
	v.Groups = []flow.Group{flow.GroupOf(ui.RiskWrite, fresh)}
	v.Kept = []flow.Group{flow.GroupOf(ui.RiskRead, queryData(), profiles())}
	v.KeptNote, v.NoPreset = "Already allowed: 2 permissions", true
	return v
}

func requiredView() flow.ConsentView {
	v := consentView()
	v.Organization, v.Branding = "", layout.Branding{Name: "Plain Co"}
	v.Groups[0].Permissions[0].Required = true
	v.Groups[1].Permissions[0].Required = true
	return v
}

func wrongView() flow.ConsentView {
	v := consentView()
	v.Error = &ui.Notice{
		Tone: ui.ToneDanger, What: "Nothing is ticked.", Then: "Tick at least one permission, or choose Cancel to allow nothing.",
	}
	for gi := range v.Groups {
		for pi := range v.Groups[gi].Permissions {
			v.Groups[gi].Permissions[pi].Ticked = false
		}
	}
	return v
}

func longView() flow.ConsentView {
	v := unverifiedView()
	v.Branding.Name, v.Title = longName, longWord+" wants to use "+longName
	v.Asker = flow.Asker{Host: longHost, Name: longWord + " " + arabic}
	v.Server = flow.Party{Name: longName, Address: longHost}
	v.Organization, v.User = arabic, flow.Party{Name: longWord, Address: longWord + "@" + longHost}
	v.Question = "What may " + longWord + " do?"
	v.Return = flow.Return{Words: longHost, Detail: longHost + ":53682"}
	p := &v.Groups[0].Permissions[0]
	p.Title, p.Description, p.New, p.Required = longWord, longWord+" "+longName, true, true
	p.Tools = []flow.Tool{{Wording: longWord, Name: "a_tool_name_" + longHost}}
	p.Edited = true // opens the list of tools
	v.Groups[2].Permissions[0].Warning = longWord
	return v
}

// knownView is a program on the user's computer that a known host describes: less of a warning, not none.
func knownView() flow.ConsentView {
	v := unverifiedView()
	v.Title, v.Question = "Claude Code wants to use Acme Data", "What may it do?"
	v.Asker = flow.Asker{Host: "Claude Code", Verified: true, Seal: "Verified: claude.ai", Local: true, LogoURL: static.URL("favicon.svg")}
	v.Warning = &ui.Notice{
		What: "Any program on this computer could say it is Claude Code.",
		Then: "claude.ai describes such an app; we cannot see whether it is the one that asks. " +
			"Continue only if you started it yourself, just now.",
	}
	return v
}

func emptyConsent() flow.ConsentView {
	v := consentView()
	v.Groups, v.Durations = nil, nil
	v.NoGroups = "Claude did not ask for anything this server offers. Choose Cancel, and tell Acme Data what you were trying to do."
	return v
}

func consentStories() []Story {
	allPreset, readPreset := consentView(), consentView()
	allPreset.Preset, readPreset.Preset = flow.PresetAll, flow.PresetRead
	return []Story{
		page("consent", "Consent", "Verified host", flow.Consent(consentView())),
		page("consent-all", "Consent", "Preset All", flow.Consent(allPreset)),
		page("consent-read", "Consent", "Preset Read only", flow.Consent(readPreset)),
		page("consent-unverified", "Consent", "App on this computer, not verified", flow.Consent(unverifiedView())),
		page("consent-known", "Consent", "App on this computer, described by a known host", flow.Consent(knownView())),
		page("consent-more", "Consent", "Asks for more than before", flow.Consent(incrementalView())),
		page("consent-required", "Consent", "Some always included, default brand", flow.Consent(requiredView())),
		page("consent-wrong", "Consent", "Allowed with nothing ticked", flow.Consent(wrongView())),
		page("consent-long", "Consent", "Long names", flow.Consent(longView())),
		page("consent-empty", "Consent", "Nothing to allow", flow.Consent(emptyConsent())),
	}
}
