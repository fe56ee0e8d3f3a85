package gate

import (
	"net/http"
	"strings"
)

// Browser-based hosts call MCP servers from their own origin. Nothing here depends on cookies, so any origin may; the
// bearer token is what counts.
const (
	allowedHeaders = "Authorization, Content-Type, Accept, MCP-Protocol-Version, " +
		"Mcp-Method, Mcp-Name, Mcp-Session-Id, Last-Event-ID"
	exposedHeaders = "WWW-Authenticate, Mcp-Session-Id"
	allowedMethods = "GET, HEAD, POST, DELETE, OPTIONS"
	maxParamNames  = 64
)

func allowOrigins(h http.Header) {
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Expose-Headers", exposedHeaders)
	h.Del("Access-Control-Allow-Credentials")
}

// preflight answers OPTIONS, which browsers send without the token: before authentication, or they never get to it.
func preflight(w http.ResponseWriter, r *http.Request) {
	preflightHeaders(w.Header(), r)
	w.WriteHeader(http.StatusNoContent)
}

func preflightHeaders(h http.Header, r *http.Request) {
	allowOrigins(h)
	h.Set("Access-Control-Allow-Methods", allowedMethods)
	h.Set("Access-Control-Allow-Headers", allowedHeaders+paramHeaders(r.Header.Get("Access-Control-Request-Headers")))
	h.Set("Access-Control-Max-Age", "86400")
	h.Set("Vary", "Access-Control-Request-Headers")
}

// paramHeaders allows the Mcp-Param-* headers a browser asks for: their names are the server's to choose
// (MCP 2026-07-28, custom headers from tool parameters), so no fixed list can hold them.
func paramHeaders(requested string) string {
	var b strings.Builder
	for i, name := range strings.Split(requested, ",") {
		name = strings.ToLower(strings.TrimSpace(name))
		if i < maxParamNames && strings.HasPrefix(name, "mcp-param-") && isFieldName(name) {
			b.WriteString(", " + name)
		}
	}
	return b.String()
}

// isFieldName reports whether s is a token (RFC 9110 §5.6.2).
func isFieldName(s string) bool {
	for _, c := range []byte(s) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
			return false
		}
	}
	return s != ""
}
