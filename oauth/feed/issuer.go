package feed

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/ostiary/ostiary/app/policy"
	"github.com/ostiary/ostiary/app/scope"
)

// Issuer is what a feed needs of an issuer, at one moment.
type Issuer struct {
	URL       string
	Scope     scope.Scope
	Keys      Signer
	Lifetime  time.Duration  // no access token lives longer from now
	Revisions map[string]int // policy revision that this node serves of each MCP server, by id
	Stops     Stops          // that this node acts on
}

// Stops are the stops of an environment by MCP server, those of the whole environment under "", in the order of kind and value.
type Stops map[string][]policy.Stop

func (s Stops) equal(other Stops) bool {
	return maps.EqualFunc(s, other, func(a, b []policy.Stop) bool { return slices.Equal(a, b) })
}

// Signer makes a compact JWS of an explicit type.
type Signer interface {
	Sign(typ string, payload []byte) (string, error)
}

// Issuers finds issuers by URL.
type Issuers interface {
	// FeedIssuer returns the issuer as this node serves it. Errors: errs.NotFound, errs.Unavailable.
	FeedIssuer(ctx context.Context, url string) (Issuer, error)
	// RenewIssuer is FeedIssuer after forgetting what this node knows of the environment.
	RenewIssuer(ctx context.Context, url string, sc scope.Scope) (Issuer, error)
}

// behind reports whether this node serves an older policy of any MCP server than st knows: whoever is told of a revision
// must find it here.
func (i Issuer) behind(st *state) bool {
	for id, revision := range st.revisions {
		if i.Revisions[id] < revision {
			return true
		}
	}
	return false
}
