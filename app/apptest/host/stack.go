package host

import (
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"testing"
	"time"

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
	App      *app.App // the first node
	Nodes    []*Node
	Edge     *Edge // what stands in front of the nodes; nil when nothing does
	Config   config.Config
	Form     IssuerForm
	URL      string // of the dashboard; issuers are below it in the path form
	Database apptest.DB
	Cable    *Cable // between the nodes and Postgres; the World is connected directly

	options options
}

// IssuerForm is how issuer URLs are laid out.
type IssuerForm string

// The forms an operator may choose.
const (
	PathForm   IssuerForm = "path"   // http://localhost:8080/i/acme-dev
	HostForm   IssuerForm = "host"   // http://acme-dev.auth.localhost:8080
	DomainForm IssuerForm = "domain" // https://login.acme.example, behind a proxy that ends TLS
)

const (
	formEnv  = "OSTIARY_TEST_ISSUERS"
	nodesEnv = "OSTIARY_TEST_NODES"
)

type options struct {
	logger *slog.Logger
	tracer db.Tracer
	rate   int
	world  []tenanttest.Option

	documents map[string][]byte

	form     IssuerForm
	nodes    int
	feeds    int
	calls    int
	drain    time.Duration
	database *apptest.DB
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

// WithCallLimit bounds what the records of one MCP server's calls may fill in a minute, in MiB; nothing is bounded otherwise.
func WithCallLimit(mib int) Option { return func(o *options) { o.calls = mib } }

// WithIssuers sets the form of issuer URLs, for tests of one form.
func WithIssuers(f IssuerForm) Option { return func(o *options) { o.form = f } }

// WithNodes sets how many nodes serve, behind a round-robin proxy when there are several.
func WithNodes(n int) Option { return func(o *options) { o.nodes = n } }

// WithFeedConnections bounds the streams and waiting requests of MCP servers at one node.
func WithFeedConnections(n int) Option { return func(o *options) { o.feeds = n } }

// WithDrainDelay sets how long a node that stops goes on serving; the proxy then looks at /readyz all the time.
func WithDrainDelay(d time.Duration) Option { return func(o *options) { o.drain = d } }

// WithDatabase sets a database in place of one on the shared server, for tests that stop the server.
func WithDatabase(d apptest.DB) Option { return func(o *options) { o.database = &d } }

func chosen(t testing.TB, opts []Option) options {
	t.Helper()
	o := options{logger: slog.New(slog.DiscardHandler), form: IssuerForm(os.Getenv(formEnv)), nodes: 1}
	if n := os.Getenv(nodesEnv); n != "" {
		var err error
		if o.nodes, err = strconv.Atoi(n); err != nil || o.nodes < 1 {
			t.Fatalf("%s=%q is not a number of nodes", nodesEnv, n)
		}
	}
	for _, option := range opts {
		option(&o)
	}
	switch o.form {
	case "":
		o.form = PathForm
	case PathForm, HostForm, DomainForm:
	default:
		t.Fatalf("%s=%q is not a form of issuers", formEnv, o.form)
	}
	return o
}

// New starts a Stack on a database of its own.
func New(t testing.TB, opts ...Option) *Stack {
	t.Helper()
	o := chosen(t, opts)
	s := &Stack{Form: o.form, options: o}
	if o.database != nil {
		s.Database = *o.database
	} else {
		s.Database = apptest.Database(t)
	}
	s.Cable = NewCable(t, s.Database.AppURL)
	plain, secure := listen(t, "127.0.0.1:0"), net.Listener(nil)
	port := portOf(plain)
	s.URL = "http://localhost:" + port
	key := secret.Bytes(secret.KeySize)
	s.Config = config.Config{
		URL: s.URL, IssuerPattern: "{url}/i/{environment}", DatabaseURL: s.Cable.URL, DrainDelay: o.drain,
		MasterKey: base64.StdEncoding.EncodeToString(key), DatabaseMaxConns: 16, RateLimit: o.rate, CallLimit: o.calls,
		FeedConnections: o.feeds,
	}
	issuer := s.Config.Issuer
	switch o.form {
	case HostForm:
		s.Config.IssuerPattern = "http://{environment}.auth.localhost:" + port
		issuer = s.Config.Issuer
	case DomainForm: // stored per environment; the operator's pattern knows nothing of them
		secure = listen(t, "127.0.0.1:0")
		issuer = func(slug string) string { return customDomain(slug, portOf(secure)) }
	case PathForm:
	}
	if o.nodes > 1 || secure != nil {
		s.Config.TrustedProxies = []string{"127.0.0.1/32"}
	}
	s.World = s.fill(t, key, issuer, o)
	s.start(t, plain, secure, o)
	return s
}

// fill applies the tenants.
func (s *Stack) fill(t testing.TB, key []byte, issuer func(slug string) string, o options) *tenanttest.World {
	t.Helper()
	ring, err := secret.NewKeyring(key)
	if err != nil {
		t.Fatal(err)
	}
	return tenanttest.New(t, s.Database.AppURL, append([]tenanttest.Option{
		tenanttest.WithKeyring(ring), tenanttest.WithIssuerURL(issuer),
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
}

// start starts the nodes and what stands in front of them.
func (s *Stack) start(t testing.TB, plain, secure net.Listener, o options) {
	t.Helper()
	direct := o.nodes == 1 // the only node is reached itself; TLS still ends in front of it
	if !direct || secure != nil {
		s.Edge = newEdge(t, o.drain > 0)
	}
	for range o.nodes {
		ln := plain
		if !direct {
			ln = listen(t, "127.0.0.1:0")
		}
		node := s.newNode(t, ln)
		s.Nodes = append(s.Nodes, node)
		if s.Edge != nil {
			s.Edge.Add(t, node.URL)
		}
	}
	s.App = s.Nodes[0].App
	if !direct {
		s.Edge.serve(t, plain, nil)
	}
	if secure != nil {
		s.Edge.serve(t, secure, serverTLS())
	}
}

func listen(t testing.TB, address string) net.Listener {
	t.Helper()
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

func portOf(ln net.Listener) string {
	addr, ok := ln.Addr().(*net.TCPAddr)
	if !ok {
		return ""
	}
	return fmt.Sprint(addr.Port)
}
