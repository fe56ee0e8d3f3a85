package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/ostiary/ostiary/app"
	"github.com/ostiary/ostiary/app/clock"
	"github.com/ostiary/ostiary/app/config"
	"github.com/ostiary/ostiary/app/db"
	"github.com/ostiary/ostiary/app/postgres"
	"github.com/ostiary/ostiary/app/scope"
	"github.com/ostiary/ostiary/app/secret"
	"github.com/ostiary/ostiary/tenants"
	"github.com/ostiary/ostiary/tenants/apply"
)

const (
	databaseName = "ostiary"
	identifier   = "http://localhost:8090/mcp"
	webRedirect  = "https://host.example/callback"         // consent is remembered
	loopback     = "http://127.0.0.1:53682/callback"       // consent is asked for each time
	scopeWanted  = "data:read profiles:read signals:write" // of the demo tenant
)

// stand is what is measured, standing: a database with a tenant and its rows, and the process that serves.
type stand struct {
	config   config.Config
	admin    string // URL of a superuser in the database
	version  string // of Postgres
	tenant   tenantIDs
	server   *server
	rows     int
	clients  []string    // registered, their consents remembered
	desktop  string      // registered, its consent asked for each time
	resource credentials // of the MCP server, for introspection
	teardown []func()
}

// credentials are an id and a secret.
type credentials struct{ ID, Secret string }

// machine is the tenant's client that gets tokens for itself.
var machine = credentials{ID: "nightly-export", Secret: "only-for-benchmarks-only-for-benchmarks"} //nolint:gosec // of nobody

// tenantIDs are the ids of the tenant's one environment and what it has.
type tenantIDs struct {
	Issuer         string
	BasePath       string // of the issuer
	Host           string
	TenantID       string
	EnvironmentID  string
	ResourceID     string
	OrganizationID string
}

func (s *stand) close() {
	for i := len(s.teardown) - 1; i >= 0; i-- {
		s.teardown[i]()
	}
}

// newStand builds everything. The caller closes it, also when there is an error.
func newStand(ctx context.Context, o options) (*stand, error) {
	s := &stand{rows: o.rows}
	if err := s.startPostgres(ctx, o); err != nil {
		return s, err
	}
	product, err := listen(ctx)
	if err != nil {
		return s, err
	}
	limit, err := listen(ctx)
	if err != nil {
		return s, err
	}
	_, port, _ := net.SplitHostPort(product.Addr().String())
	database, owner := s.config.DatabaseURL, s.config.MigrateDatabaseURL
	s.config, err = config.Load([]string{ // what is not named has its default
		"OSTIARY_URL=http://localhost:" + port,
		"OSTIARY_MASTER_KEY=" + base64.StdEncoding.EncodeToString(secret.Bytes(secret.KeySize)),
		"OSTIARY_DATABASE_MAX_CONNS=" + strconv.Itoa(o.pool),
		"OSTIARY_DATABASE_URL=" + database, "OSTIARY_MIGRATE_DATABASE_URL=" + owner,
		"OSTIARY_CALL_LIMIT=0",
		"OSTIARY_TRUSTED_PROXIES=127.0.0.0/8", // callers come from many addresses, as their number would be bounded otherwise
	})
	if err != nil {
		return s, err
	}
	if err := s.seed(ctx); err != nil {
		return s, fmt.Errorf("tenant: %w", err)
	}
	if err := s.prepareLimit(ctx); err != nil {
		return s, fmt.Errorf("limit: %w", err)
	}
	s.server, err = startServer(serverSetup{Config: s.config, Tenant: s.tenant}, product, limit)
	if err != nil {
		return s, err
	}
	s.teardown = append(s.teardown, s.server.stop)
	if err := s.register(); err != nil {
		return s, err
	}
	return s, s.populate(ctx)
}

func listen(ctx context.Context) (*net.TCPListener, error) {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen on loopback: %w", err)
	}
	tcp, ok := ln.(*net.TCPListener)
	if !ok {
		return nil, errors.New("listen on loopback: no TCP")
	}
	return tcp, nil
}

// startPostgres starts a server of our own as dev does, durable commits included, and migrates.
func (s *stand) startPostgres(ctx context.Context, o options) error {
	dir, err := os.MkdirTemp(o.dir, "ostiary-bench-")
	if err != nil {
		return fmt.Errorf("database directory: %w", err)
	}
	if err := os.Chmod(dir, 0o711); err != nil { //nolint:gosec // root's server runs as a user who has to pass through
		return fmt.Errorf("database directory: %w", err)
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	options := postgres.Options{DataDir: filepath.Join(dir, "postgres"), Settings: o.settings, Logger: log}
	s.teardown = append(s.teardown, func() {
		if err := postgres.Reset(context.WithoutCancel(ctx), options); err != nil {
			log.WarnContext(ctx, "the database could not be removed", "error", err)
		}
		_ = os.RemoveAll(dir) // a temporary directory
	})
	server, err := postgres.Start(context.WithoutCancel(ctx), options)
	if err != nil {
		return err
	}
	s.teardown = append(s.teardown, func() { _ = server.Stop(context.WithoutCancel(ctx)) }) // its data go next
	roles, err := server.EnsureRoles(ctx, databaseName)
	if err != nil {
		return err
	}
	s.version = server.Version
	s.config.DatabaseURL, s.config.MigrateDatabaseURL = roles.AppURL, roles.OwnerURL
	u, err := url.Parse(server.AdminURL())
	if err != nil {
		return fmt.Errorf("database URL: malformed")
	}
	u.Path = "/" + databaseName
	s.admin = u.String()
	return db.Migrate(ctx, roles.OwnerURL)
}

// seed applies the demo tenant.
func (s *stand) seed(ctx context.Context) error {
	ctx = scope.WithActor(ctx, scope.Actor{Kind: scope.ActorOperator, ID: "bench"})
	a, err := app.New(ctx, app.Deps{Config: s.config, Logger: slog.New(slog.DiscardHandler), Now: clock.System})
	if err != nil {
		return err
	}
	defer a.Close()
	file := apply.Demo(identifier, apply.DemoPasswords{Member: secret.NewToken(), User: secret.NewToken()})
	environment := &file.Environments[0]
	environment.Clients = append(environment.Clients, apply.Client{
		ID: machine.ID, Name: "Nightly export", Auth: apply.AuthSecret, Secret: machine.Secret,
		Machine: &apply.Machine{Resource: identifier, Scopes: strings.Fields(scopeWanted)},
	})
	plan, err := a.Applier().Plan(ctx, file)
	if err != nil {
		return err
	}
	result, err := a.Applier().Apply(ctx, plan)
	if err != nil {
		return err
	}
	slug := environment.Slug
	issuer, err := url.Parse(s.config.Issuer(slug))
	if err != nil {
		return err
	}
	s.tenant = tenantIDs{
		Issuer: issuer.String(), BasePath: issuer.Path, Host: issuer.Host,
		TenantID: result.TenantID, EnvironmentID: result.Environments[slug].EnvironmentID,
	}
	ctx = scope.With(ctx, scope.Scope{TenantID: s.tenant.TenantID, EnvironmentID: s.tenant.EnvironmentID})
	resources, _, err := a.Services().Resources.List(ctx, tenants.ResourceFilter{})
	if err != nil {
		return err
	}
	if len(resources) == 0 {
		return errors.New("the demo tenant has no MCP server")
	}
	s.tenant.ResourceID = resources[0].ID
	made, text, err := a.Services().Resources.CreateCredential(ctx, tenants.NewCredential{ResourceID: s.tenant.ResourceID, Name: "bench"})
	s.resource = credentials{ID: made.ID, Secret: text}
	return err
}
