package gate

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/ostiary/ostiary/app/calls"
)

// UpstreamHeaders are what the MCP server behind the gate wants to see: a server that is not changed keeps asking for the key
// it always asked for, and gets it from here.
type UpstreamHeaders struct {
	Always http.Header
	// Organizations has headers for the users of one organization, by its id. When there are any, users of others, and of
	// none, are refused: without a key of their own they must not end up with somebody else's.
	Organizations map[string]http.Header
}

// managed lists every header that is only ever the gate's to send.
func (u *UpstreamHeaders) managed() ([]string, error) {
	var names []string
	lists := []http.Header{u.Always}
	for _, h := range u.Organizations {
		lists = append(lists, h)
	}
	seen := map[string]bool{}
	for _, h := range lists {
		for name, values := range h {
			canonical := http.CanonicalHeaderKey(name)
			if !headerName(name) || forbiddenUpstream(canonical) {
				return nil, fmt.Errorf("gate: %q cannot be sent to the MCP server", name)
			}
			for _, value := range values {
				if !headerSafe(value) {
					return nil, fmt.Errorf("gate: the value of the header %s has characters it cannot have", name)
				}
			}
			if !seen[canonical] {
				seen[canonical] = true
				names = append(names, canonical)
			}
		}
	}
	return names, nil
}

// forbiddenUpstream lists headers that would change what the gate decided or how the request is read.
func forbiddenUpstream(name string) bool {
	switch name {
	case "Host", "Connection", "Content-Length", "Content-Type", "Content-Encoding", "Transfer-Encoding", "Upgrade", "Te",
		"Trailer", "Origin":
		return true
	}
	return strings.HasPrefix(name, "Ostiary-") || strings.HasPrefix(name, "Mcp-")
}

// upstreamAuth is UpstreamHeaders prepared for use.
type upstreamAuth struct {
	headers UpstreamHeaders
	names   []string
}

func newUpstreamAuth(u *UpstreamHeaders) (*upstreamAuth, error) {
	if u == nil {
		return &upstreamAuth{}, nil
	}
	names, err := u.managed()
	return &upstreamAuth{headers: *u, names: names}, err
}

// knows reports whether there is what the MCP server wants to see of id. A legacy key is of its own.
func (u *upstreamAuth) knows(id *Identity) bool {
	if len(u.headers.Organizations) == 0 || id.proof == calls.ProofLegacy {
		return true
	}
	_, known := u.headers.Organizations[id.Organization]
	return known
}

// set writes the headers for id over whatever the client sent under their names. The legacy key of who came by one stays.
func (u *upstreamAuth) set(h http.Header, id *Identity, l *legacy) {
	own := ""
	if id.proof == calls.ProofLegacy && l != nil {
		own = l.header
	}
	for _, name := range u.names {
		if name != own {
			delete(h, name)
		}
	}
	for _, headers := range [...]http.Header{u.headers.Always, u.headers.Organizations[id.Organization]} {
		for name, values := range headers {
			if canonical := http.CanonicalHeaderKey(name); canonical != own {
				h[canonical] = values
			}
		}
	}
}

// notSetUp answers users of an organization that the MCP server has not been told of.
func notSetUp(b body) *denial {
	return &denial{status: http.StatusForbidden, body: rpcAnswerTo(b.id(), rpcError{Code: rpcNotSetUp,
		Message: "Your organization is not set up for this MCP server. Ask its operator to add it."})}
}

const rpcNotSetUp = -32015
