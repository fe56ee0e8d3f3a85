package gate

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/ostiary/ostiary/app/calls"
)

// Legacy is migration mode: what callers proved themselves with before OAuth is accepted beside it, under the same policy, and
// passed on to the MCP server, which still checks it. Records say who still uses it, so that one knows when it can end.
type Legacy struct {
	// Header carries the key, e.g. X-Api-Key. In Authorization, the scheme in front of it is left out; a JSON Web Token there is
	// always an access token.
	Header string
	Keys   []LegacyKey
	// Unknown, when set, lets in keys that are not listed, for the MCP server to judge. They are told apart by a part of their
	// hash and may do what it says. Nothing of them is kept.
	Unknown *LegacyUnknown
}

// LegacyKey is who stands behind a key.
type LegacyKey struct {
	SHA256       [sha256.Size]byte // of the key; the key itself is not needed here
	Name         string            // for records: letters, digits, "._-"
	User         string            // whom the call is attributed to; "legacy:" and Name when empty
	Organization string
	Scopes       []string
}

// LegacyUnknown is what a key may do that is not listed.
type LegacyUnknown struct{ Scopes []string }

const (
	legacyPrefix  = "legacy:"
	maxLegacyKey  = 4096
	unknownDigits = 12 // of the hash of a key, to tell keys apart: 48 bits name nobody's key
)

// legacy is Legacy prepared for use.
type legacy struct {
	header  string
	known   map[[sha256.Size]byte]*Identity
	unknown *LegacyUnknown
	others  *recent[[sha256.Size]byte, *Identity]
}

func newLegacy(o *Legacy) (*legacy, error) {
	if o == nil {
		return nil, nil //nolint:nilnil // no migration is the usual case, and a nil *legacy finds nobody
	}
	l := &legacy{header: http.CanonicalHeaderKey(o.Header), known: make(map[[sha256.Size]byte]*Identity, len(o.Keys)),
		unknown: o.Unknown, others: newRecent[[sha256.Size]byte, *Identity](rememberedTokens)}
	switch {
	case !headerName(o.Header):
		return nil, fmt.Errorf("gate: %q is not the name of a header", o.Header)
	case strings.HasPrefix(l.header, "Ostiary-"), l.header == "Cookie", l.header == "Host", strings.HasPrefix(l.header, "Mcp-"):
		return nil, fmt.Errorf("gate: a legacy key cannot be in %s", l.header)
	case len(o.Keys) == 0 && o.Unknown == nil:
		return nil, errors.New("gate: migration mode needs keys, or scopes for unknown ones")
	}
	for _, k := range o.Keys {
		if !plainWord(k.Name) || !headerSafe(k.User) || !headerSafe(k.Organization) {
			return nil, fmt.Errorf("gate: the name, user or organization of the legacy key %q has characters it cannot have", k.Name)
		}
		if _, twice := l.known[k.SHA256]; twice {
			return nil, fmt.Errorf("gate: the legacy key %q is there twice", k.Name)
		}
		l.known[k.SHA256] = legacyIdentity(k.Name, k.User, k.Organization, k.Scopes)
	}
	return l, nil
}

func legacyIdentity(name, user, organization string, scopes []string) *Identity {
	return &Identity{User: cmp.Or(user, legacyPrefix+name), Organization: organization, Client: legacyPrefix + name,
		Scopes: scopes, proof: calls.ProofLegacy}
}

// find returns who stands behind the legacy key of a request. present says that there is one, even when it is nobody's.
func (l *legacy) find(h http.Header) (id *Identity, present bool) {
	if l == nil || l.header != "Authorization" && len(h.Values("Authorization")) > 0 {
		return nil, false // who presents a token is judged by it
	}
	values := h.Values(l.header)
	if len(values) == 0 {
		return nil, false
	}
	key := strings.TrimSpace(values[0])
	if l.header == "Authorization" {
		if _, rest, ok := strings.Cut(key, " "); ok {
			key = strings.TrimSpace(rest)
		}
		if strings.Count(key, ".") == 2 {
			return nil, false // a JSON Web Token: an access token, good or bad
		}
	}
	if len(values) > 1 || key == "" || len(key) > maxLegacyKey {
		return nil, true // of two, nobody knows which one the MCP server takes
	}
	sum := sha256.Sum256([]byte(key))
	if id := l.known[sum]; id != nil {
		return id, true
	}
	if l.unknown == nil {
		return nil, true
	}
	if id, ok := l.others.get(sum); ok {
		return id, true
	}
	id = legacyIdentity("key-"+hex.EncodeToString(sum[:])[:unknownDigits], "", "", l.unknown.Scopes)
	l.others.put(sum, id)
	return id, true
}

// keep lets the legacy key through to the MCP server for who came by it, and takes it away from everybody else: whoever has an
// access token must not add somebody else's key to it.
func (l *legacy) keep(out, in http.Header, id *Identity) {
	if l == nil {
		return
	}
	delete(out, l.header)
	if id.proof == calls.ProofLegacy {
		out[l.header] = in.Values(l.header)
	}
}

// headerName reports whether s is a header name (RFC 9110 §5.1) without an underscore, which servers confuse with a hyphen.
func headerName(s string) bool {
	for _, c := range []byte(s) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && c != '-' {
			return false
		}
	}
	return s != ""
}

// plainWord reports whether s can stand in a record and in a header as a name.
func plainWord(s string) bool {
	for _, c := range []byte(s) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && c != '.' && c != '_' && c != '-' {
			return false
		}
	}
	return s != "" && len(s) <= 64
}
