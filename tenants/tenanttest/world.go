package tenanttest

import (
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ostiary/ostiary/app/calls"
	"github.com/ostiary/ostiary/app/clock"
	"github.com/ostiary/ostiary/app/db"
	"github.com/ostiary/ostiary/app/scope"
	"github.com/ostiary/ostiary/app/secret"
	"github.com/ostiary/ostiary/tenants"
	"github.com/ostiary/ostiary/tenants/apply"
	"github.com/ostiary/ostiary/tenants/directory"
)

// What the tenants of a World have in common.
const (
	Password   = "correct horse battery" // of every member and user
	Identifier = "http://localhost:8090/mcp"
)

// World is a database with two tenants, and the services on it.
type World struct {
	DB            *db.DB
	Deps          tenants.Deps
	Clock         *Clock
	Applier       *apply.Applier
	Tenants       *tenants.Tenants
	Environments  *tenants.Environments
	Members       *tenants.Members
	Sessions      *tenants.MemberSessions
	Resources     *tenants.Resources
	Stops         *tenants.Stops
	Users         *directory.Users
	Organizations *directory.Organizations

	Acme      *Tenant // the demo tenant
	Neighbour *Tenant // the same under other names
}

// Tenant is one tenant of a World with the ids of what it has.
type Tenant struct {
	ID             string
	Slug           string
	Environment    string // slug
	EnvironmentID  string
	Issuer         string
	ResourceID     string
	UserID         string
	UserEmail      string
	OrganizationID string
	OwnerEmail     string
	File           apply.File
	members        map[tenants.Role]tenants.Member
}

// Scope returns the scope of the tenant's environment.
func (t *Tenant) Scope() scope.Scope {
	return scope.Scope{TenantID: t.ID, EnvironmentID: t.EnvironmentID}
}

// Context returns a context under the tenant's environment in which nobody acts, as the issuer has it.
func (t *Tenant) Context() context.Context { return scope.With(context.Background(), t.Scope()) }

// Operator returns a context under the tenant's environment in which the command line acts.
func (t *Tenant) Operator() context.Context {
	return scope.With(Operator(), t.Scope())
}

// Member returns a context under the tenant's environment in which a member with this role acts.
func (t *Tenant) Member(role tenants.Role) context.Context {
	return scope.With(tenants.WithMember(context.Background(), t.members[role]), t.Scope())
}

// MemberOf returns the tenant's member with this role.
func (t *Tenant) MemberOf(role tenants.Role) tenants.Member { return t.members[role] }

// Operator returns a context in which the command line acts, without a tenant.
func Operator() context.Context {
	return scope.WithActor(context.Background(), scope.Actor{Kind: scope.ActorOperator, ID: "test"})
}

// Clock is a time that tests move. It starts at the present.
type Clock struct{ moved atomic.Int64 }

// Now returns the clock's time.
func (c *Clock) Now() time.Time { return clock.System().Add(time.Duration(c.moved.Load())) }

// Advance moves the clock.
func (c *Clock) Advance(d time.Duration) { c.moved.Add(int64(d)) }

// BeginWindow moves the clock to where a counting window of length d begins. A test of a limit that happened to run at the
// end of one window and the beginning of the next would never reach the limit.
func (c *Clock) BeginWindow(d time.Duration) {
	now := c.Now().UTC()
	c.Advance(now.Truncate(d).Add(d).Sub(now))
}

type options struct {
	edit          []func(*apply.File)
	clients       func(tenants.Deps) apply.Clients
	onEnvironment func(tenants.Deps) func(context.Context, *tenants.Environment) error
	issuerURL     func(slug string) string
	logger        *slog.Logger
	keyring       *secret.Keyring
	tracer        db.Tracer
}

// Option changes what New builds.
type Option func(*options)

// WithFile edits the file of Acme before it is applied.
func WithFile(edit func(*apply.File)) Option {
	return func(o *options) { o.edit = append(o.edit, edit) }
}

// WithClients sets what stores pre-registered clients.
func WithClients(build func(tenants.Deps) apply.Clients) Option {
	return func(o *options) { o.clients = build }
}

// WithOnEnvironment sets what happens to new environments, such as the making of a signing key.
func WithOnEnvironment(build func(tenants.Deps) func(context.Context, *tenants.Environment) error) Option {
	return func(o *options) { o.onEnvironment = build }
}

// WithIssuerURL sets the issuer pattern; http://localhost:8080/i/{slug} otherwise.
func WithIssuerURL(pattern func(slug string) string) Option {
	return func(o *options) { o.issuerURL = pattern }
}

// WithLogger sets where services log; nowhere otherwise.
func WithLogger(l *slog.Logger) Option { return func(o *options) { o.logger = l } }

// WithKeyring sets the key-encryption keys, for tests that open the same database twice.
func WithKeyring(k *secret.Keyring) Option { return func(o *options) { o.keyring = k } }

// WithTracer sets what observes statements.
func WithTracer(t db.Tracer) Option { return func(o *options) { o.tracer = t } }

// Keyring returns a keyring with a random key.
func Keyring(t testing.TB) *secret.Keyring {
	t.Helper()
	ring, err := secret.NewKeyring(secret.Bytes(secret.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

// New opens the database as the role that serves requests and fills it with two tenants.
func New(t testing.TB, appURL string, opts ...Option) *World {
	t.Helper()
	o := options{
		issuerURL: func(slug string) string { return "http://localhost:8080/i/" + slug },
		logger:    slog.New(slog.DiscardHandler),
	}
	for _, option := range opts {
		option(&o)
	}
	w := open(t, appURL, o)
	acme := Demo()
	for _, edit := range o.edit {
		edit(&acme)
	}
	w.Acme = w.Apply(t, acme)
	w.Neighbour = w.Apply(t, NeighbourOf(Demo()))
	return w
}

func open(t testing.TB, appURL string, o options) *World {
	t.Helper()
	w := &World{Clock: &Clock{}}
	database, err := db.Open(t.Context(), db.Options{
		URL: appURL, MaxConns: 8, Logger: o.logger, Now: w.Clock.Now, Tracer: o.tracer,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(database.Close)
	if o.keyring == nil {
		o.keyring = Keyring(t)
	}
	w.DB = database
	w.Deps = tenants.Deps{
		DB: database, Now: w.Clock.Now, Keyring: o.keyring, Logger: o.logger,
		Passwords: secret.NewPasswords(64, 1, 4), // cheap: what is tested is not the hash
	}
	d := apply.Deps{Deps: w.Deps, IssuerURL: o.issuerURL}
	if o.clients != nil {
		d.Clients = o.clients(w.Deps)
	}
	if o.onEnvironment != nil {
		d.OnEnvironment = o.onEnvironment(w.Deps)
	}
	w.Applier = apply.New(d)
	w.Tenants, w.Environments = tenants.NewTenants(w.Deps), tenants.NewEnvironments(w.Deps)
	w.Members, w.Sessions = tenants.NewMembers(w.Deps), tenants.NewMemberSessions(w.Deps)
	w.Resources, w.Stops = tenants.NewResources(w.Deps), tenants.NewStops(w.Deps)
	w.Users, w.Organizations = directory.NewUsers(w.Deps), directory.NewOrganizations(w.Deps)
	return w
}

// Demo returns the demo tenant with passwords and a member of each role.
func Demo() apply.File {
	f := apply.Demo(Identifier, apply.DemoPasswords{Member: Password, User: Password})
	for _, role := range []tenants.Role{tenants.RoleAdmin, tenants.RoleEditor, tenants.RoleViewer} {
		f.Members = append(f.Members, apply.Member{
			Email: string(role) + "@acme.example", Name: "Demo " + string(role), Role: role, Password: Password,
		})
	}
	return f
}

// NeighbourOf returns f as another tenant: other slugs and sign-ins, the same MCP servers and permissions.
func NeighbourOf(f apply.File) apply.File {
	f.Tenant.Slug, f.Tenant.Name = "neighbour", "Neighbour"
	for i := range f.Members {
		f.Members[i].Email = strings.Replace(f.Members[i].Email, "acme", "neighbour", 1)
	}
	for i := range f.Environments {
		e := &f.Environments[i]
		e.Slug = strings.Replace(e.Slug, "acme", "neighbour", 1)
		e.Branding.ProductName = "Neighbour Data"
		for j := range e.Users {
			e.Users[j].Email = "user@neighbour.example"
		}
	}
	return f
}

// Apply applies f and looks up the ids of what it made.
func (w *World) Apply(t testing.TB, f apply.File) *Tenant {
	t.Helper()
	plan, err := w.Applier.Plan(Operator(), f)
	if err != nil {
		t.Fatalf("plan: %v", err)
	}
	result, err := w.Applier.Apply(Operator(), plan)
	if err != nil {
		t.Fatalf("apply: %v", err)
	}
	made := &Tenant{ID: result.TenantID, Slug: f.Tenant.Slug, File: f, members: map[tenants.Role]tenants.Member{}}
	w.findMembers(t, made)
	if len(f.Environments) > 0 {
		made.Environment = f.Environments[0].Slug
		made.EnvironmentID = result.Environments[made.Environment].EnvironmentID
		w.findContents(t, made, f.Environments[0])
	}
	return made
}

// Grant makes the grant that the record of a call names.
func (w *World) Grant(t testing.TB, tenant *Tenant, r calls.Record) {
	t.Helper()
	err := w.DB.Pipe(tenant.Context(), func(b *pgx.Batch) {
		b.Queue(`insert into grants (tenant_id, environment_id, id, user_id, client_id, resource_id, organization_id, scopes, created_at,
			expires_at, last_used_at) values ($1, $2, $3, $4, $5, $6, nullif($7, ''), coalesce($8::text[], '{}'), $9, $9, $9)
			on conflict do nothing`, tenant.ID, tenant.EnvironmentID, r.Grant, r.User, r.Client, tenant.ResourceID, r.Organization, r.Scopes, r.At)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (w *World) findMembers(t testing.TB, made *Tenant) {
	t.Helper()
	list, err := w.Members.List(scope.With(Operator(), scope.Scope{TenantID: made.ID}))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range list {
		made.members[m.Role] = m
		if m.Role == tenants.RoleOwner {
			made.OwnerEmail = m.Email
		}
	}
}

func (w *World) findContents(t testing.TB, made *Tenant, e apply.Environment) {
	t.Helper()
	env, err := w.Environments.Load(made.Operator())
	if err != nil {
		t.Fatal(err)
	}
	made.Issuer = env.Issuer
	if resources, _, err := w.Resources.List(made.Operator(), tenants.ResourceFilter{}); err != nil {
		t.Fatal(err)
	} else if len(resources) > 0 {
		made.ResourceID = resources[0].ID
	}
	if len(e.Users) > 0 {
		account, err := w.Users.Accounts(made.Operator(), []string{e.Users[0].Email})
		if err != nil {
			t.Fatal(err)
		}
		user := account[e.Users[0].Email]
		made.UserID, made.UserEmail, made.OrganizationID = user.ID, user.Email, user.OrganizationID
	}
}
