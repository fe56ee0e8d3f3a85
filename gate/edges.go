package gate

import (
	"net/http"
	"time"

	"github.com/ostiary/ostiary/app/calls"
)

// edges is what a gate does for servers and callers that are not as they should be: keys from before OAuth, what a server
// behind it wants to see, how it is told who calls.
type edges struct {
	legacy       *legacy // nil without migration mode
	upstream     *upstreamAuth
	signer       *identitySigner // nil: plain headers
	forwardToken bool
}

func newEdges(o Options, now func() time.Time) (edges, error) {
	e := edges{forwardToken: o.ForwardToken}
	var err error
	if e.legacy, err = newLegacy(o.Legacy); err != nil {
		return e, err
	}
	if e.upstream, err = newUpstreamAuth(o.UpstreamHeaders); err != nil {
		return e, err
	}
	if o.IdentityKey != nil {
		e.signer, err = newIdentitySigner(o.IdentityKey, now)
	}
	return e, err
}

// cleanHeaders leaves of a request's headers what may reach what lies below the gate.
func (g *Gate) cleanHeaders(out, in http.Header, id *Identity) {
	stripInbound(out)
	g.edges.legacy.keep(out, in, id)
	if g.edges.forwardToken && id.proof != calls.ProofLegacy {
		out["Authorization"] = in.Values("Authorization")
	}
}

// introduce tells the MCP server who calls, and shows it what it wants to see.
func (g *Gate) introduce(h http.Header, v *view, id *Identity) error {
	if g.edges.signer == nil {
		setIdentity(h, id)
	} else {
		token, err := g.edges.signer.token(id, v.doc.Resource.Identifier)
		if err != nil {
			return err
		}
		h.Set(HeaderIdentity, token)
	}
	g.edges.upstream.set(h, id, g.edges.legacy)
	return nil
}
