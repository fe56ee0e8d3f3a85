package oauth

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// Endpoint paths, below the issuer URL.
const (
	pathAuthorize   = "/authorize"
	pathToken       = "/token"
	pathRegister    = "/register"
	pathRevoke      = "/revoke"
	pathIntrospect  = "/introspect"
	pathUserinfo    = "/userinfo"
	pathLogout      = "/logout"
	pathSignOut     = "/logout/confirm"
	pathSignedOut   = "/logout/done"
	pathJWKS        = "/.well-known/jwks.json"
	pathInteraction = "/interaction"
	pathLogin       = "/interaction/login"
	pathConsent     = "/interaction/consent"
	pathSwitch      = "/interaction/switch"
	pathBrand       = "/brand.css"
	pathLogo        = "/clients/logo"
	pathPolicy      = "/resources/:id/policy"
	pathCalls       = "/resources/:id/calls"
	pathRevocations = "/resources/:id/revocations"
	pathMetadata    = "/.well-known/oauth-authorization-server"
	pathOpenID      = "/.well-known/openid-configuration"
)

// Pattern is how an operator lays out issuer URLs: "https://{environment}.auth.example.com" or
// "https://auth.example.com/i/{environment}".
type Pattern struct {
	scheme     string
	hostBefore string // of {environment}, in the host form
	hostAfter  string
	host       string // in the path form
	pathBefore string // "/i/", empty in the host form
}

const placeholder = "{environment}"

// ParsePattern reads an issuer pattern that config has validated.
func ParsePattern(raw string) Pattern {
	scheme, rest, _ := strings.Cut(raw, "://")
	host, path, _ := strings.Cut(rest, "/")
	p := Pattern{scheme: scheme, host: host}
	if before, after, ok := strings.Cut(host, placeholder); ok {
		p.hostBefore, p.hostAfter = before, after
		return p
	}
	p.pathBefore = "/" + strings.TrimSuffix(path, placeholder)
	return p
}

// Target is where a request goes: an issuer and a path below it.
type Target struct {
	IssuerURL string
	Path      string
}

// Locate maps the host and path of a request to an issuer URL, which is then looked up among the stored ones: nothing a
// client sends becomes part of an issuer. ok is false for what is no issuer's.
func (p Pattern) Locate(r *http.Request) (Target, bool) {
	path, host := r.URL.EscapedPath(), strings.ToLower(r.Host)
	switch {
	case p.SharedBy(host):
		return p.locatePath(path)
	case p.pathBefore == "" && strings.HasPrefix(host, p.hostBefore) && strings.HasSuffix(host, p.hostAfter) &&
		len(host) > len(p.hostBefore)+len(p.hostAfter):
		return Target{IssuerURL: p.scheme + "://" + host, Path: path}, true
	}
	return p.locateDomain(host, path)
}

// SharedBy reports whether host is the one that all issuers share in the path form.
func (p Pattern) SharedBy(host string) bool { return p.pathBefore != "" && SameHost(host, p.host) }

// locateDomain is the custom-domain form: the whole host is the issuer, over https unless it is this computer.
func (p Pattern) locateDomain(host, path string) (Target, bool) {
	scheme, port := "https", "443"
	if isLoopback(host) {
		scheme = p.scheme
	}
	if scheme == "http" {
		port = "80"
	}
	host = strings.TrimSuffix(host, ":"+port)
	u, err := url.Parse(scheme + "://" + host)
	if err != nil || u.Host != host || host == "" {
		return Target{}, false
	}
	return Target{IssuerURL: scheme + "://" + host, Path: path}, true
}

// SameHost reports whether a request's Host names a host of ours, whose URL says it without a default port. The names of this
// computer always do: nobody can make somebody else's browser send them to us, and tunnels and people on the machine do.
func SameHost(host, ours string) bool {
	if strings.EqualFold(host, ours) {
		return true
	}
	name, port := splitHost(host)
	if isThisComputer(name) {
		return true
	}
	ourName, ourPort := splitHost(ours)
	if ourPort == "" && (port == "80" || port == "443") {
		port = ""
	}
	return port == ourPort && strings.EqualFold(name, ourName)
}

func splitHost(host string) (name, port string) {
	name, port, err := net.SplitHostPort(host)
	if err != nil {
		return strings.Trim(host, "[]"), ""
	}
	return name, port
}

func isThisComputer(name string) bool {
	ip, err := netip.ParseAddr(name)
	return strings.EqualFold(name, "localhost") || (err == nil && ip.IsLoopback())
}

// isLoopback also takes the names below localhost (RFC 6761 §6.3).
func isLoopback(host string) bool {
	name, _ := splitHost(host)
	return isThisComputer(name) || strings.HasSuffix(name, ".localhost")
}

// locatePath takes both spellings of well-known URLs: inserted before the issuer's path (RFC 8414 §3.1) and appended to it
// (OpenID Connect Discovery §4, and what some hosts try first).
func (p Pattern) locatePath(path string) (Target, bool) {
	for _, known := range [...]string{pathMetadata, pathOpenID} {
		rest, ok := strings.CutPrefix(path, known)
		if !ok {
			continue
		}
		if rest, ok = strings.CutPrefix(rest, p.pathBefore); ok {
			if rest == "" || strings.Contains(rest, "/") {
				return Target{}, false
			}
			return Target{IssuerURL: p.issuer(rest), Path: known}, true
		}
	}
	rest, ok := strings.CutPrefix(path, p.pathBefore)
	if !ok {
		return Target{}, false
	}
	slug, below := rest, "/"
	if at := strings.IndexByte(rest, '/'); at >= 0 {
		slug, below = rest[:at], rest[at:]
	}
	if slug == "" {
		return Target{}, false
	}
	return Target{IssuerURL: p.issuer(slug), Path: below}, true
}

func (p Pattern) issuer(slug string) string { return p.scheme + "://" + p.host + p.pathBefore + slug }

// Owns reports whether a path of the shared host can only be an issuer's, so that one which is nobody's is simply not found.
func (p Pattern) Owns(path string) bool {
	return strings.HasPrefix(path, p.pathBefore) || strings.HasPrefix(path, "/.well-known/")
}
