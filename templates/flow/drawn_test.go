package flow_test

import (
	"testing"

	"github.com/a-h/templ"

	"github.com/ostiary/ostiary/templates/flow"
	"github.com/ostiary/ostiary/templates/htmltest"
	"github.com/ostiary/ostiary/templates/layout"
	"github.com/ostiary/ostiary/templates/ui"
)

// drawnView is the view with everything drawn that can be.
func drawnView(view flow.ConsentView) flow.ConsentView {
	view.Branding = view.Branding.Drawn()
	for _, g := range view.Groups {
		for n, p := range g.Permissions {
			g.Permissions[n] = p.Drawn(g.Risk)
		}
	}
	return view
}

// What is drawn once is what would be drawn each time, whatever page it stands on. A page without a brand and permissions drawn
// before still prints the program's words as they were drawn, so these are held against what is drawn anew piece by piece.
func TestConsent_DrawnOnceIsTheSamePage(t *testing.T) {
	t.Parallel()
	brand := layout.Branding{
		Name: "Acme <b>", LogoURL: "/logo.png", StylesheetURL: "/brand.css?v=1",
		Legal: []ui.Link{{Label: "Terms", URL: "https://acme.example/terms"}},
	}
	for name, change := range map[string]func(*flow.ConsentView){
		"as it is":       func(*flow.ConsentView) {},
		"usual notes":    func(v *flow.ConsentView) { v.Notes = flow.NotesFor("it") },
		"until revoked":  func(v *flow.ConsentView) { v.Durations = flow.DurationsFor(false) },
		"for a day only": func(v *flow.ConsentView) { v.Durations = []ui.Option{{Value: "1d", Label: "1 day"}} },
		"usual footnote": func(v *flow.ConsentView) { v.Footnote = flow.Footnote },
		"a link beside it": func(v *flow.ConsentView) {
			v.Footnote, v.FootLink = flow.Footnote, ui.Link{Label: "Help", URL: "/help"}
		},
		"another preset":       func(v *flow.ConsentView) { v.Notes, v.Preset = flow.NotesFor("it"), flow.PresetAll },
		"title with markup":    func(v *flow.ConsentView) { v.Title = `<script>alert("1")</script>` },
		"a brand with a logo":  func(v *flow.ConsentView) { v.Branding = brand },
		"new permissions":      func(v *flow.ConsentView) { v.Groups[0].Permissions[0].New = true },
		"one that is edited":   func(v *flow.ConsentView) { v.Groups[1].Permissions[0].Edited = true },
		"in another order":     func(v *flow.ConsentView) { v.Groups[0], v.Groups[1] = v.Groups[1], v.Groups[0] },
		"permission with tool": func(v *flow.ConsentView) { v.Groups[1].Permissions[0].Tools = []flow.Tool{{Wording: "<i>", Name: "t"}} },
	} {
		plain, drawn := consentView(), consentView()
		change(&plain)
		change(&drawn)
		drawn = drawnView(drawn)
		for range 2 {
			same(t, name, flow.Consent(drawn), flow.Consent(plain))
		}
		same(t, name+", previewed", flow.ConsentPreview(drawn), flow.ConsentPreview(plain))
		for of, pieces := range map[string]map[string]flow.Piece{
			name: flow.ConsentPieces(drawn), name + ", previewed": flow.ConsentPiecesPreviewed(drawn),
		} {
			for piece, p := range pieces {
				same(t, of+", "+piece, p.Printed, p.Anew)
			}
		}
	}
}

// The sign-in page of one person never shows what another typed.
func TestLogin_KeepsNothingThatSomebodyTyped(t *testing.T) {
	t.Parallel()
	blank := flow.LoginView{Branding: layout.Branding{Name: "Acme"}, Action: "/i/acme/login"}
	before := htmltest.Render(t, flow.Login(blank))
	typed := blank
	typed.Email, typed.PasswordError = "user@acme.example", "That is not it."
	if got := htmltest.Render(t, flow.Login(typed)); got == before {
		t.Error("what was typed is not shown")
	}
	if got := htmltest.Render(t, flow.Login(blank)); got != before {
		t.Errorf("a blank page became\n%s", got)
	}
}

func TestLogin_DrawnOnceIsTheSamePage(t *testing.T) {
	t.Parallel()
	for name, view := range map[string]flow.LoginView{
		"blank":            {},
		"who comes back":   {Email: `"><b>@acme.example`},
		"no address":       {EmailError: "Enter your e-mail address."},
		"a wrong password": {Email: "user@acme.example", PasswordError: "That is not it."},
		"a brand":          {Branding: layout.Branding{Name: "Acme"}, Action: "/i/acme/login"},
	} {
		p := flow.LoginPiece(view)
		same(t, name, p.Printed, p.Anew)
	}
}

func same(t *testing.T, name string, got, want templ.Component) {
	t.Helper()
	if g, w := htmltest.Render(t, got), htmltest.Render(t, want); g != w {
		t.Errorf("%s: drawn once it is\n%s\nwant\n%s", name, g, w)
	}
}
