package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ostiary/ostiary/app"
	"github.com/ostiary/ostiary/app/clock"
	"github.com/ostiary/ostiary/app/config"
	"github.com/ostiary/ostiary/app/db"
	"github.com/ostiary/ostiary/app/postgres"
)

// devOptions are the flags of dev.
type devOptions struct {
	port, mcpPort int
	dataDir       string
	url           string
	apply         string
	documents     []string
	json, reset   bool
}

func devCommand() *cobra.Command {
	var o devOptions
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run everything on this machine: Postgres, dashboard, issuer, a demo tenant and a guarded demo MCP server",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return dev(cmd.Context(), o) },
	}
	f := cmd.Flags()
	f.IntVar(&o.port, "port", 8080, "port of dashboard and issuers; 0 picks a free one")
	f.IntVar(&o.mcpPort, "mcp-port", 8090, "port of the guarded demo MCP server; 0 picks a free one")
	f.StringVar(&o.dataDir, "data-dir", defaultDataDir(), "where the database and the keys of this machine are kept")
	f.StringVar(&o.url, "url", "", "public base URL, when something stands in front (default http://localhost:PORT)")
	f.StringVar(&o.apply, "apply", "", "a tenant file to apply besides the demo tenant")
	f.StringArrayVar(&o.documents, "client-document", nil,
		"URL=FILE: a file in place of the client metadata document at a URL, for work without the internet; may be repeated")
	f.BoolVar(&o.json, "json", false, "print one line of JSON when ready, for scripts")
	f.BoolVar(&o.reset, "reset", false, "forget everything from earlier starts first")
	return cmd
}

// dev runs the whole product on loopback until ctx ends.
func dev(ctx context.Context, o devOptions) error {
	log := newLogger(slog.LevelWarn, true)
	documents, err := readClientDocuments(o.documents)
	if err != nil {
		return err
	}
	home, err := openDataDir(ctx, o.dataDir, o.reset, log)
	if err != nil {
		return err
	}
	// Listening comes first: a taken port is said before anything is started, and free ports are known from here on.
	listeners, err := listenDev(ctx, o)
	if err != nil {
		return err
	}
	defer listeners.close()
	environ := devEnviron(o, home, listeners)
	cfg, err := config.Load(environ)
	if err != nil {
		return err
	}
	server, err := startPostgres(ctx, home, &cfg, log)
	if err != nil {
		return err
	}
	if server != nil {
		defer stopPostgres(ctx, server, log)
	}
	if err := db.Migrate(ctx, cfg.MigrateDatabaseURL); err != nil {
		return err
	}
	a, err := app.New(ctx, app.Deps{Config: cfg, Logger: log, Now: clock.System, Storybook: true, ClientDocuments: documents})
	if err != nil {
		return err
	}
	defer a.Close()
	if err := a.CheckDatabase(ctx); err != nil {
		return err
	}
	demo, err := seedDemo(ctx, a, home, o, listeners)
	if err != nil {
		return err
	}
	forget, err := home.announce(environ, cfg)
	if err != nil {
		return err
	}
	defer forget()
	run := devRun{app: a, listeners: listeners, demo: demo, server: server, json: o.json, log: log}
	return run.serve(ctx)
}

// devRun is everything that is ready to be served.
type devRun struct {
	app       *app.App
	listeners *devListeners
	demo      demoTenant
	server    *postgres.Server // nil when somebody else runs it
	json      bool
	log       *slog.Logger
}

// serve serves everything, says so, and stops everything when ctx ends or one part fails.
func (d devRun) serve(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	done := make(chan error, 3)
	go func() { done <- d.app.Run(ctx, d.listeners.main) }()
	go func() { done <- serveDemoServer(ctx, d.listeners.upstream) }()
	ready := make(chan struct{})
	go func() {
		done <- serveDemoGate(ctx, d.listeners, d.demo, d.log, func(net.Addr) { close(ready) })
	}()
	var postgresGone <-chan struct{}
	if d.server != nil {
		postgresGone = d.server.Done()
	}
	running := 3
	for running > 0 {
		select {
		case <-ready:
			ready = nil
			if err := d.demo.print(os.Stdout, d.json); err != nil {
				cancel(err)
			}
		case <-postgresGone:
			postgresGone = nil
			if ctx.Err() == nil {
				cancel(errors.New("the database stopped by itself: see postgres.log in the data directory"))
			}
		case err := <-done:
			running--
			cancel(err)
		}
	}
	if err := context.Cause(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// devListeners are the ports of a dev run; all on loopback.
type devListeners struct {
	main, mcp, upstream net.Listener
}

func listenDev(ctx context.Context, o devOptions) (*devListeners, error) {
	var l devListeners
	for _, want := range []struct {
		into *net.Listener
		port int
		flag string
	}{{&l.main, o.port, "--port"}, {&l.mcp, o.mcpPort, "--mcp-port"}, {&l.upstream, 0, ""}} {
		ln, err := new(net.ListenConfig).Listen(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", want.port))
		if err != nil {
			l.close()
			return nil, fmt.Errorf("port %d is taken: stop what uses it, or choose another with %s (0 picks a free one)", want.port, want.flag)
		}
		*want.into = ln
	}
	return &l, nil
}

func (l *devListeners) close() {
	for _, ln := range []net.Listener{l.main, l.mcp, l.upstream} {
		if ln != nil {
			_ = ln.Close() // already closed by its server
		}
	}
}

func portOf(ln net.Listener) int {
	if addr, ok := ln.Addr().(*net.TCPAddr); ok {
		return addr.Port
	}
	return 0
}

// mcpURL is the public URL of the demo MCP server, its resource identifier.
func (l *devListeners) mcpURL() string { return fmt.Sprintf("http://localhost:%d/mcp", portOf(l.mcp)) }

// devEnviron fills in what an operator would set. Variables that are set are honoured.
func devEnviron(o devOptions, home *dataDir, l *devListeners) []string {
	environ := append(os.Environ(), "OSTIARY_URL="+devURL(o, l))
	if os.Getenv("OSTIARY_MASTER_KEY") == "" && os.Getenv("OSTIARY_MASTER_KEY_FILE") == "" {
		environ = append(environ, "OSTIARY_MASTER_KEY="+home.secrets.MasterKey)
	}
	return environ
}

func devURL(o devOptions, l *devListeners) string {
	if o.url != "" {
		return o.url
	}
	return fmt.Sprintf("http://localhost:%d", portOf(l.main))
}

// startPostgres makes the database ready and fills in the URLs of its two roles: the ones the environment names, else on the
// server that OSTIARY_DATABASE_URL names as a superuser, else on a server of our own.
func startPostgres(ctx context.Context, home *dataDir, cfg *config.Config, log *slog.Logger) (*postgres.Server, error) {
	if cfg.DatabaseURL != "" && cfg.MigrateDatabaseURL != "" {
		return nil, nil //nolint:nilnil // no server of ours to stop
	}
	// A server ends with the context it was started under. Ctrl-C must not end this one before the requests under way do.
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	unhook := context.AfterFunc(ctx, end)
	server, err := postgres.Start(life, postgres.Options{
		URL: cfg.DatabaseURL, DataDir: home.postgres(), Logger: log, Now: clock.System,
		OwnerPassword: home.secrets.OwnerPassword, AppPassword: home.secrets.AppPassword,
	})
	unhook()
	if err != nil {
		end()
		return nil, err
	}
	roles, err := server.EnsureRoles(ctx, databaseName(cfg.DatabaseURL))
	if err != nil {
		stopPostgres(ctx, server, log)
		return nil, err
	}
	cfg.DatabaseURL, cfg.MigrateDatabaseURL = roles.AppURL, roles.OwnerURL
	return server, nil
}

// databaseName is the database a URL names; maintenance databases are not for tables of ours.
func databaseName(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "ostiary"
	}
	switch name := strings.Trim(u.Path, "/"); name {
	case "", "postgres", "template0", "template1":
		return "ostiary"
	default:
		return name
	}
}

func stopPostgres(ctx context.Context, server *postgres.Server, log *slog.Logger) {
	if err := server.Stop(context.WithoutCancel(ctx)); err != nil {
		log.ErrorContext(ctx, "the database did not stop cleanly", "error", err)
	}
}
