package oauth

import (
	"net/http"

	"github.com/labstack/echo/v4"
)

// What the protocol endpoints and documents say to browser-based hosts. All answers share the values and none changes them.
var (
	anyOrigin      = []string{"*"}
	exposedHeaders = []string{"WWW-Authenticate, Retry-After, ETag"}
)

// allowAnyOrigin lets browser-based hosts call the protocol endpoints. No credentials: nothing there reads a cookie.
func allowAnyOrigin(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		allowAnyone(c.Response().Header())
		return next(c)
	}
}

func allowAnyone(h http.Header) {
	h["Access-Control-Allow-Origin"] = anyOrigin
	h["Access-Control-Expose-Headers"] = exposedHeaders
}

// preflight answers OPTIONS; the 2025 SDKs send MCP-Protocol-Version even on discovery.
func preflight(c echo.Context) error {
	allowPreflight(c.Response())
	return nil
}

func allowPreflight(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Access-Control-Allow-Methods", "GET, HEAD, POST, OPTIONS")
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Accept, If-None-Match, Last-Event-ID, MCP-Protocol-Version")
	h.Set("Access-Control-Max-Age", "86400")
	w.WriteHeader(http.StatusNoContent)
}
