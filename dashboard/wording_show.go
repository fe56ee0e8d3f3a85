package dashboard

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/web"
	"github.com/ostiary/ostiary/templates/pages"
)

// showFirstWording leads to the wording of the first permission.
func (d *Dashboard) showFirstWording(c echo.Context) error {
	p, err := d.loadServer(c, tabWording)
	if err != nil {
		return err
	}
	if len(p.status.Draft.Scopes) == 0 {
		return errs.New(errs.NotFound, "There is no permission yet.")
	}
	return c.Redirect(http.StatusSeeOther, p.url(tabWording, p.status.Draft.Scopes[0].ID))
}

// showWording shows the wording of a permission beside the page people will see.
func (d *Dashboard) showWording(c echo.Context) error {
	p, err := d.loadWording(c)
	if err != nil {
		return err
	}
	view := d.wordingView(c, p, p.current())
	return web.Render(c, http.StatusOK, pages.Wording(view))
}
