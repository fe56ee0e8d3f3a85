package flow

import (
	"slices"

	"github.com/a-h/templ"

	"github.com/ostiary/ostiary/templates/ui"
)

// Most of what these pages print is the same for everybody they are shown to. It is drawn once: the words of the program for as
// long as it runs, those of a tenant for as long as the snapshot that holds them is served.

// Drawn returns the permission as an owner keeps it who asks for it on many pages and never changes it. New and Edited may still
// be set on a copy.
func (p Permission) Drawn(risk ui.Risk) Permission {
	plain := p
	p.drawn = ui.NewStencil(func(id string) templ.Component { return permission(permissionView{plain, risk, id}) })
	return p
}

func permissionOf(p permissionView) templ.Component {
	if p.drawn != nil && !p.New && !p.Edited {
		return p.drawn.At(p.id)
	}
	return permission(p)
}

var (
	usualPresets     = ui.NewStencil(func(string) templ.Component { return presets(ConsentView{Notes: NotesFor("it")}) })
	usualAct         = ui.NewStencil(func(string) templ.Component { return act(ConsentView{Footnote: Footnote}) })
	usualLoginFields = ui.NewStencil(func(string) templ.Component { return loginFields(LoginView{}) })
)

func presetsOf(view ConsentView) templ.Component {
	if view.preset() == PresetCustom && view.Notes == NotesFor("it") {
		return usualPresets.At("")
	}
	return presets(view)
}

// drawnDurations are those an issuer offers.
var drawnDurations = [...]drawnOptions{drawOptions(DurationsFor(true)), drawOptions(DurationsFor(false))}

type drawnOptions struct {
	options []ui.Option
	drawn   *ui.Stencil
}

func drawOptions(options []ui.Option) drawnOptions {
	return drawnOptions{options, ui.NewStencil(func(id string) templ.Component { return durations(id, options) })}
}

func durationsOf(view ConsentView) templ.Component {
	id := view.id("duration")
	for _, usual := range drawnDurations {
		if slices.Equal(view.Durations, usual.options) {
			return usual.drawn.At(id)
		}
	}
	return durations(id, view.Durations)
}

func actOf(view ConsentView) templ.Component {
	if !view.Preview && view.Footnote == Footnote && view.FootLink == (ui.Link{}) {
		return usualAct.At("")
	}
	return act(view)
}

// loginFieldsOf draws the fields anew when they are to say something. What somebody typed is never kept.
func loginFieldsOf(view LoginView) templ.Component {
	if view.Email == "" && view.EmailError == "" && view.PasswordError == "" {
		return usualLoginFields.At("")
	}
	return loginFields(view)
}
