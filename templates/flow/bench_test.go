package flow_test

import (
	"bytes"
	"testing"

	"github.com/a-h/templ"

	"github.com/ostiary/ostiary/templates/flow"
	"github.com/ostiary/ostiary/templates/ui"
)

func BenchmarkConsent(b *testing.B) {
	view := consentView()
	view.Branding = view.Branding.Drawn()
	view.Kept, view.Notes, view.Footnote = nil, flow.NotesFor("it"), flow.Footnote
	tools := []flow.Tool{{Wording: "Run a query", Name: "run_query"}, {Wording: "List datasets", Name: "list_datasets"}}
	for _, g := range view.Groups {
		for i := range g.Permissions {
			g.Permissions[i].Tools, g.Permissions[i].ToolsLabel = tools, "2 tools"
			g.Permissions[i] = g.Permissions[i].Drawn(g.Risk)
		}
	}
	benchmark(b, func() templ.Component { return flow.Consent(view) })
}

func BenchmarkLogin(b *testing.B) {
	view := flow.LoginView{
		Branding: consentView().Branding.Drawn(), Asker: consentView().Asker, Server: "Acme Data", Action: "/i/acme/login", Interaction: "int_1",
		HelpLink: ui.Link{},
	}
	benchmark(b, func() templ.Component { return flow.Login(view) })
}

func benchmark(b *testing.B, page func() templ.Component) {
	b.Helper()
	b.ReportAllocs()
	var out bytes.Buffer
	for b.Loop() {
		out.Reset()
		if err := page().Render(b.Context(), &out); err != nil {
			b.Fatal(err)
		}
	}
}
