package apply

import (
	"net/url"
	"strings"
)

// redirectProblem says what is certainly wrong with a redirect URI. The authorization server's own validator, which all
// clients pass, has the last word when the client is stored.
func redirectProblem(uri string) string {
	u, err := url.Parse(uri)
	switch {
	case err != nil || u.Scheme == "" || len(uri) > 2000:
		return "Write a full address to return to."
	case strings.Contains(uri, "#"):
		return "A redirect address has no fragment." // RFC 6749 §3.1.2
	case strings.ContainsFunc(uri, func(r rune) bool { return r <= ' ' || r > '~' || r == '\\' }):
		return "Use visible ASCII characters without spaces or backslashes."
	}
	switch strings.ToLower(u.Scheme) {
	case "https":
		if u.Hostname() == "" || u.User != nil {
			return "Write a host, and no user name."
		}
	case "http":
		if host := u.Hostname(); host != "localhost" && host != "127.0.0.1" && host != "::1" {
			return "Plain http is for this computer only (localhost, 127.0.0.1, [::1])."
		}
	case "javascript", "data", "vbscript", "file", "blob", "about", "filesystem", "ws", "wss", "ftp":
		return "A browser would not return to an application with this scheme."
	}
	return ""
}
