package tenants

import (
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/ostiary/ostiary/app/errs"
)

// maxIdentifier is the longest resource identifier the schema keeps.
const maxIdentifier = 2000

// CanonicalIdentifier returns the one spelling of a resource identifier (RFC 8707 §2) that is stored, compared and minted:
// scheme and host in lower case, no default port, no slash after a bare host. A slash at the end of a path stays: clients
// that add or drop it are served by an alias. It is a pure function, and the same text gives the same spelling again.
// Errors: errs.Invalid.
func CanonicalIdentifier(raw string) (string, error) {
	if problem := plainURL(raw); problem != "" {
		return "", errs.New(errs.Invalid, problem)
	}
	u, err := url.Parse(raw)
	if err != nil || u.Opaque != "" || u.Hostname() == "" {
		return "", errs.New(errs.Invalid, "Write a full address, such as https://mcp.example.com/mcp.")
	}
	scheme := strings.ToLower(u.Scheme)
	switch {
	case scheme != "http" && scheme != "https":
		return "", errs.New(errs.Invalid, "The address must start with https:// or http://.")
	case u.User != nil || strings.ContainsAny(raw, "?#"):
		return "", errs.New(errs.Invalid, "The address must not contain a user name, a query or a fragment.")
	case strings.HasSuffix(u.Hostname(), "."):
		return "", errs.New(errs.Invalid, "The host name must not end with a dot.")
	}
	port, ok := canonicalPort(scheme, u.Port())
	if !ok {
		return "", errs.New(errs.Invalid, "The port must be between 1 and 65535.")
	}
	path := u.Path // plainURL left nothing in it that has two spellings
	if path == "/" {
		path = ""
	}
	canonical := scheme + "://" + strings.ToLower(hostOnly(u.Host)) + port + path
	if len(canonical) > maxIdentifier {
		return "", errs.New(errs.Invalid, "The address is too long.")
	}
	return canonical, nil
}

// plainURL refuses what people, browsers and libraries read differently: anything but visible ASCII, escapes, backslashes,
// dot segments (RFC 3986 §6.2.2).
func plainURL(raw string) string {
	for _, c := range []byte(raw) {
		if c <= ' ' || c > '~' || strings.IndexByte("\"<>\\^`{|}%", c) >= 0 {
			return "Use plain letters, digits and punctuation only, without spaces or %-escapes. " +
				"Write international host names as xn--…"
		}
	}
	for segment := range strings.SplitSeq(raw, "/") {
		if segment == "." || segment == ".." {
			return "The path must not contain “.” or “..” parts."
		}
	}
	return ""
}

// hostOnly returns the host of a URL's authority without its port, an IPv6 address in its brackets.
func hostOnly(host string) string {
	if i := strings.LastIndexByte(host, ':'); i > strings.LastIndexByte(host, ']') {
		return host[:i]
	}
	return host
}

func canonicalPort(scheme, port string) (string, bool) {
	if port == "" {
		return "", true
	}
	n, err := strconv.ParseUint(port, 10, 16)
	switch {
	case err != nil || n == 0:
		return "", false
	case scheme == "http" && n == 80, scheme == "https" && n == 443:
		return "", true
	}
	return ":" + strconv.FormatUint(n, 10), true
}

// CanonicalIssuer returns the one spelling of an issuer URL: a canonical identifier in lower case without a slash at its
// end (RFC 8414 §2: no query, no fragment). Plain http is for loopback hosts only. Errors: errs.Invalid.
func CanonicalIssuer(raw string) (string, error) {
	canonical, err := CanonicalIdentifier(strings.TrimRight(raw, "/"))
	if err != nil {
		return "", err
	}
	canonical = strings.ToLower(canonical)
	if !secureOrLoopback(canonical) {
		return "", errs.New(errs.Invalid, "An issuer needs https://, except on this computer (localhost, 127.0.0.1).")
	}
	return canonical, nil
}

// secureOrLoopback reports whether tokens sent to this address cannot be read on the way.
func secureOrLoopback(address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	host := u.Hostname()
	if u.Scheme == "https" || host == "localhost" || strings.HasSuffix(host, ".localhost") { // RFC 6761 §6.3
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
