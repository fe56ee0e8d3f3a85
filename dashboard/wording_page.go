package dashboard

import (
	"net/url"
	"strconv"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/policy"
	"github.com/ostiary/ostiary/templates/pages"
	"github.com/ostiary/ostiary/templates/ui"
	"github.com/ostiary/ostiary/tenants"
)

// wordingPage is a server's page about the wording of one permission.
type wordingPage struct {
	serverPage
	permission tenants.Scope
}

func (d *Dashboard) loadWording(c echo.Context) (wordingPage, error) {
	p, err := d.loadServer(c, tabWording)
	if err != nil {
		return wordingPage{}, err
	}
	s := p.status.Draft.ScopeByID(c.Param("permission"))
	if s == nil {
		return wordingPage{}, errs.New(errs.NotFound, "There is no such permission.")
	}
	return wordingPage{serverPage: p, permission: *s}, nil
}

// current is the saved wording, as the form would send it.
func (p wordingPage) current() tenants.WordingUpdate {
	u := tenants.WordingUpdate{
		Title: p.permission.Title, Description: p.permission.Description, Warning: p.permission.Warning,
		Tools: map[string]string{},
	}
	for _, t := range p.status.Draft.ToolsOf(p.permission.Name) {
		u.Tools[t.ID] = t.Wording
	}
	return u
}

// Lengths that the service accepts; the shorter ones are what reads well on a phone.
const (
	maxTitle       = 80
	goodTitle      = 40
	maxDescription = 400
	goodText       = 140
	maxWarning     = 200
	maxWording     = 140
)

func (d *Dashboard) wordingView(c echo.Context, p wordingPage, typed tenants.WordingUpdate) pages.WordingView {
	view := pages.WordingView{
		Shell: d.serverShell(c, p.serverPage, "Wording"), Head: p.head(), Alerts: p.alerts(),
		Scope: p.permission.Name, Risk: ui.Risk(p.permission.Risk), RiskLabel: riskWord(p.permission.Risk),
		RiskHint: "Set in the tenant file, from what the tools do.", Edited: p.edited(p.permission.Name),
		Action: p.url(tabWording, p.permission.ID), PreviewURL: p.url(tabWording, p.permission.ID, "preview"),
		Revision: p.status.Draft.WordingVersion(p.permission.ID), Foot: p.foot(),
		Title: ui.Field{
			Name: fieldTitle, Label: "Title", Value: typed.Title, Max: maxTitle, Required: true,
			Hint: "Completes the sentence “Allow Claude to …”",
		},
		Description: ui.Field{
			Name: fieldDescription, Label: "What happens if I say yes", Value: typed.Description, Max: maxDescription, Rows: 3,
			Hint: "Two lines at most on a phone. No markup.",
		},
		Warning: ui.Field{
			Name: fieldWarning, Label: "Warning", Value: typed.Warning, Max: maxWarning,
			Hint: "Why to think twice, for what cannot be undone. May stay empty.",
		},
		Hints: hints(p, typed), PreviewHost: hostOf(p.visit.env.Issuer), Preview: p.preview(typed),
	}
	if p.canEdit() { // a viewer reads the same page and has nothing to press
		view.Save, view.Discard = "Save draft", ui.Link{Label: "Discard", URL: p.url(tabWording, p.permission.ID)}
	}
	view.Shell.Live, view.Shell.BrandURL = true, "/environments/"+p.visit.env.Slug+"/brand.css"
	for _, s := range p.status.Draft.Scopes {
		item := pages.WordingItem{
			Title: s.Title, Scope: s.Name, Risk: ui.Risk(s.Risk), URL: p.url(tabWording, s.ID), Current: s.ID == p.permission.ID,
		}
		if p.edited(s.Name) {
			item.Badge = ui.Badge{Tone: ui.ToneAccent, Text: "Edited"}
		}
		view.Permissions = append(view.Permissions, item)
	}
	for _, t := range p.status.Draft.ToolsOf(p.permission.Name) {
		view.Tools = append(view.Tools, ui.Field{
			Name: fieldTool + t.ID, Label: t.Name, Value: typed.Tools[t.ID], Max: maxWording,
		})
	}
	return view
}

func riskWord(r policy.Risk) string { return ui.Risk(r).Word() }

// edited reports whether the draft's wording of a permission differs from the published one.
func (p wordingPage) edited(permission string) bool {
	for _, c := range p.status.Changes {
		if c.Kind == tenants.ChangeWording && c.Subject == permission {
			return p.status.Published != nil
		}
	}
	return false
}

func (p wordingPage) foot() string {
	if p.status.Published == nil {
		return "Not published yet"
	}
	r := p.status.Published
	return "Last published " + day(r.PublishedAt) + ", revision " + strconv.Itoa(r.Number)
}

// hints says what an editor would say.
func hints(p wordingPage, typed tenants.WordingUpdate) []pages.Hint {
	list := []pages.Hint{
		hint(utf8.RuneCountInString(typed.Title) <= goodTitle, "Title fits on one line of a phone", "Shorten the title.",
			"It wraps on a phone."),
		hint(typed.Description != "", "Says what happens", "Say what happens.", "People decide by this line."),
		hint(utf8.RuneCountInString(typed.Description) <= goodText, "Short enough to be read", "Shorten the description.",
			"Few people read more than two lines."),
	}
	if p.permission.Risk == policy.RiskDestructive {
		list = append(list, hint(typed.Warning != "", "Says what cannot be undone", "Add a warning.",
			"Say what cannot be undone."))
	}
	silent := 0
	for _, t := range p.status.Draft.ToolsOf(p.permission.Name) {
		if typed.Tools[t.ID] == "" {
			silent++
		}
	}
	return append(list, hint(silent == 0, "Each tool is in plain words", "Describe every tool.",
		count(silent, "tool")+" would be shown by name only."))
}

func hint(ok bool, good, what, then string) pages.Hint {
	if ok {
		return pages.Hint{OK: true, What: good}
	}
	return pages.Hint{What: what, Then: then}
}

func hostOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return u.Host
}
