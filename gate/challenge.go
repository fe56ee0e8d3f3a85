package gate

import "strings"

// Error codes of RFC 6750 §3.1.
const (
	codeInvalidRequest    = "invalid_request"
	codeInvalidToken      = "invalid_token"
	codeInsufficientScope = "insufficient_scope"
)

// challenge is what WWW-Authenticate says. Clients read it with regular expressions, so it is always one header line, Bearer
// first, every value quoted.
type challenge struct {
	code        string   // empty on the very first 401 (RFC 6750 §3.1)
	description string   // for the developer of the client
	scopes      []string // everything this operation needs
	metadataURL string
}

// header builds the header value.
func (c challenge) header() string {
	var b strings.Builder
	b.WriteString("Bearer ")
	sep := ""
	param := func(name, value string) {
		if value == "" {
			return
		}
		b.WriteString(sep + name + `="` + value + `"`)
		sep = ", "
	}
	metadata := printable(c.metadataURL)
	if c.code == "" {
		param("resource_metadata", metadata)
		param("scope", scopeValue(c.scopes))
		return b.String()
	}
	param("error", printable(c.code))
	param("scope", scopeValue(c.scopes))
	param("resource_metadata", metadata)
	param("error_description", shortened(printable(c.description), maxDescription))
	return b.String()
}

// scopeValue joins scopes; one that is no scope-token (RFC 6749 §3.3) is left out rather than bent into another.
func scopeValue(scopes []string) string {
	valid := make([]string, 0, len(scopes))
	for _, s := range scopes {
		if s != "" && !strings.Contains(s, " ") && printable(s) == s {
			valid = append(valid, s)
		}
	}
	return strings.Join(valid, " ")
}

// maxDescription keeps header lines short whatever a client put into a tool's name.
const maxDescription = 300

// printable keeps s to what RFC 6750 §3 allows in a value, %x20-21 / %x23-5B / %x5D-7E; the rest becomes "?".
func printable(s string) string {
	clean := func(r rune) rune {
		if r < ' ' || r > '~' || r == '"' || r == '\\' {
			return '?'
		}
		return r
	}
	return strings.Map(clean, s)
}

func shortened(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "")
}
