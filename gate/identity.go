package gate

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/ostiary/ostiary/app/calls"
	"github.com/ostiary/ostiary/app/policy"
)

// Identity is who calls, as the access token says.
type Identity struct {
	Issuer       string
	User         string // sub
	Organization string // org_id; empty when the user acts for none
	Client       string // client_id
	Host         string // host: what the issuer checked about the client; empty when nothing could be
	Grant        string // grant_id
	TokenID      string // jti
	Scopes       []string
	IssuedAt     time.Time
	ExpiresAt    time.Time

	notBefore time.Time
	audience  []string
	proof     calls.Proof
}

// subject is what a decision reads of it.
func (id *Identity) subject() policy.Subject {
	return policy.Subject{User: id.User, Organization: id.Organization, Client: id.Client, Host: id.Host, Grant: id.Grant,
		Scopes: id.Scopes}
}

// passage is what the gate notes of one request for what lies below it.
type passage struct {
	identity *Identity
	message  []byte // id of the only JSON-RPC message, for an error that is found later
}

type passageKey struct{}

func passageFrom(ctx context.Context) *passage {
	p, _ := ctx.Value(passageKey{}).(*passage)
	return p
}

// IdentityFrom returns who makes the request that ctx belongs to. It is there below Middleware and nowhere else.
func IdentityFrom(ctx context.Context) (Identity, bool) {
	p := passageFrom(ctx)
	if p == nil {
		return Identity{}, false
	}
	return *p.identity, true
}

// Headers that tell the MCP server behind the gate who calls. Inbound copies are always removed.
const (
	HeaderUser         = "Ostiary-User"
	HeaderOrganization = "Ostiary-Organization"
	HeaderClient       = "Ostiary-Client"
	HeaderGrant        = "Ostiary-Grant"
	HeaderScopes       = "Ostiary-Scopes"
)

// identityHeaders lists every header that tells the MCP server who calls.
func identityHeaders() []string {
	return []string{HeaderUser, HeaderOrganization, HeaderClient, HeaderGrant, HeaderScopes, HeaderIdentity}
}

// setIdentity writes the plain identity headers. Organization and Grant are left out when the token has none.
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
// MCP forbids passing it on), identity headers, a second HTTP method, a protocol switch past the inspection. Names with an
// underscore go too: to WSGI and CGI servers Ostiary_User and Ostiary-User are the same variable.
func stripInbound(h http.Header) {
	for name := range h { // canonical, as net/http reads them
		if strings.HasPrefix(name, "Ostiary-") || strings.Contains(name, "_") {
			delete(h, name)
		}
	}
	for _, name := range append(methodOverrides(), "Authorization", "Proxy-Authorization", "Connection", "Upgrade",
		"Http2-Settings", "Origin") {
		delete(h, name)
	}
}

// methodOverrides are headers that some servers take for the method of a request.
func methodOverrides() []string {
	return []string{"X-Http-Method", "X-Http-Method-Override", "X-Method-Override"}
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
