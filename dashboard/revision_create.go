package dashboard

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/ostiary/ostiary/app/errs"
)

const fieldDraft = "draft"

// createRevision publishes the draft that was on the screen.
func (d *Dashboard) createRevision(c echo.Context) error {
	f, err := parseForm(c)
	if err != nil {
		return err
	}
	if f.raw(fieldDraft) == "" {
		return errs.New(errs.Invalid, "The form does not say which draft to publish.")
	}
	id := c.Param("server")
	if _, err := d.resources.Publish(c.Request().Context(), id, f.raw(fieldDraft)); err != nil {
		return err
	}
	d.setFlash(c, flashPublished)
	return c.Redirect(http.StatusSeeOther, serverURL(visitOf(c).env, id))
}
