package oauth

import (
	"net"
	"net/http"
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
	pathPolicy      = "/resources/:id/policy"
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
	path := r.URL.EscapedPath()
	if p.pathBefore != "" {
		return p.locatePath(path)
	}
	host := strings.ToLower(r.Host)
	if strings.HasPrefix(host, p.hostBefore) && strings.HasSuffix(host, p.hostAfter) &&
		len(host) > len(p.hostBefore)+len(p.hostAfter) {
		return Target{IssuerURL: p.scheme + "://" + host, Path: path}, true
	}
	return p.locateDomain(host, path)
}

// locateDomain is the custom-domain form: the whole host is the issuer, always over https.
func (p Pattern) locateDomain(host, path string) (Target, bool) {
	if name, port, err := net.SplitHostPort(host); err == nil && port == "443" {
		host = name
	}
	u, err := url.Parse("https://" + host)
	if err != nil || u.Host != host || host == "" {
		return Target{}, false
	}
	return Target{IssuerURL: "https://" + host, Path: path}, true
}

// locatePath takes both spellings of well-known URLs: inserted before the issuer's path (RFC 8414 §3.1) and appended to it
// (OpenID Connect Discovery §4, and what some hosts try first).
func (p Pattern) locatePath(path string) (Target, bool) {
	for _, known := range [...]string{pathMetadata, pathOpenID} {
		if rest, ok := strings.CutPrefix(path, known+p.pathBefore); ok {
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
	slug, below, _ := strings.Cut(rest, "/")
	if slug == "" {
		return Target{}, false
	}
	return Target{IssuerURL: p.issuer(slug), Path: "/" + below}, true
}

func (p Pattern) issuer(slug string) string { return p.scheme + "://" + p.host + p.pathBefore + slug }

// ByHost reports whether issuers have hosts of their own, so that the dashboard's host is told apart by name.
func (p Pattern) ByHost() bool { return p.pathBefore == "" }

// Owns reports whether a path can only be an issuer's, so that one which is nobody's is simply not found.
func (p Pattern) Owns(path string) bool {
	return p.pathBefore != "" && (strings.HasPrefix(path, p.pathBefore) || strings.HasPrefix(path, "/.well-known/"))
}
