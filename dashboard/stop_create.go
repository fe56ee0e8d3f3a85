package dashboard

import (
	"net/http"

	"github.com/labstack/echo/v4"
)

// createStop stops what the confirm page was about.
func (d *Dashboard) createStop(c echo.Context) error {
	f, err := parseForm(c)
	if err != nil {
		return err
	}
	if _, err := d.stops.Create(c.Request().Context(), stopInForm(f)); err != nil {
		return err
	}
	d.setFlash(c, flashStopped)
	return c.Redirect(http.StatusSeeOther, stopsURL(visitOf(c).env))
}
