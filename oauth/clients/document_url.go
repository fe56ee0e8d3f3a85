package clients

import (
	"errors"
	"net/netip"
	"net/url"
	"strings"
)

// maxDocumentURL bounds a client_id that is a URL: it travels in URLs, forms and tokens.
const maxDocumentURL = 1000

// ErrDocumentURL is returned for URLs that cannot be a client_id.
var ErrDocumentURL = errors.New("a client_id that is a URL must be https on a named host, with a path and without dot segments, " +
	"fragment or user name")

// IsDocumentURL reports whether an id is meant as the URL of a metadata document. Whether it may be one, ParseDocumentURL says.
func IsDocumentURL(id string) bool {
	return strings.HasPrefix(id, "https://") || strings.HasPrefix(id, "http://")
}

// ParseDocumentURL applies the rules for a client_id that is a URL (Client ID Metadata Document draft -02 §3). Two spellings of
// one address are two clients: nothing is normalized (RFC 3986 §6.2.1). What another program might read as a different host or
// path (numbers for addresses, encoded dots, trailing dots) is refused.
//
// loopback allows documents on this machine, over http as well: only for an issuer that is on loopback itself (§8.6).
// Errors: ErrDocumentURL.
func ParseDocumentURL(id string, loopback bool) (*url.URL, error) {
	if !IsDocumentURL(id) || len(id) > maxDocumentURL || strings.ContainsAny(id, "#@\\\"<>^`{|}") || !printableASCII(id) {
		return nil, ErrDocumentURL
	}
	u, err := url.Parse(id)
	if err != nil || u.Opaque != "" || u.User != nil || strings.HasSuffix(u.Host, ":") || dotSegments(u.EscapedPath()) {
		return nil, ErrDocumentURL
	}
	if path := u.EscapedPath(); path == "" || path == "/" {
		return nil, ErrDocumentURL
	}
	if loopback && IsLoopbackHost(u.Hostname()) {
		return u, nil
	}
	if u.Scheme != "https" || !namedHost(u.Hostname()) {
		return nil, ErrDocumentURL
	}
	return u, nil
}

// dotSegments reports whether a path has a segment that programs resolve away, in any spelling.
func dotSegments(path string) bool {
	for segment := range strings.SplitSeq(path, "/") {
		switch strings.ReplaceAll(strings.ToLower(segment), "%2e", ".") {
		case ".", "..":
			return true
		}
	}
	return false
}

// namedHost reports whether host is a full domain name in ASCII. An address names nobody; a single label or a trailing dot means
// something else on each network.
func namedHost(host string) bool {
	if len(host) > 253 || !strings.Contains(host, ".") {
		return false
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return false
	}
	last := ""
	for label := range strings.SplitSeq(host, ".") {
		if len(label) == 0 || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' || strings.ContainsFunc(label, notHostRune) {
			return false
		}
		last = label
	}
	// Browsers and resolvers read 0x7f.1, 0177.0.0.1 and 2130706433 as addresses: a name never ends in a number.
	return last[0] < '0' || last[0] > '9'
}

func notHostRune(c rune) bool {
	return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-'
}
