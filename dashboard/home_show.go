package dashboard

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/tenants"
)

// showHome leads to the tenant's first environment, or to the sign-in.
func (d *Dashboard) showHome(c echo.Context) error {
	m, err := d.currentMember(c)
	if errs.Is(err, errs.Unauthenticated) {
		return c.Redirect(http.StatusSeeOther, "/sign-in")
	}
	if err != nil {
		return err
	}
	list, err := d.environments.List(tenants.WithMember(c.Request().Context(), m))
	if err != nil {
		return err
	}
	if len(list) == 0 {
		c.Set(visitKey, &visit{member: m})
		return errs.New(errs.NotFound, "The workspace has no environment yet.")
	}
	return c.Redirect(http.StatusSeeOther, serversURL(list[0]))
}

func (d *Dashboard) showEnvironment(c echo.Context) error {
	return c.Redirect(http.StatusSeeOther, serversURL(visitOf(c).env))
}
