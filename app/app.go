package app

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/ostiary/ostiary/app/config"
	"github.com/ostiary/ostiary/app/db"
	"github.com/ostiary/ostiary/app/secret"
	"github.com/ostiary/ostiary/dashboard"
	"github.com/ostiary/ostiary/oauth"
	"github.com/ostiary/ostiary/oauth/attemptlog"
	"github.com/ostiary/ostiary/oauth/clients"
	"github.com/ostiary/ostiary/oauth/keys"
	"github.com/ostiary/ostiary/tenants"
	"github.com/ostiary/ostiary/tenants/calllog"
	"github.com/ostiary/ostiary/tenants/directory"
)

// Deps of an App. Everything has a usable default but Config.
type Deps struct {
	Config config.Config
	Logger *slog.Logger
	Now    func() time.Time
	Tracer db.Tracer // counts statements, for the benchmarks

	Storybook bool // serves every page state at /storybook/, for development

	// ClientDocuments answer for clients' metadata documents in place of their hosts, by URL; for development and tests.
	ClientDocuments map[string][]byte
}

// App is one process of Ostiary: every service, wired.
type App struct {
	config   config.Config
	log      *slog.Logger
	now      func() time.Time
	db       *db.DB
	attempts *attemptlog.Log
	oauth    *oauth.Module
	keys     *keys.Store
	clients  *clients.Store
	tenants  tenants.Deps
	hosts    *clients.Hosts
	handler  http.Handler

	draining atomic.Bool // told to stop, still serving
}

// argon2id with OWASP's first recommendation; two at a time keep 40 MB of memory busy at most.
const (
	passwordMemoryKiB  = 19456
	passwordIterations = 2
	passwordsAtOnce    = 2
)

// New wires an App. It opens the database without waiting for it.
func New(ctx context.Context, d Deps) (*App, error) {
	keyring, err := d.Config.Keyring()
	if err != nil {
		return nil, err
	}
	hosts, err := clients.LoadHosts()
	if err != nil {
		return nil, err
	}
	documents, err := clients.NewDocuments(clients.DocumentsDeps{
		Now: d.Now, Logger: d.Logger, Hosts: hosts, Overrides: d.ClientDocuments,
	})
	if err != nil {
		return nil, err
	}
	database, err := db.Open(ctx, db.Options{
		URL: d.Config.DatabaseURL, MaxConns: d.Config.DatabaseMaxConns, Logger: d.Logger, Now: d.Now, Tracer: d.Tracer,
	})
	if err != nil {
		return nil, err
	}
	shared := tenants.Deps{
		DB: database, Now: d.Now, Keyring: keyring, Logger: d.Logger,
		Passwords: secret.NewPasswords(passwordMemoryKiB, passwordIterations, passwordsAtOnce),
	}
	a := &App{
		attempts: attemptlog.New(attemptlog.Deps{DB: database, Now: d.Now, Logger: d.Logger}),
		config:   d.Config, log: d.Logger, now: d.Now, db: database, tenants: shared,
		keys:    keys.NewStore(keys.Deps{DB: database, Keyring: keyring, Now: d.Now}),
		clients: clients.NewStore(database, d.Now), hosts: hosts,
	}
	a.oauth = oauth.New(oauth.Deps{
		DB: database, Now: d.Now, Logger: d.Logger,
		Environments: tenants.NewEnvironments(shared), Resources: tenants.NewResources(shared), Stops: tenants.NewStops(shared),
		Users: directory.NewUsers(shared), Keys: a.keys, Clients: a.clients, Documents: documents,
		RateLimit: d.Config.RateLimit, CallLimit: d.Config.CallLimit,
		Attempts: a.attempts, Calls: calllog.New(shared), FeedSeats: d.Config.FeedConnections,
	})
	if a.handler, err = a.routes(d.Storybook); err != nil {
		a.Close()
		return nil, fmt.Errorf("routes: %w", err)
	}
	return a, nil
}

func (a *App) dashboardDeps() dashboard.Deps {
	return dashboard.Deps{Services: a.tenants, Logger: a.log, Now: a.now, URL: a.config.URL, Hosts: a.hosts.All()}
}

// Handler returns everything the process answers.
func (a *App) Handler() http.Handler { return a.handler }

// CheckDatabase verifies what serving relies on: the database answers, the role cannot bypass row-level security, and no
// migration is waiting.
func (a *App) CheckDatabase(ctx context.Context) error {
	if err := a.db.CheckRole(ctx); err != nil {
		return err
	}
	pending, err := db.Pending(ctx, a.config.DatabaseURL)
	if err != nil {
		return err
	}
	if pending {
		return fmt.Errorf("the schema is older than this program: run `ostiary migrate`")
	}
	return nil
}

// Watch follows what other nodes do until ctx ends: changes, which drop cached snapshots, and shared rate limits.
func (a *App) Watch(ctx context.Context) {
	go a.oauth.Run(ctx)
	a.db.Listen(ctx, a.oauth.Changed)
}

// Close ends streams, writes what is left of the attempt log and releases the database.
func (a *App) Close() {
	a.oauth.Close()
	a.attempts.Close()
	a.db.Close()
}

// Attempts returns the attempt log.
func (a *App) Attempts() *attemptlog.Log { return a.attempts }

// AttemptReader finds connection attempts, for the command line.
func (a *App) AttemptReader() *attemptlog.Reader { return attemptlog.NewReader(a.db, a.now) }

// Calls finds recorded calls, for the command line.
func (a *App) Calls() *calllog.Log { return calllog.New(a.tenants) }

// Services are the control plane's services, for the command line.
type Services struct {
	Tenants      *tenants.Tenants
	Environments *tenants.Environments
	Resources    *tenants.Resources
	Stops        *tenants.Stops
}

// Services returns the control plane's services.
func (a *App) Services() Services {
	return Services{
		Tenants: tenants.NewTenants(a.tenants), Environments: tenants.NewEnvironments(a.tenants), Resources: tenants.NewResources(a.tenants),
		Stops: tenants.NewStops(a.tenants),
	}
}

// Config returns what the process was started with.
func (a *App) Config() config.Config { return a.config }
