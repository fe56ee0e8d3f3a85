package host

import (
	"context"
	"encoding/base64"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/ostiary/ostiary/app"
	"github.com/ostiary/ostiary/app/apptest"
	"github.com/ostiary/ostiary/app/config"
	"github.com/ostiary/ostiary/app/db"
	"github.com/ostiary/ostiary/app/secret"
	"github.com/ostiary/ostiary/oauth/clients"
	"github.com/ostiary/ostiary/oauth/keys"
	"github.com/ostiary/ostiary/tenants"
	"github.com/ostiary/ostiary/tenants/apply"
	"github.com/ostiary/ostiary/tenants/tenanttest"
)

// Stack is a running Ostiary with the demo tenant and its neighbour.
type Stack struct {
	*tenanttest.World
	App      *app.App
	Config   config.Config
	Server   *httptest.Server
	URL      string // of the dashboard; issuers are below it
	Database apptest.DB
	Cable    *Cable // between the server and Postgres; the World is connected directly
}

type options struct {
	logger *slog.Logger
	tracer db.Tracer
	rate   int
	world  []tenanttest.Option
}

// Option changes what New builds.
type Option func(*options)

// WithFile edits the file of Acme before it is applied.
func WithFile(edit func(*apply.File)) Option {
	return func(o *options) { o.world = append(o.world, tenanttest.WithFile(edit)) }
}

// WithLogger sets where the server logs; nowhere otherwise.
func WithLogger(l *slog.Logger) Option { return func(o *options) { o.logger = l } }

// WithTracer sets what observes the server's statements.
func WithTracer(t db.Tracer) Option { return func(o *options) { o.tracer = t } }

// WithRateLimit bounds token requests per minute; nothing is bounded otherwise.
func WithRateLimit(perMinute int) Option { return func(o *options) { o.rate = perMinute } }

// New starts a Stack on a database of its own.
func New(t testing.TB, opts ...Option) *Stack {
	t.Helper()
	o := options{logger: slog.New(slog.DiscardHandler)}
	for _, option := range opts {
		option(&o)
	}
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Stack{Database: apptest.Database(t)}
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	s.URL = "http://localhost:" + port
	s.Cable = newCable(t, s.Database.AppURL)
	key := secret.Bytes(secret.KeySize)
	s.Config = config.Config{
		URL: s.URL, IssuerPattern: "{url}/i/{environment}", DatabaseURL: s.Cable.URL,
		MasterKey: base64.StdEncoding.EncodeToString(key), DatabaseMaxConns: 16, RateLimit: o.rate,
	}
	ring, err := secret.NewKeyring(key)
	if err != nil {
		t.Fatal(err)
	}
	s.World = tenanttest.New(t, s.Database.AppURL, append([]tenanttest.Option{
		tenanttest.WithKeyring(ring), tenanttest.WithIssuerURL(s.Config.Issuer),
		tenanttest.WithClients(func(d tenants.Deps) apply.Clients {
			return clients.NewPreregistered(clients.NewStore(d.DB, d.Now))
		}),
		tenanttest.WithOnEnvironment(func(d tenants.Deps) func(context.Context, *tenants.Environment) error {
			store := keys.NewStore(keys.Deps{DB: d.DB, Keyring: d.Keyring, Now: d.Now})
			return func(ctx context.Context, env *tenants.Environment) error {
				return store.EnsureActive(ctx, keys.Alg(env.Settings.SigningAlg))
			}
		}),
	}, o.world...)...)
	s.App, err = app.New(t.Context(), app.Deps{Config: s.Config, Logger: o.logger, Now: s.Clock.Now, Tracer: o.tracer})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.App.Close)
	watching, stop := context.WithCancel(context.Background())
	t.Cleanup(stop)
	go s.App.Watch(watching)
	s.Server = &httptest.Server{Listener: ln, Config: &http.Server{Handler: s.App.Handler()}} //nolint:gosec // loopback, one test
	s.Server.Start()
	t.Cleanup(s.Server.Close)
	return s
}
