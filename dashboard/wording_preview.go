package dashboard

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/ostiary/ostiary/app/web"
	"github.com/ostiary/ostiary/templates/flow"
)

// showWordingPreview answers what the consent page would look like with what is typed at the moment. It saves nothing and
// judges nothing: half a sentence is the normal case.
func (d *Dashboard) showWordingPreview(c echo.Context) error {
	f, err := parseForm(c)
	if err != nil {
		return err
	}
	p, err := d.loadWording(c)
	if err != nil {
		return err
	}
	return web.Render(c, http.StatusOK, flow.ConsentPreview(p.preview(wordingForm(f))))
}
