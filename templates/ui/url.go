package ui

import (
	"net/url"
	"strings"

	"github.com/a-h/templ"
)

// refused is where a form points when its address is not one of ours: nowhere. Nothing is sent.
const refused = "about:invalid"

// LinkURL returns raw if a link may lead there, and "" otherwise. It accepts paths, queries and fragments on this host,
// http and https with a host, and mailto. It is stricter than the browser: no control characters, no backslash, no
// surrounding space, no "//host", because browsers repair such things into addresses nobody meant.
func LinkURL(raw string) templ.SafeURL {
	if !clean(raw) {
		return ""
	}
	if local(raw) || raw[0] == '#' {
		return templ.SafeURL(raw)
	}
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	switch u.Scheme {
	case "http", "https":
		if u.Host != "" && u.User == nil {
			return templ.SafeURL(raw)
		}
	case "mailto":
		if u.Opaque != "" {
			return templ.SafeURL(raw)
		}
	}
	return ""
}

// PostURL returns raw if a form may post there: a path or a query on this host. Anything else posts nowhere.
func PostURL(raw string) templ.SafeURL {
	if clean(raw) && local(raw) {
		return templ.SafeURL(raw)
	}
	return refused
}

// AssetURL returns raw if it is a path on this host, and "" otherwise.
func AssetURL(raw string) templ.SafeURL {
	if clean(raw) && local(raw) && raw[0] == '/' {
		return templ.SafeURL(raw)
	}
	return ""
}

// ImageURL returns raw if it is a path on this host or an image in a data URL, and "" otherwise. An SVG in an img element
// runs no script, so data:image/svg+xml is as safe as the others.
func ImageURL(raw string) templ.SafeURL {
	if u := AssetURL(raw); u != "" {
		return u
	}
	if !clean(raw) {
		return ""
	}
	for _, kind := range []string{"png", "jpeg", "webp", "gif", "svg+xml"} {
		if data, ok := strings.CutPrefix(raw, "data:image/"+kind+";base64,"); ok && base64Only(data) {
			return templ.SafeURL(raw)
		}
	}
	return ""
}

// clean refuses what browsers silently strip or turn round: control characters, spaces, backslashes.
func clean(raw string) bool {
	if raw == "" {
		return false
	}
	return !strings.ContainsFunc(raw, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '\\' })
}

// local tells whether raw stays on this host. "//host" does not.
func local(raw string) bool {
	return raw[0] == '?' || raw[0] == '/' && !strings.HasPrefix(raw, "//")
}

func base64Only(data string) bool {
	if data == "" {
		return false
	}
	return strings.Trim(data, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=") == ""
}
