package web

import (
	"maps"

	"github.com/labstack/echo/v4"
)

// contentSecurityPolicy has no form-action: browsers apply it along the redirect that follows a consent, and would block
// the way back to the host. It allows nothing but our own origin; data: images are the inline marks of our own stylesheet.
const contentSecurityPolicy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; " +
	"font-src 'self'; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'"

// securityHeaders are what every page's answer carries; all answers share the values and none changes them.
var securityHeaders = map[string][]string{
	"Content-Security-Policy": {contentSecurityPolicy},
	"X-Content-Type-Options":  {"nosniff"},
	"X-Frame-Options":         {"DENY"},
	"Referrer-Policy":         {"no-referrer"},
}

// SecurityHeaders sets the headers every answer carries. Cross-Origin-Opener-Policy is left at its default on purpose: hosts
// that open the consent page as a popup lose their handle on it otherwise.
func SecurityHeaders(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		h := c.Response().Header()
		maps.Copy(h, securityHeaders)
		if c.IsTLS() || c.Scheme() == "https" {
			h.Set("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
		}
		return next(c)
	}
}
