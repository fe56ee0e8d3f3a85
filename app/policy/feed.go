package policy

import "time"

// FeedType is the JWS `typ` of a signed feed.
const FeedType = "ostiary-revocations+jwt" //nolint:gosec // the name of a type, not a credential

// Feed says everything that was taken back lately and what is stopped now. It is always whole: who has the newest one needs
// no other.
type Feed struct {
	// Sequence grows with every change of the environment. Whoever holds a feed takes no lower one.
	Sequence int64 `json:"seq"`
	// Revision is the newest published policy revision of the resource, so that a reader knows at once to fetch it.
	Revision int   `json:"revision"`
	Ended    Ended `json:"ended"`
	// Stops are the kill switch: what is denied until a person lifts it.
	Stops []Stop `json:"stops,omitempty"`
}

// Ended lists what tokens must not rest on any more, by id. Entries are dropped once no token from before can be alive.
type Ended struct {
	Grants        []string `json:"grants,omitempty"`
	Users         []string `json:"users,omitempty"`
	Organizations []string `json:"organizations,omitempty"`
	Clients       []string `json:"clients,omitempty"`
}

// StopKind says what a stop is about.
type StopKind string

const (
	StopTool         StopKind = "tool"
	StopHost         StopKind = "host"
	StopUser         StopKind = "user"
	StopOrganization StopKind = "organization"
	StopServer       StopKind = "server"
)

// HostUnverified is the host of clients of which nothing could be checked: tokens of theirs name none.
const HostUnverified = "unverified"

// Stop is one thing that is stopped. Value is a tool's name, a host, or an id; a feed holds the stops of its own resource.
type Stop struct {
	Kind  StopKind `json:"kind"`
	Value string   `json:"value"`
}

// FeedBundle is the claim set of a signed feed: iss is the issuer, sub the resource id. It is signed anew every FeedEvery, so
// that its age says how long ago the issuer was heard, and expires after FeedLifetime.
type FeedBundle struct {
	Issuer    string `json:"iss"`
	Subject   string `json:"sub"`
	IssuedAt  int64  `json:"iat"`
	ExpiresAt int64  `json:"exp"`
	Feed      Feed   `json:"feed"`
}

const (
	FeedEvery    = 20 * time.Second
	FeedLifetime = 2 * time.Minute
)

// CompiledFeed is a feed prepared for deciding.
type CompiledFeed struct {
	Sequence                              int64
	Revision                              int
	grants, users, organizations, clients map[string]struct{}
	stops                                 map[Stop]struct{}
}

// CompileFeed prepares f. A nil feed ends and stops nothing.
func CompileFeed(f *Feed) *CompiledFeed {
	if f == nil {
		f = &Feed{}
	}
	c := &CompiledFeed{
		Sequence: f.Sequence, Revision: f.Revision, grants: setOf(f.Ended.Grants), users: setOf(f.Ended.Users),
		organizations: setOf(f.Ended.Organizations), clients: setOf(f.Ended.Clients), stops: make(map[Stop]struct{}, len(f.Stops)),
	}
	for _, s := range f.Stops {
		c.stops[s] = struct{}{}
	}
	return c
}

func setOf(ids []string) map[string]struct{} {
	set := make(map[string]struct{}, len(ids))
	for _, id := range ids {
		if id != "" {
			set[id] = struct{}{}
		}
	}
	return set
}

// Refuses says whether nothing may be done with a token of s at all: ReasonRevoked when what it rests on has ended,
// ReasonStopped when the server, its host, user or organization is stopped, "" when neither.
func (c *CompiledFeed) Refuses(s Subject, resourceID string) Reason {
	for _, ended := range [...]struct {
		set map[string]struct{}
		id  string
	}{{c.grants, s.Grant}, {c.users, s.User}, {c.organizations, s.Organization}, {c.clients, s.Client}} {
		if _, found := ended.set[ended.id]; found {
			return ReasonRevoked
		}
	}
	if len(c.stops) == 0 {
		return ""
	}
	host := s.Host
	if host == "" {
		host = HostUnverified
	}
	for _, stop := range [...]Stop{
		{StopServer, resourceID}, {StopHost, host}, {StopUser, s.User}, {StopOrganization, s.Organization},
	} {
		if _, found := c.stops[stop]; found && stop.Value != "" {
			return ReasonStopped
		}
	}
	return ""
}

// Stopping reports whether anything at all is stopped.
func (c *CompiledFeed) Stopping() bool { return len(c.stops) > 0 }

func (c *CompiledFeed) stopsTool(name string) bool {
	_, found := c.stops[Stop{StopTool, name}]
	return found
}
