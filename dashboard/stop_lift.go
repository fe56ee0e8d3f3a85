package dashboard

import (
	"net/http"

	"github.com/labstack/echo/v4"
)

// liftStop lets what was stopped work again.
func (d *Dashboard) liftStop(c echo.Context) error {
	if _, err := d.stops.Lift(c.Request().Context(), c.Param("stop")); err != nil {
		return err
	}
	d.setFlash(c, flashLifted)
	return c.Redirect(http.StatusSeeOther, stopsURL(visitOf(c).env))
}
