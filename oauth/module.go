package oauth

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/ory/fosite"

	"github.com/ostiary/ostiary/app/db"
	"github.com/ostiary/ostiary/app/scope"
	"github.com/ostiary/ostiary/oauth/attemptlog"
	"github.com/ostiary/ostiary/oauth/clients"
	"github.com/ostiary/ostiary/oauth/feed"
	"github.com/ostiary/ostiary/oauth/keys"
	"github.com/ostiary/ostiary/oauth/ratelimit"
	"github.com/ostiary/ostiary/tenants"
	"github.com/ostiary/ostiary/tenants/calllog"
	"github.com/ostiary/ostiary/tenants/directory"
)

// Deps of the authorization server.
type Deps struct {
	DB           *db.DB
	Now          func() time.Time
	Logger       *slog.Logger
	Environments *tenants.Environments
	Resources    *tenants.Resources
	Stops        *tenants.Stops
	Users        *directory.Users
	Keys         *keys.Store
	Clients      *clients.Store
	Documents    *clients.Documents
	Attempts     *attemptlog.Log
	Calls        *calllog.Log
	FeedSeats    int // streams and waiting requests of MCP servers that this node holds; 0 means feed.DefaultSeats
	CallLimit    int // MiB that the records of one MCP server's calls may fill in a minute; 0 is no bound
	RateLimit    int // token requests per minute of one client, grant type and address; 0 switches limits off
}

// Module is the authorization server of every issuer.
type Module struct {
	issuers *Issuers
	engine  *fosite.Fosite
	store   *store
	users   *directory.Users
	clients *clients.Store
	now     func() time.Time
	log     *slog.Logger
	origins *http.CrossOriginProtection

	feeds     *feed.Feeds
	attempts  *attemptlog.Log
	calls     *calllog.Log
	reports   *inFlight
	limits    *ratelimit.Limiter
	rateLimit int
	callLimit int // MiB
	dead      deadTokens
	address   echo.IPExtractor // where a request came from, believing configured proxies only
}

// New returns the authorization server.
func New(d Deps) *Module {
	s := &store{db: d.DB, now: d.Now}
	issuers := &Issuers{
		environments: d.Environments, resources: d.Resources, stops: d.Stops, keys: d.Keys, clients: d.Clients,
		documents: d.Documents, now: d.Now, log: d.Logger, byURL: map[string]*cachedIssuer{},
	}
	return &Module{
		issuers: issuers,
		feeds:   feed.New(feed.Deps{DB: d.DB, Issuers: issuers, Now: d.Now, Logger: d.Logger, Seats: d.FeedSeats}),
		engine:  newEngine(s, d.Now), store: s, users: d.Users, clients: d.Clients, now: d.Now, log: d.Logger,
		origins: http.NewCrossOriginProtection(), attempts: d.Attempts, calls: d.Calls, reports: newInFlight(),
		limits: ratelimit.New(ratelimit.Deps{DB: d.DB, Now: d.Now, Logger: d.Logger}), rateLimit: d.RateLimit, callLimit: d.CallLimit,
	}
}

// Changed takes up a change that some node made. What only MCP servers hear of leaves the snapshots alone.
func (m *Module) Changed(change db.Change) {
	if !change.Feed {
		m.issuers.Invalidate(change)
	}
	m.feeds.Changed(change)
}

// EndStreams answers everybody who waits and ends every stream, so that this node can stop.
func (m *Module) EndStreams() { m.feeds.EndStreams() }

// Close ends what goes on in the background. The database is closed after it.
func (m *Module) Close() { m.feeds.Close() }

// Run shares rate limits with the other nodes until ctx ends.
func (m *Module) Run(ctx context.Context) { m.limits.Run(ctx) }

// Register mounts the endpoints. Paths are below the issuer URL: app's dispatcher has located the issuer already, and has let
// ServeDocument answer what it can.
func (m *Module) Register(e *echo.Echo) {
	m.address = e.IPExtractor
	open := e.Group("", allowAnyOrigin)
	open.GET(pathRevocations, m.showRevocations)
	open.HEAD(pathRevocations, m.showRevocations)
	open.OPTIONS(pathRevocations, preflight)
	for path, handler := range map[string]echo.HandlerFunc{
		pathToken: m.createToken, pathRegister: m.createClient, pathRevoke: m.revokeToken,
		pathIntrospect: m.introspect, pathUserinfo: m.showUserinfo,
	} {
		open.POST(path, handler)
		open.OPTIONS(path, preflight)
	}
	open.GET(pathUserinfo, m.showUserinfo)
	e.POST(pathCalls, m.createCalls) // MCP servers are no browsers
	// No CORS from here on: these are pages, and what they answer is for the user's eyes.
	e.GET(pathAuthorize, m.attempted(m.authorize))
	e.POST(pathAuthorize, m.attempted(m.authorize))
	e.GET(pathBrand, m.showBrand)
	e.GET(pathLogo+"/:hash", m.showLogo)
	e.GET(pathLogout, m.logout)
	e.POST(pathLogout, m.repeatLogout)
	e.GET(pathSignedOut, m.showSignedOut)
	pages := e.Group("", m.attempted, m.sameOrigin)
	pages.GET(pathInteraction, m.showInteraction)
	pages.POST(pathLogin, m.login)
	pages.POST(pathConsent, m.decide)
	pages.POST(pathSwitch, m.switchUser)
	pages.POST(pathSignOut, m.signOut)
}

// bareNotFound answers what does not exist without a word: never a page that a client would try to read as metadata.
func bareNotFound(c echo.Context) error {
	c.Response().Header().Set("Cache-Control", "no-store")
	return c.NoContent(http.StatusNotFound)
}

// UseIssuer puts the issuer and its scope in the context of a request. It is the only place that sets the scope of issuer
// requests. Errors: errs.NotFound, errs.Unavailable.
func (m *Module) UseIssuer(ctx context.Context, issuerURL string) (context.Context, error) {
	i, err := m.issuers.Get(ctx, issuerURL)
	if err != nil {
		return nil, err
	}
	return withIssuer(scope.With(ctx, i.Scope), i), nil
}

// sameOrigin refuses posts from other sites (CSRF). Requests without Sec-Fetch-Site and Origin pass, as old browsers and
// scripts send none; the interaction's browser cookie still binds them.
func (m *Module) sameOrigin(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		i, err := issuerFrom(c.Request().Context())
		if err != nil {
			return err
		}
		r := c.Request()
		if origin := r.Header.Get("Origin"); origin != "" && origin == i.origin() && r.Header.Get("Sec-Fetch-Site") == "" {
			return next(c) // a proxy rewrote Host: the stored issuer knows its own origin
		}
		if err := m.origins.Check(r); err != nil {
			return errCrossSite
		}
		return next(c)
	}
}
