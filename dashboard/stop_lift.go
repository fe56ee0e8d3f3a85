package dashboard

import (
	"net/http"

	"github.com/labstack/echo/v4"
)

// liftStop lets what was stopped work again, and leads back to the page of the list where it was.
func (d *Dashboard) liftStop(c echo.Context) error {
	if _, err := d.stops.Lift(c.Request().Context(), c.Param("stop")); err != nil {
		return err
	}
	d.setFlash(c, flashLifted)
	_, page := listQuery(c)
	return c.Redirect(http.StatusSeeOther, onPage(stopsURL(visitOf(c).env), page))
}
