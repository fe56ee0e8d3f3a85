package dashboard

import (
	"net/http"

	"github.com/labstack/echo/v4"
)

// deleteMemberSession signs a member out, here and on the server.
func (d *Dashboard) deleteMemberSession(c echo.Context) error {
	if err := d.sessions.End(c.Request().Context(), d.sessionValue(c)); err != nil {
		return err
	}
	d.clearCookie(c, sessionCookie)
	return c.Redirect(http.StatusSeeOther, "/sign-in")
}
