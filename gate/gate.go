package gate

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ostiary/ostiary/app/calls"
	"github.com/ostiary/ostiary/app/clock"
	"github.com/ostiary/ostiary/app/policy"
)

// Options configure a Gate. Issuer and one of ResourceID and Policy are required, Upstream is for Handler.
type Options struct {
	Issuer     string       // the issuer's URL, exactly as in its metadata
	ResourceID string       // res_…, whose policy is fetched from the issuer
	Policy     PolicySource // instead of fetching one, e.g. StaticPolicy
	// Feed says what has ended or is stopped, instead of the issuer's feed. With a Policy and without a Feed nothing is
	// revoked or stopped before its time, and silence of the issuer is not counted.
	Feed     FeedSource
	Upstream string // URL of the MCP server; with only an origin, requests keep their path
	// Identifier is the URL clients reach this gate by, when it is one of the resource's aliases. Empty means the
	// resource's identifier.
	Identifier string

	// IdentityKey, when set, signs who calls into HeaderIdentity for the MCP server, in place of the plain headers.
	IdentityKey ed25519.PrivateKey
	// UpstreamHeaders are sent to the MCP server, nil for none.
	UpstreamHeaders *UpstreamHeaders
	// ForwardToken passes the client's access token on to the MCP server. MCP forbids it unless the server is the token's
	// audience and checks it; it is for servers that do.
	ForwardToken bool
	Legacy       *Legacy // migration mode; nil means that an access token is the only proof

	// Observe is called for every call that was decided, once it is known how it was answered, and for every request that
	// was refused because something has ended or is stopped. It must be quick; ctx may be over already.
	Observe func(ctx context.Context, call calls.Record)

	HTTPClient   *http.Client      // to the issuer; redirects are never followed
	Transport    http.RoundTripper // to the upstream
	Logger       *slog.Logger
	Now          func() time.Time
	Skew         time.Duration // between our clock and the issuer's; 30 s, at most 2 min
	MaxBody      int64         // of a request; 4 MiB
	PollEvery    time.Duration // policy, while the feed does not say when it changes; 3 s
	StartTimeout time.Duration // to get keys and policy the first time; 30 s

	steady func() time.Duration // for tests
	timing feedTiming
}

const (
	defaultSkew    = 30 * time.Second
	maxSkew        = 2 * time.Minute
	defaultMaxBody = 4 << 20
	defaultPoll    = 3 * time.Second
	defaultStart   = 30 * time.Second
	flaggedTools   = 1024

	defaultBodyTimeout  = 30 * time.Second // for a client to send its body
	defaultWriteTimeout = time.Minute      // for a client to take what is written to it, each time
)

// Gate protects one MCP server. Make it with New, end it with Close.
type Gate struct {
	issuer     string
	identifier string
	upstream   *url.URL
	policy     PolicySource
	feed       FeedSource
	streams    *streams
	memory     *budget
	tokens     *verifier
	sessions   sessions
	edges      edges
	flagged    *recent[policy.Target, struct{}]
	observe    func(context.Context, calls.Record)
	watch      *watch
	transport  http.RoundTripper
	maxBody    int64
	log        *slog.Logger

	bodyTimeout, writeTimeout time.Duration

	derived  atomic.Pointer[view]
	rejected atomic.Pointer[policy.Document] // the last one that could not be used, to say so once
	end      context.CancelFunc
	running  sync.WaitGroup
}

// New makes a gate and waits until it has the issuer's keys and a policy, at most Options.StartTimeout. ctx bounds the
// start only.
func New(ctx context.Context, o Options) (*Gate, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	fetch := newFetcher(o.HTTPClient)
	w := &watch{now: o.Now, steady: o.steady}
	keys := &issuerKeys{issuer: o.Issuer, fetch: fetch, now: w.time, log: o.Logger, life: life}
	g := &Gate{
		issuer: o.Issuer, identifier: o.Identifier, policy: o.Policy, sessions: newSessions(),
		tokens: &verifier{keys: keys, issuer: o.Issuer, skew: o.Skew, now: w.time,
			cache: newRecent[[32]byte, tokenEntry](rememberedTokens)},
		flagged: newRecent[policy.Target, struct{}](flaggedTools), observe: o.Observe, transport: o.Transport,
		watch: w, streams: newStreams(), memory: newBudget(maxHeld), feed: o.Feed,
		maxBody: o.MaxBody, log: o.Logger, end: end,
		bodyTimeout: defaultBodyTimeout, writeTimeout: defaultWriteTimeout,
	}
	if g.edges, err = newEdges(o, w.time); err == nil && o.Upstream != "" {
		g.upstream, err = parseUpstream(o.Upstream)
	}
	if err != nil {
		end()
		return nil, err
	}
	starting, cancel := context.WithTimeout(ctx, o.StartTimeout)
	defer cancel()
	if err := g.start(starting, life, o, keys, fetch); err != nil {
		end()
		return nil, fmt.Errorf("gate: %w", err)
	}
	return g, nil
}

// start gets keys and policy and, where they are the issuer's, begins to follow policy and feed.
func (g *Gate) start(starting, life context.Context, o Options, keys *issuerKeys, fetch fetcher) error {
	if err := firstKeys(starting, keys); err != nil {
		return err
	}
	var remote *issuerPolicy
	if o.Policy == nil {
		remote = &issuerPolicy{
			issuer: o.Issuer, resourceID: o.ResourceID, keys: keys, fetch: fetch, every: o.PollEvery, skew: o.Skew,
			watch: g.watch, log: o.Logger, wake: make(chan struct{}, 1),
			usable: func(doc *policy.Document) error {
				_, err := newView(doc, o.Issuer, o.Identifier)
				return err
			},
		}
		if err := remote.start(starting); err != nil {
			return err
		}
		g.policy = remote
	}
	v, err := newView(g.policy.Current(), g.issuer, g.identifier)
	if err != nil {
		return err
	}
	g.derived.Store(v)
	switch {
	case o.Feed == nil && remote != nil:
		g.follow(starting, life, o, remote)
	case o.Feed == nil:
		g.feed = StaticFeed(nil)
	}
	if remote != nil {
		g.running.Go(func() { remote.run(life) })
	}
	return nil
}

// follow reads the issuer's feed and begins to keep it current.
func (g *Gate) follow(starting, life context.Context, o Options, remote *issuerPolicy) {
	feed := &issuerFeed{issuer: o.Issuer, resourceID: o.ResourceID, keys: remote.keys, watch: g.watch, skew: o.Skew,
		log: o.Logger}
	feed.current.Store(&heldFeed{feed: policy.CompileFeed(nil), signed: remote.signed})
	feed.changed = func(before, now *heldFeed) {
		if now.feed.Revision > remote.Current().Revision {
			remote.hurry()
		}
		g.endStreams(life, before, now)
	}
	g.feed, remote.feed = feed, feed
	reader := newFeedReader(feed, o.HTTPClient, o.timing)
	first, cancel := context.WithTimeout(starting, o.timing.answer)
	defer cancel()
	reader.start(first)
	g.running.Go(func() { reader.run(life) })
}

// endStreams ends the requests under way of whoever a new feed refuses. After a gap in which a feed may have come and
// gone it also ends those whose token has expired: what ended them is not in the feed any more.
func (g *Gate) endStreams(ctx context.Context, before, now *heldFeed) {
	gap := now.signed.Sub(before.signed) > policy.FeedLifetime
	if now.feed.Sequence == before.feed.Sequence && before.real && !gap {
		return
	}
	resource, time := g.view().doc.Resource.ID, g.watch.time()
	n := g.streams.endRefused(func(id *Identity) policy.Reason {
		if reason := now.feed.Refuses(id.subject(), resource); reason != "" || !gap || time.Before(id.ExpiresAt) {
			return reason
		}
		return policy.ReasonRevoked
	})
	if n > 0 {
		g.log.InfoContext(ctx, "requests under way were ended", "count", n, "sequence", now.feed.Sequence)
	}
}

// firstKeys waits for the issuer to come up, which may start at the same time.
func firstKeys(ctx context.Context, keys *issuerKeys) error {
	var last error
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 2*time.Second) {
		set, err := keys.load(ctx)
		if err == nil {
			keys.current.Store(set)
			return nil
		}
		if ctx.Err() == nil || last == nil {
			last = err
		}
		if !sleep(ctx, wait) {
			return fmt.Errorf("no keys from issuer %s: %w", keys.issuer, last)
		}
	}
}

func (o Options) withDefaults() (Options, error) {
	u, err := url.Parse(o.Issuer)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return o, errors.New("gate: the issuer is not an absolute http or https URL")
	case u.User != nil || strings.ContainsAny(o.Issuer, "?#") || strings.HasSuffix(o.Issuer, "/"):
		return o, errors.New("gate: the issuer has no user, query, fragment or trailing slash")
	case o.Policy == nil && o.ResourceID == "":
		return o, errors.New("gate: the resource id is missing")
	case o.Skew < 0 || o.Skew > maxSkew:
		return o, fmt.Errorf("gate: the clock skew is between 0 and %s", maxSkew)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = clock.System
	}
	if o.Transport == nil {
		o.Transport = defaultTransport()
	}
	if o.steady == nil {
		o.steady = clock.Steady()
	}
	if o.timing == (feedTiming{}) {
		o.timing = defaultFeedTiming()
	}
	o.Skew = orDefault(o.Skew, defaultSkew)
	o.MaxBody = orDefault(o.MaxBody, defaultMaxBody)
	o.PollEvery = orDefault(o.PollEvery, defaultPoll)
	o.StartTimeout = orDefault(o.StartTimeout, defaultStart)
	return o, nil
}

func orDefault[T ~int64](v, otherwise T) T {
	if v <= 0 {
		return otherwise
	}
	return v
}

// Close stops following the issuer. Requests under way go on with what there is.
func (g *Gate) Close() {
	g.end()
	g.running.Wait()
}

// Policy returns the policy in force.
func (g *Gate) Policy() *policy.Document { return g.view().doc }

// view returns what is derived from the policy in force. A document the gate cannot work with leaves the last one in
// force.
func (g *Gate) view() *view {
	v := g.derived.Load()
	doc := g.policy.Current()
	if doc == v.doc || doc == nil {
		return v
	}
	next, err := newView(doc, g.issuer, g.identifier)
	if err != nil {
		if g.rejected.Swap(doc) != doc {
			g.log.ErrorContext(context.Background(), "policy cannot be used, going on with the last one",
				"revision", doc.Revision, "error", err)
		}
		return v
	}
	g.derived.Store(next)
	return next
}

// Handler is the gate as a reverse proxy: the MCP endpoint, its metadata, and nothing else. It needs Options.Upstream.
func (g *Gate) Handler() http.Handler {
	if g.upstream == nil {
		panic("gate: Handler needs Options.Upstream")
	}
	protected := g.guard(g.proxy(g.upstream))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := g.view()
		switch {
		case v.serveWellKnown(w, r):
		case v.serves(r.URL.EscapedPath()):
			protected.ServeHTTP(w, r)
		default:
			w.Header().Set("Cache-Control", "no-store")
			writeJSON(w, http.StatusNotFound, oauthError{"not_found",
				"There is nothing here; the MCP endpoint is " + v.canonical.identifier})
		}
	})
}

// Middleware protects an MCP server in process: every request that reaches next carries a good token and is allowed, on
// whatever path it is mounted. It answers the metadata URLs itself, so mount it on "/" or on both the MCP endpoint and
// /.well-known/oauth-protected-resource. Below it, IdentityFrom says who calls.
func (g *Gate) Middleware(next http.Handler) http.Handler {
	protected := g.guard(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !g.view().serveWellKnown(w, r) {
			protected.ServeHTTP(w, r)
		}
	})
}
