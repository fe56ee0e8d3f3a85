package web

import (
	"maps"
	"net/http"

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

// setSecurityHeaders sets the headers every answer carries. Cross-Origin-Opener-Policy is left at its default on purpose: hosts
// that open the consent page as a popup lose their handle on it otherwise.
func setSecurityHeaders(c echo.Context) {
	h := c.Response().Header()
	maps.Copy(h, securityHeaders)
	if c.IsTLS() || c.Scheme() == "https" {
		h.Set("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
	}
}

// Values of headers that most answers have, shared as above.
var (
	noStore  = []string{"no-store"}
	htmlType = []string{"text/html; charset=utf-8"}
	jsonType = []string{"application/json"}
)

// NoStore forbids caches to keep an answer.
func NoStore(h http.Header) { h["Cache-Control"] = noStore }

// JSON says that an answer is JSON.
func JSON(h http.Header) { h["Content-Type"] = jsonType }
