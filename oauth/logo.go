package oauth

import (
	"net/http"
	"net/url"

	"github.com/labstack/echo/v4"

	"github.com/ostiary/ostiary/oauth/clients"
)

// logoURL returns where the logo of a client is shown from: our own host, so that a page makes nobody else's hear of it. Empty
// while there is none.
func (i *Issuer) logoURL(client *clients.Client) string {
	logo, ok := i.Clients.LogoOf(client)
	if !ok {
		return ""
	}
	return i.path(pathLogo) + "/" + logo.Hash + "?client_id=" + url.QueryEscape(client.ID)
}

// showLogo serves a client's logo as we drew it. The client is named as well: the page may have come from another node.
func (m *Module) showLogo(c echo.Context) error {
	ctx := c.Request().Context()
	i, err := issuerFrom(ctx)
	if err != nil {
		return err
	}
	client, err := i.Clients.Get(ctx, c.QueryParam("client_id"))
	if err != nil {
		return bareNotFound(c)
	}
	logo, err := i.Clients.Logo(ctx, client)
	if err != nil || logo.Hash != c.Param("hash") {
		return bareNotFound(c)
	}
	c.Response().Header().Set("Cache-Control", "public, max-age=86400, immutable")
	return c.Blob(http.StatusOK, "image/png", logo.PNG)
}
