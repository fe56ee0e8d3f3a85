package dashboard

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/ostiary/ostiary/templates/layout"
)

// cookieName prefixes a cookie's name where the connection allows it: a __Host- cookie cannot be set by a sister host.
func (d *Dashboard) cookieName(name string) string {
	if d.secure {
		return "__Host-ostiary_" + name
	}
	return "ostiary_" + name
}

func (d *Dashboard) setCookie(c echo.Context, name, value string, expires time.Time) {
	c.SetCookie(&http.Cookie{
		Name: d.cookieName(name), Value: value, Path: "/", Expires: expires, Secure: d.secure, HttpOnly: true,
		SameSite: http.SameSiteLaxMode,
	})
}

func (d *Dashboard) clearCookie(c echo.Context, name string) {
	c.SetCookie(&http.Cookie{
		Name: d.cookieName(name), Path: "/", MaxAge: -1, Secure: d.secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

const sessionCookie = "member"

func (d *Dashboard) sessionValue(c echo.Context) string {
	cookie, err := c.Cookie(d.cookieName(sessionCookie))
	if err != nil {
		return ""
	}
	return cookie.Value
}

// A flash is what the page after a redirect confirms. The cookie holds one of these names, never a text.
const (
	flashCookie    = "flash"
	flashSaved     = "saved"
	flashUnchanged = "unchanged"
	flashPublished = "published"
	flashStopped   = "stopped"
	flashLifted    = "lifted"
)

const flashLifetime = time.Minute

func (d *Dashboard) setFlash(c echo.Context, name string) {
	d.setCookie(c, flashCookie, name, d.now().Add(flashLifetime))
}

// takeFlash returns what to confirm, once.
func (d *Dashboard) takeFlash(c echo.Context) *layout.FlashView {
	cookie, err := c.Cookie(d.cookieName(flashCookie))
	if err != nil {
		return nil
	}
	d.clearCookie(c, flashCookie)
	switch cookie.Value {
	case flashSaved:
		return &layout.FlashView{Text: "Draft saved. People see it once you publish."}
	case flashUnchanged:
		return &layout.FlashView{Text: "Nothing to save: the wording is as it was."}
	case flashPublished:
		return &layout.FlashView{Text: "Published. The next consent shows it."}
	case flashStopped:
		return &layout.FlashView{Text: "Stopped. MCP servers hear it within seconds."}
	case flashLifted:
		return &layout.FlashView{Text: "Lifted. It works again within seconds."}
	}
	return nil
}
