package oauth

import (
	"net/http"

	"github.com/ostiary/ostiary/app/policy"
	"github.com/ostiary/ostiary/oauth/clients"
	"github.com/ostiary/ostiary/oauth/feed"
	"github.com/ostiary/ostiary/tenants"
)

// stops are what the kill switch holds in one environment. What stops a tool is for MCP servers alone.
type stops struct {
	byResource feed.Stops
	whole      *policy.CompiledFeed // of hosts, users, organizations and servers; nil when none is stopped
}

func newStops(live []tenants.Stop) stops {
	s := stops{byResource: feed.Stops{}}
	var whole []policy.Stop
	for _, l := range live {
		stop := policy.Stop{Kind: l.Kind, Value: l.Value}
		s.byResource[l.ResourceID] = append(s.byResource[l.ResourceID], stop)
		if l.Kind != policy.StopTool {
			whole = append(whole, stop)
		}
	}
	if len(whole) > 0 {
		s.whole = policy.CompileFeed(&policy.Feed{Stops: whole})
	}
	return s
}

// any reports whether anything is stopped that the issuer acts on.
func (s stops) any() bool { return s.whole != nil }

func (s stops) hold(who policy.Subject, resourceID string) bool {
	return s.whole != nil && s.whole.Refuses(who, resourceID) == policy.ReasonStopped
}

// reasonStopped is the reason in the attempt log.
const reasonStopped = "stopped"

const stoppedDescription = "An administrator stopped this for now. Try again later."

// A stop ends nothing: a host that heard invalid_grant or invalid_client would throw away what works again tomorrow. RFC 6749
// §4.1.2.1 has the code for an authorization request; the token endpoint says it with a status that means "later".
var (
	errStoppedRequest = &problem{
		code: codeUnavailable, description: stoppedDescription, status: http.StatusBadRequest, intended: true,
	}
	errStoppedToken = &problem{
		code: codeUnavailable, description: stoppedDescription, status: http.StatusServiceUnavailable, retryAfter: "60", intended: true,
	}
)

// stoppedRequest refuses an authorization request whose host or MCP server is stopped, or whose user is, once that is known.
func (i *Issuer) stoppedRequest(client *clients.Client, in Interaction, session *Session) error {
	who := policy.Subject{Host: i.hosts.HostOf(client, in.redirect)}
	if session != nil {
		who.User, who.Organization = session.User.ID, session.User.OrganizationID
	}
	if i.stops.hold(who, in.ResourceID) {
		return errStoppedRequest
	}
	return nil
}

// stoppedToken refuses to make a token of a grant that is stopped.
func (i *Issuer) stoppedToken(g grant) error {
	if i.stops.hold(policy.Subject{User: g.UserID, Organization: g.OrgID, Host: g.Host}, g.ResourceID) {
		return errStoppedToken
	}
	return nil
}

// stoppedClaims reports whether a token must not be used for now.
func (i *Issuer) stoppedClaims(claims accessClaims, resourceID string) bool {
	return i.stops.hold(policy.Subject{User: claims.Subject, Organization: claims.OrgID, Host: claims.Host}, resourceID)
}
