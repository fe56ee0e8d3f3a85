package oauth

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/ostiary/ostiary/app/db"
	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/scope"
	"github.com/ostiary/ostiary/app/secret"
	"github.com/ostiary/ostiary/oauth/clients"
	"github.com/ostiary/ostiary/oauth/keys"
	"github.com/ostiary/ostiary/tenants"
)

// Issuers finds issuers by URL and keeps their snapshots in memory. A notification drops a snapshot; one that is older than
// refreshAfter is reloaded behind the back of the request that met it, and none older than staleAfter is served: a lost
// notification costs seconds, not correctness. While Postgres is away the last snapshot goes on serving.
type Issuers struct {
	environments *tenants.Environments
	resources    *tenants.Resources
	stops        *tenants.Stops
	keys         *keys.Store
	clients      *clients.Store
	documents    *clients.Documents
	now          func() time.Time
	log          *slog.Logger

	flight singleflight.Group
	mu     sync.RWMutex
	epoch  uint64 // counts invalidations
	byURL  map[string]*cachedIssuer
	absent map[string]time.Time // until when a URL is known to be nobody's; apart, so that made-up hosts push nobody out
}

type cachedIssuer struct {
	issuer *Issuer
	stale  bool // an invalidation arrived: reload before serving
	at     time.Time

	reloading atomic.Bool // behind the backs of requests
	failing   atomic.Bool // the last reload failed: Postgres is away
}

const (
	refreshAfter  = 30 * time.Second
	staleAfter    = time.Minute
	absentFor     = 2 * time.Second
	maxIssuers    = 10_000
	reloadTimeout = 10 * time.Second
)

var errNoIssuer = errs.New(errs.NotFound, "There is no such issuer.")

// Get returns the snapshot of the issuer with this URL. Errors: errs.NotFound, errs.Unavailable.
func (s *Issuers) Get(ctx context.Context, issuerURL string) (*Issuer, error) {
	var absentUntil time.Time
	s.mu.RLock()
	hit, known := s.byURL[issuerURL]
	if !known {
		absentUntil = s.absent[issuerURL]
	}
	s.mu.RUnlock()
	now := s.now()
	if !known {
		if now.Before(absentUntil) {
			return nil, errNoIssuer
		}
		return s.reload(ctx, issuerURL)
	}
	age := now.Sub(hit.at)
	switch tooOld := hit.stale || age > staleAfter; {
	case tooOld && !hit.failing.Load():
		return s.reloadOr(ctx, issuerURL, hit)
	case tooOld, age > refreshAfter:
		s.reloadBehind(ctx, issuerURL, hit)
	}
	return hit.issuer, nil
}

// reloadOr serves the last snapshot when the database is away: discovery and token checks go on. Who comes next does not
// wait for the database to be away again.
func (s *Issuers) reloadOr(ctx context.Context, issuerURL string, last *cachedIssuer) (*Issuer, error) {
	fresh, err := s.reload(ctx, issuerURL)
	if errs.Is(err, errs.Unavailable) {
		last.failing.Store(true)
		return last.issuer, nil
	}
	return fresh, err
}

func (s *Issuers) reloadBehind(ctx context.Context, issuerURL string, last *cachedIssuer) {
	if !last.reloading.CompareAndSwap(false, true) {
		return
	}
	ctx = context.WithoutCancel(ctx)
	go func() {
		defer last.reloading.Store(false)
		if _, err := s.reload(ctx, issuerURL); err != nil && !errs.Is(err, errs.NotFound) {
			s.log.WarnContext(ctx, "issuer snapshot could not be refreshed; the last one goes on", "error", err)
		}
	}()
}

func (s *Issuers) reload(ctx context.Context, issuerURL string) (*Issuer, error) {
	// The load is shared by everybody who waits for it, so nobody's cancelled request may end it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), reloadTimeout)
	defer cancel()
	s.mu.RLock()
	epoch := s.epoch
	s.mu.RUnlock()
	// Who comes after a change does not share a load that began before it.
	loaded, err, _ := s.flight.Do(fmt.Sprint(epoch, " ", issuerURL), func() (any, error) {
		at := s.now()
		issuer, err := s.load(ctx, issuerURL)
		if err != nil && !errs.Is(err, errs.NotFound) {
			return nil, err
		}
		s.remember(issuerURL, issuer, at, epoch)
		return issuer, err
	})
	if err != nil {
		return nil, err
	}
	return loaded.(*Issuer), nil
}

// remember keeps what was loaded; nil means that there is none. What changed while it was loaded may be missing in it.
func (s *Issuers) remember(issuerURL string, issuer *Issuer, at time.Time, epoch uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if issuer == nil {
		if s.absent == nil || len(s.absent) >= maxIssuers {
			s.absent = map[string]time.Time{}
		}
		s.absent[issuerURL] = at.Add(absentFor)
		delete(s.byURL, issuerURL)
		return
	}
	if len(s.byURL) >= maxIssuers {
		clear(s.byURL)
	}
	delete(s.absent, issuerURL)
	s.byURL[issuerURL] = &cachedIssuer{issuer: issuer, at: at, stale: epoch != s.epoch}
}

// Invalidate drops what a change names; a zero change drops everything.
func (s *Issuers) Invalidate(change db.Change) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.epoch++
	clear(s.absent)
	for url, hit := range s.byURL {
		if change == (db.Change{}) || hit.issuer.Scope.EnvironmentID == change.EnvironmentID {
			// A copy: readers hold the entry without the lock.
			s.byURL[url] = &cachedIssuer{issuer: hit.issuer, stale: true, at: hit.at}
		}
	}
}

func (s *Issuers) load(ctx context.Context, issuerURL string) (*Issuer, error) {
	sc, err := s.environments.Resolve(ctx, issuerURL)
	if err != nil {
		return nil, err
	}
	ctx = scope.With(ctx, sc)
	env, err := s.environments.Load(ctx)
	if err != nil {
		return nil, fmt.Errorf("load environment: %w", err)
	}
	published, err := s.resources.Published(ctx)
	if err != nil {
		return nil, fmt.Errorf("load policies: %w", err)
	}
	all, err := s.keys.List(ctx)
	if err != nil {
		return nil, err
	}
	credentials, err := s.resources.Credentials(ctx)
	if err != nil {
		return nil, fmt.Errorf("load credentials of MCP servers: %w", err)
	}
	set, err := keys.NewSet(all, typeAccessToken, typeIDToken, typePolicy, typeRevocations)
	if err != nil {
		return nil, fmt.Errorf("issuer %s: %w", issuerURL, err)
	}
	disabled, err := s.clients.Disabled(ctx)
	if err != nil {
		return nil, err
	}
	issuer, err := s.assemble(sc, env, published, set, disabled)
	if err != nil {
		return nil, err
	}
	issuer.credentials = credentialsByID(credentials)
	live, err := s.stops.Live(ctx)
	if err != nil {
		return nil, fmt.Errorf("load stops: %w", err)
	}
	issuer.stops = newStops(live)
	return issuer, nil
}

func (s *Issuers) assemble(sc scope.Scope, env *tenants.Environment, published []tenants.Published, set *keys.Set,
	disabled []string) (*Issuer, error) {
	u, err := url.Parse(env.Issuer)
	if err != nil {
		return nil, fmt.Errorf("issuer URL: %w", err)
	}
	i := &Issuer{
		URL: env.Issuer, Scope: sc, Env: env, Settings: env.Settings, Keys: set, hosts: s.documents.Hosts(),
		Clients: clients.NewBook(clients.BookDeps{
			Store: s.clients, Documents: s.documents, Now: s.now, Dynamic: clients.NewDynamic(env.Secret, sc.EnvironmentID),
			IssuerHost: u.Hostname(), MetadataDocuments: env.Settings.MetadataDocuments,
			RedirectSchemes: env.Settings.RedirectSchemes, Disabled: disabled,
		}),
		codes:         secret.NewSealer(env.Secret, "ostiary authorization code"),
		interactions:  secret.NewSealer(env.Secret, "ostiary interaction"),
		refreshKey:    secret.Derive(env.Secret, "ostiary refresh token"),
		attemptKey:    secret.Derive(env.Secret, "ostiary attempt log"),
		basePath:      u.Path,
		cookiePath:    u.Path + "/",
		secureCookies: u.Scheme == "https",
		policies:      map[string]*document{},
		loadedAt:      s.now(),
	}
	for _, p := range published {
		i.Resources = append(i.Resources, newResource(p))
	}
	i.brand = i.branding().Drawn()
	return i, i.buildDocuments()
}

func offeredScopes(p tenants.Published) []string {
	names := make([]string, 0, len(p.Document.Scopes))
	for name := range p.Document.Scopes {
		if !isOwnScope(name) { // published before such names were kept for us
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		if d := p.Document.Scopes[a].Position - p.Document.Scopes[b].Position; d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	return names
}
