package dashboard

import (
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/web"
	"github.com/ostiary/ostiary/templates/pages"
	"github.com/ostiary/ostiary/templates/ui"
	"github.com/ostiary/ostiary/tenants"
)

// Fields of the wording form.
const (
	fieldTitle       = "title"
	fieldDescription = "description"
	fieldWarning     = "warning"
	fieldRevision    = "revision" // tenants.WordingUpdate's Version
	fieldTool        = "tool."    // and the tool's id
)

func wordingForm(f form) tenants.WordingUpdate {
	return tenants.WordingUpdate{
		Version: f.raw(fieldRevision), Title: f.text(fieldTitle), Description: f.text(fieldDescription),
		Warning: f.text(fieldWarning), Tools: f.under(fieldTool),
	}
}

// updateWording saves the wording of a permission to the draft. What cannot be saved is shown again as it was typed.
func (d *Dashboard) updateWording(c echo.Context) error {
	f, err := parseForm(c)
	if err != nil {
		return err
	}
	p, err := d.loadWording(c)
	if err != nil {
		return err
	}
	typed := wordingForm(f)
	if typed.Version == "" {
		return errs.New(errs.Invalid, "The form does not say which wording it changes.")
	}
	before := p.status.Draft.WordingVersion(p.permission.ID)
	after, err := d.resources.UpdateWording(c.Request().Context(), p.server().ID, p.permission.ID, typed)
	if err != nil {
		return d.refuseWording(c, p, typed, err)
	}
	flash := flashSaved
	if after.WordingVersion(p.permission.ID) == before {
		flash = flashUnchanged
	}
	d.setFlash(c, flash)
	return c.Redirect(http.StatusSeeOther, p.url(tabWording, p.permission.ID))
}

func (d *Dashboard) refuseWording(c echo.Context, p wordingPage, typed tenants.WordingUpdate, err error) error {
	var e *errs.Error
	if !errors.As(err, &e) {
		return err
	}
	status, view := http.StatusUnprocessableEntity, pages.WordingView{}
	switch {
	case e.Kind == errs.Invalid && len(e.Fields) > 0:
		view = d.wordingView(c, p, typed)
		placeErrors(&view, e.Fields)
	case e.Kind == errs.Conflict && e.Code == "wording_changed":
		status = http.StatusConflict
		view = d.wordingView(c, p, typed) // with the present version, so that saving again is a decision
		view.Alerts = append(view.Alerts, ui.Notice{
			Tone: ui.ToneWarn, What: "Somebody else changed this wording after you opened it.",
			Then: "What you typed is below. Save again to replace theirs, or discard yours.",
		})
	default:
		return err
	}
	return web.Render(c, status, pages.Wording(view))
}

// placeErrors puts each message beside its field, and what belongs to none above the form.
func placeErrors(view *pages.WordingView, fields map[string]string) {
	view.Shell.Title = "Error: " + view.Shell.Title
	take := func(f *ui.Field) {
		f.Error = fields[f.Name]
		delete(fields, f.Name)
	}
	take(&view.Title)
	take(&view.Description)
	take(&view.Warning)
	for i := range view.Tools {
		take(&view.Tools[i])
	}
	for path, msg := range fields {
		view.Alerts = append(view.Alerts, ui.Notice{Tone: ui.ToneDanger, What: path + ":", Then: msg})
	}
}
