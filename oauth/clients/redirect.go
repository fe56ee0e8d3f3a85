package clients

import (
	"errors"
	"maps"
	"net"
	"net/url"
	"slices"
	"strings"
)

// RedirectKind says where a redirect URI leads.
type RedirectKind uint8

const (
	RedirectRefused  RedirectKind = iota // never acceptable
	RedirectWeb                          // https on a host that can be checked
	RedirectLoopback                     // http on the user's own machine; its port is not compared
	RedirectPrivate                      // a private-use scheme such as cursor://
)

// Redirect is a classified redirect URI. The zero value is one that is refused.
type Redirect struct {
	URI  string // as it was sent
	Kind RedirectKind
	Host string // the host for web and loopback, the scheme with "://" for private-use schemes
	Port string
	url  *url.URL
}

const maxRedirectLength = 1000

// ErrRedirect is returned for redirect URIs that no client may have.
var ErrRedirect = errors.New("redirect URI must be https, http on localhost, 127.0.0.1 or [::1], or a private-use scheme, " +
	"with no fragment, user name or wildcard")

// runnableSchemes would make the browser run or read something instead of leaving; blob and filesystem carry an origin.
var runnableSchemes = map[string]bool{
	"javascript": true, "data": true, "vbscript": true, "file": true, "blob": true, "filesystem": true, "about": true,
	"view-source": true, "ws": true, "wss": true, "ftp": true, "mailto": true, "tel": true, "sms": true, "intent": true,
	"chrome": true, "chrome-extension": true, "moz-extension": true, "ms-settings": true, "jar": true, "content": true,
	"search-ms": true, "ms-officecmd": true, "ms-msdt": true, "ms-appinstaller": true,
	"ms-search": true, "search": true, "shell": true, "res": true, "mhtml": true, "livescript": true, "cid": true,
	"urn": true, "resource": true,
}

// ErrScheme is returned for private-use schemes that only a client may have which the tenant named.
var ErrScheme = errors.New("an app that describes itself may return to a private-use scheme only if that is a domain of its maker in " +
	"reverse, such as com.example.app:/callback (RFC 8252, section 7.1); use such a scheme, https, or http on 127.0.0.1, " +
	"or ask the people who run this server to name the app, or its scheme in redirect_schemes, in their tenant file")

// Schemes are the private-use schemes of known hosts. An app that describes itself may have one of them, or one with a dot: any other
// word could be a program's that was never meant to read answers, and nobody would have decided so.
type Schemes map[string]bool

// Validate returns nil when a client that describes itself may have raw as a redirect URI. What a tenant's file names need not
// pass it: that is the tenant's decision. Errors: ErrRedirect, ErrScheme.
func (s Schemes) Validate(raw string) error {
	r := ParseRedirect(raw)
	if r.Kind == RedirectRefused {
		return ErrRedirect
	}
	if scheme := strings.TrimSuffix(r.Host, "://"); r.Kind == RedirectPrivate && !s[scheme] && !reverseDomain(scheme) {
		return ErrScheme
	}
	return nil
}

// with returns s and more.
func (s Schemes) with(more []string) Schemes {
	if len(more) == 0 {
		return s
	}
	all := maps.Clone(s)
	for _, scheme := range more {
		all[scheme] = true
	}
	return all
}

// reverseDomain reports whether a scheme reads as a domain in reverse: labels with dots between them.
func reverseDomain(scheme string) bool {
	labels := strings.Split(scheme, ".")
	return len(labels) > 1 && !slices.Contains(labels, "")
}

// ParseRedirect classifies a redirect URI. What is malformed or could be read in two ways is RedirectRefused.
func ParseRedirect(raw string) Redirect {
	if len(raw) == 0 || len(raw) > maxRedirectLength || strings.ContainsAny(raw, "#*\\") || !printableASCII(raw) {
		return Redirect{}
	}
	u, err := url.Parse(raw)
	if err != nil || u.User != nil || u.Opaque != "" || u.Scheme == "" {
		return Redirect{}
	}
	scheme := strings.ToLower(u.Scheme)
	switch {
	case scheme == "https":
		return hostRedirect(raw, u, RedirectWeb)
	case scheme == "http":
		if !IsLoopbackHost(u.Hostname()) {
			return Redirect{}
		}
		return hostRedirect(raw, u, RedirectLoopback)
	case runnableSchemes[scheme] || !strings.HasPrefix(raw[len(u.Scheme):], ":/"):
		return Redirect{}
	}
	// RFC 8252 §7.1: private-use schemes. They need PKCE, which every client here needs.
	return Redirect{URI: raw, Kind: RedirectPrivate, Host: scheme + "://", url: u}
}

func hostRedirect(raw string, u *url.URL, kind RedirectKind) Redirect {
	if u.Hostname() == "" || strings.HasSuffix(u.Host, ":") {
		return Redirect{}
	}
	return Redirect{URI: raw, Kind: kind, Host: strings.ToLower(u.Hostname()), Port: u.Port(), url: u}
}

// StaysLocal reports whether the URI stays on the user's device, where any program could be waiting for the answer
// (RFC 8252 §8.6): consent is never skipped for it, whatever else the client may have registered.
func (r Redirect) StaysLocal() bool { return r.Kind != RedirectWeb }

// IsLoopbackHost reports whether host is localhost, 127.0.0.0/8 or ::1. Names below localhost do not count.
func IsLoopbackHost(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// MatchRedirect reports whether want equals a registered redirect URI: byte for byte (RFC 9700 §4.1.3), except that the
// port of a loopback URI is not compared (RFC 8252 §7.3, OAuth 2.1 §4.1.1). localhost and 127.0.0.1 stay different hosts.
func (c *Client) MatchRedirect(want Redirect) bool {
	if want.Kind == RedirectRefused {
		return false
	}
	for _, registered := range c.RedirectURIs {
		if registered == want.URI {
			return true
		}
		have := ParseRedirect(registered)
		if want.Kind == RedirectLoopback && have.Kind == RedirectLoopback && sameButPort(want.url, have.url) {
			return true
		}
	}
	return false
}

func sameButPort(a, b *url.URL) bool {
	return strings.EqualFold(a.Hostname(), b.Hostname()) && a.EscapedPath() == b.EscapedPath() && a.RawQuery == b.RawQuery &&
		a.ForceQuery == b.ForceQuery
}

func printableASCII(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}
