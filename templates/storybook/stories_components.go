package storybook

import (
	"github.com/a-h/templ"

	"github.com/ostiary/ostiary/templates/ui"
)

func componentStories() []Story {
	return []Story{
		part("buttons", "Buttons", templ.Join(
			ui.Button(ui.Action{Label: "Publish", URL: posted, Post: true}, ui.Primary),
			ui.Button(ui.Action{Label: "Discard", URL: Prefix}, ui.Plain),
			ui.Button(ui.Action{Label: "Revoke 14 grants", URL: posted, Post: true, Danger: true, Icon: ui.IconBin}, ui.Plain),
			ui.Button(ui.Action{Label: "Small", URL: Prefix}, ui.Small),
			ui.Button(ui.Action{Label: "Allow", URL: Prefix}, ui.LargePrimary),
			ui.Button(ui.Action{Label: "Cancel", URL: Prefix}, ui.Large),
			ui.Button(ui.Action{Label: "Not printed: a URL we refuse", URL: "javascript:alert(1)"}, ui.Plain),
		)),
		part("fields", "Fields", templ.Join(
			ui.Field{Name: "name", Label: "Server name", Value: "Acme Data", Hint: "People read it on the consent page."},
			ui.Field{Name: "address", Label: "URL", Type: "url", Value: "http://mcp.acmedata.example", Error: "Use https. Tokens would travel in the open.", Mono: true},
			ui.Field{Name: "secret", Label: "Password", Type: "password", Value: "never printed"},
			ui.Field{Name: "text", Label: "What happens if I say yes", Rows: 3, Max: 140, Value: "Read-only."},
		)),
		part("badges", "Badges, marks, health", templ.Join(
			ui.Badge{Text: "Draft"}, ui.Badge{Tone: ui.ToneAccent, Text: "Edited"}, ui.Badge{Tone: ui.ToneSuccess, Text: "Connected"},
			ui.Badge{Tone: ui.ToneWarn, Text: "Unmapped"}, ui.Badge{Tone: ui.ToneDanger, Text: "Failed"},
			ui.Mark(ui.RiskRead), ui.Mark(ui.RiskWrite), ui.Mark(ui.RiskDestructive), ui.PlainMark(ui.IconServer), ui.SmallMark(ui.RiskWrite),
			ui.Health{Tone: ui.ToneSuccess, Text: "Healthy"}, ui.Health{Tone: ui.ToneWarn, Text: "Slow"},
			ui.Health{Tone: ui.ToneDanger, Text: "Down"}, ui.Health{Text: "Not checked"},
		)),
		part("code", "Code, ids, facts", templ.Join(
			ui.Snippet{Code: "claude mcp add --transport http acme https://mcp.acmedata.example/mcp"},
			ui.Facts([]ui.Fact{
				{Label: "Key", Value: "key_01HX9Q", Copy: true}, {Label: "Algorithm", Value: "ES256", Mono: true},
				{Label: "Rotates", Value: "in 21 days"}, {Label: "Server", Value: "Acme Data", URL: Prefix + "server"},
			}),
		)),
		part("callouts", "Callouts", templ.Join(
			ui.Notice{What: "Good to know.", Then: "Nothing to do."},
			ui.Notice{Tone: ui.ToneAccent, What: "Draft: 2 tools moved.", Then: "Nobody is signed out.", Action: ui.Action{Label: "Review changes", URL: Prefix}},
			ui.Notice{Tone: ui.ToneWarn, What: "We cannot tell who made this app.", Then: "Continue only if you started it yourself."},
			ui.Notice{Tone: ui.ToneDanger, What: "Warehouse has not answered since 20:15.", Then: "Its operator can fix it."},
			ui.Notice{Tone: ui.ToneSuccess, What: "Connected.", Then: "The first call was answered."},
		)),
		part("empty", "Empty", ui.Empty{
			Icon: ui.IconClock, Title: "No attempts today", Text: "Connect a host and its steps appear here within a second.",
			Command: "claude mcp add --transport http acme https://mcp.acmedata.example/mcp", Action: ui.Action{Label: "See all days", URL: Prefix},
		}),
		part("lists", "Search, pages, tabs", templ.Join(
			ui.Search{URL: Prefix, Label: "Find a tool", Placeholder: "Find a tool"},
			ui.Tabs("Example", []ui.Tab{{Label: "Overview", URL: Prefix, Current: true}, {Label: "Tools", URL: Prefix, Count: "8"}}),
			ui.Pager{Summary: "21 to 40 of 133 tools", Prev: Prefix, Next: Prefix},
			ui.Pager{Summary: "1 tool"},
		)),
		part("choices", "Choices", choices()),
	}
}
