package dashboard

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/ostiary/ostiary/templates/flow"
)

// showBrand serves the environment's brand as a stylesheet, for the preview of its consent page.
func (d *Dashboard) showBrand(c echo.Context) error {
	b := visitOf(c).env.Branding
	css := flow.BrandCSS(flow.Brand{
		Light: flow.BrandColors(b.Light), Dark: flow.BrandColors(b.Dark), Radius: b.Radius, Font: b.Font,
	})
	c.Response().Header().Set("Cache-Control", "no-store")
	return c.Blob(http.StatusOK, "text/css; charset=utf-8", css)
}
