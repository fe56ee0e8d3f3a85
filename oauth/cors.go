package oauth

import (
	"net/http"

	"github.com/labstack/echo/v4"
)

// allowAnyOrigin lets browser-based hosts call the protocol endpoints. No credentials: nothing there reads a cookie.
func allowAnyOrigin(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		h := c.Response().Header()
		h.Set("Access-Control-Allow-Origin", "*")
		h.Set("Access-Control-Expose-Headers", "WWW-Authenticate, Retry-After, ETag")
		return next(c)
	}
}

// preflight answers OPTIONS; the 2025 SDKs send MCP-Protocol-Version even on discovery.
func preflight(c echo.Context) error {
	h := c.Response().Header()
	h.Set("Access-Control-Allow-Methods", "GET, HEAD, POST, OPTIONS")
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Accept, If-None-Match, Last-Event-ID, MCP-Protocol-Version")
	h.Set("Access-Control-Max-Age", "86400")
	return c.NoContent(http.StatusNoContent)
}
