package flow

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/a-h/templ"

	"github.com/ostiary/ostiary/templates/ui"
)

// Footnote is what consent pages say beside the buttons.
const Footnote = "Did not start this? Choose Cancel. Nothing is shared."

// GroupOf returns the heading people read over the permissions of a risk.
func GroupOf(risk ui.Risk, permissions ...Permission) Group {
	g := Group{Risk: risk, Title: risk.Word(), Permissions: permissions}
	switch risk {
	case ui.RiskRead:
		g.Lead = "Looks at data, changes nothing"
	case ui.RiskWrite:
		g.Lead = "Adds or edits things"
	case ui.RiskDestructive:
		g.Lead = "Cannot be undone"
	}
	return g
}

// NotesFor returns the lines under the presets. Name is what the page calls the app: "Claude", or "it".
func NotesFor(name string) PresetNotes {
	if name == "it" {
		return PresetNotes{
			All:    "Everything it asked for. Deleting still needs its own tick.",
			Read:   "It can look, and change nothing.",
			Custom: "Tick what you want to allow.",
		}
	}
	return PresetNotes{
		All:    "Everything " + name + " asked for. Deleting still needs its own tick.",
		Read:   name + " can look, and change nothing.",
		Custom: "Tick what you want to allow.",
	}
}

// DurationsFor returns how long somebody may allow something, 30 days unless they choose. An app that stays on their device, where
// any other could take its place, gets nothing without an end.
func DurationsFor(local bool) []ui.Option {
	options := []ui.Option{
		{Value: DurationHour, Label: "1 hour"},
		{Value: DurationMonth, Label: "30 days", Selected: true},
	}
	if !local {
		options = append(options, ui.Option{Value: DurationRevoke, Label: "Until I revoke"})
	}
	return options
}

// ToolsLabel returns "1 tool" or "4 tools".
func ToolsLabel(n int) string {
	if n == 1 {
		return "1 tool"
	}
	return strconv.Itoa(n) + " tools"
}

func (v LoginView) title() string {
	if v.Title != "" {
		return v.Title
	}
	return "Sign in to " + v.Branding.Name
}

func (v LoginView) documentTitle() string {
	if v.Error != nil || v.EmailError != "" || v.PasswordError != "" {
		return "Error: " + v.title()
	}
	return v.title()
}

func (v LoginView) emailField() ui.Field {
	return ui.Field{
		Name: FieldEmail, Label: "E-mail", Type: "email", Value: v.Email, Error: v.EmailError,
		Autocomplete: "username", InputMode: "email", Off: true, Required: true, Autofocus: v.Email == "",
	}
}

func (v LoginView) passwordField() ui.Field {
	return ui.Field{
		Name: FieldPassword, Label: "Password", Type: "password", Error: v.PasswordError,
		Autocomplete: "current-password", Required: true, Autofocus: v.Email != "",
	}
}

func (v SignedOutView) title() string {
	if v.Title != "" {
		return v.Title
	}
	return "You are signed out"
}

func (a Asker) seal() string {
	switch {
	case a.Seal != "":
		return a.Seal
	case a.Verified:
		return "Verified"
	default:
		return "Not verified"
	}
}

// initial is the first letter of the host, not of the name: the name is only what the app says of itself.
func (a Asker) initial() string {
	r, size := utf8.DecodeRuneInString(strings.TrimSpace(a.Host))
	if size == 0 || r == utf8.RuneError {
		return "?"
	}
	return strings.ToUpper(string(r))
}

func (v ConsentView) documentTitle() string {
	if v.Error != nil {
		return "Error: " + v.Title
	}
	return v.Title
}

func (v ConsentView) preset() string {
	if v.Preset == "" {
		return PresetCustom
	}
	return v.Preset
}

func (v ConsentView) preview() ConsentView {
	v.Preview = true
	return v
}

// id makes an id that is the only one on the page, a preview beside a form included.
func (v ConsentView) id(name string, parts ...int) string {
	if v.Preview {
		name = "preview-" + name
	}
	for _, n := range parts {
		name += "-" + strconv.Itoa(n)
	}
	return name
}

// buttonType keeps the buttons of a preview from sending the form they stand in.
func (v ConsentView) buttonType() string {
	if v.Preview {
		return "button"
	}
	return "submit"
}

// switchAttrs ties "Switch account" to a form of its own. It is not part of the consent form, whose first button, and so
// the one a stray Enter presses, must be Cancel.
func (v ConsentView) switchAttrs() templ.OrderedAttributes {
	if v.Preview {
		return templ.OrderedAttributes{{Key: "type", Value: "button"}}
	}
	return templ.OrderedAttributes{{Key: "type", Value: "submit"}, {Key: "form", Value: "switch"}}
}

func (g Group) class() string {
	switch g.Risk {
	case ui.RiskRead, ui.RiskWrite, ui.RiskDestructive:
		return "risk risk--" + string(g.Risk)
	default:
		return "risk"
	}
}

// permissionView is a permission where it stands on the page.
type permissionView struct {
	Permission
	risk ui.Risk
	id   string
}

func (p permissionView) destructive() bool { return p.risk == ui.RiskDestructive }

// required is never true of what destroys: the rule that no such box is ticked at load is stronger.
func (p permissionView) required() bool { return p.Required && !p.destructive() }

func (p permissionView) ticked() bool { return p.Ticked && !p.destructive() }

func (p permissionView) why() string {
	if p.destructive() {
		return strings.TrimSpace("Not ticked for you. " + p.Warning)
	}
	return p.Warning
}

func (p permissionView) class() string {
	out := "perm"
	if p.required() {
		out += " perm--required"
	}
	if p.Edited {
		out += " is-edited"
	}
	return out
}

// inputAttrs name the box by its title and describe it by the rest, so that a screen reader says the short part first.
func (p permissionView) inputAttrs() templ.OrderedAttributes {
	described := p.id + "-text"
	if p.why() != "" {
		described += " " + p.id + "-why"
	}
	return templ.OrderedAttributes{
		{Key: "aria-labelledby", Value: p.id + "-title"},
		{Key: "aria-describedby", Value: described},
	}
}
