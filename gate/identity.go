package gate

import (
	"context"
	"net/http"
	"strings"
	"time"
)

// Identity is who calls, as the access token says.
type Identity struct {
	Issuer       string
	User         string // sub
	Organization string // org_id; empty when the user acts for none
	Client       string // client_id
	Grant        string // grant_id
	TokenID      string // jti
	Scopes       []string
	IssuedAt     time.Time
	ExpiresAt    time.Time

	notBefore time.Time
	audience  []string
}

type identityKey struct{}

// IdentityFrom returns who makes the request that ctx belongs to. It is there below Middleware and nowhere else.
func IdentityFrom(ctx context.Context) (Identity, bool) {
	id, ok := ctx.Value(identityKey{}).(*Identity)
	if !ok {
		return Identity{}, false
	}
	return *id, true
}

func withIdentity(ctx context.Context, id *Identity) context.Context {
	return context.WithValue(ctx, identityKey{}, id)
}

// Headers that tell the MCP server behind the gate who calls. Inbound copies are always removed.
const (
	HeaderUser         = "Ostiary-User"
	HeaderOrganization = "Ostiary-Organization"
	HeaderClient       = "Ostiary-Client"
	HeaderGrant        = "Ostiary-Grant"
	HeaderScopes       = "Ostiary-Scopes"
)

// setIdentity writes the identity headers. Organization and Grant are left out when the token has none.
func setIdentity(h http.Header, id *Identity) {
	h.Set(HeaderUser, id.User)
	h.Set(HeaderClient, id.Client)
	if id.Organization != "" {
		h.Set(HeaderOrganization, id.Organization)
	}
	if id.Grant != "" {
		h.Set(HeaderGrant, id.Grant)
	}
	h.Set(HeaderScopes, strings.Join(id.Scopes, " "))
}

// stripInbound removes what a client must not be able to say to the MCP server: its token (the server is not its audience;
// MCP forbids passing it on), identity headers, a second HTTP method, a protocol switch past the inspection.
func stripInbound(h http.Header) {
	for name := range h {
		// WSGI and CGI servers read Ostiary_User and Ostiary-User as the same variable.
		switch plain := strings.ReplaceAll(strings.ToLower(name), "_", "-"); {
		case strings.HasPrefix(plain, "ostiary-"):
			delete(h, name)
		case plain == "authorization", plain == "proxy-authorization",
			plain == "connection", plain == "upgrade", plain == "http2-settings", plain == "origin",
			plain == "x-http-method", plain == "x-http-method-override", plain == "x-method-override":
			delete(h, name)
		}
	}
}

// headerSafe reports whether s can be a header value as it is: printable ASCII without surrounding spaces.
func headerSafe(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return s == strings.TrimSpace(s)
}
