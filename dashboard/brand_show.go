package dashboard

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/ostiary/ostiary/templates/flow"
)

// showBrand serves the environment's brand as a stylesheet, for the preview of its consent page.
func (d *Dashboard) showBrand(c echo.Context) error {
	css := flow.BrandCSS(visitOf(c).env.Branding.Flow())
	c.Response().Header().Set("Cache-Control", "no-store")
	return c.Blob(http.StatusOK, "text/css; charset=utf-8", css)
}
