package postgres

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ostiary/ostiary/app/errs"
)

// minMajor is the oldest major version the schema is written for.
const minMajor = 14

// Source says where the server comes from.
type Source string

const (
	// Configured means a server somebody else runs, reached by Options.URL.
	Configured Source = "configured"
	// System means binaries found on this machine.
	System Source = "system"
	// Downloaded means binaries fetched from a Maven repository.
	Downloaded Source = "downloaded"
)

// Options configures Start.
type Options struct {
	URL     string // postgres:// URL of a superuser on a running server: use that, start nothing
	DataDir string // holds the cluster, its passwords and its log; needed without URL
	Port    int    // also listen on this loopback port; 0 means the Unix socket only
	Fast    bool   // trade durability for speed: a crash of the machine loses the cluster. For tests
	// Settings of the server that win over ours, each "name=value". Every user of the machine can read them.
	Settings []string

	OwnerPassword string // of ostiary_owner and ostiary_app on a configured server; a server we start has generated ones
	AppPassword   string

	DownloadURL string // Maven repository to download binaries from; empty means Maven Central

	Logger *slog.Logger     // nil discards
	Now    func() time.Time // nil leaves durations out of the log
}

// Server is a running server.
type Server struct {
	Version string // as the server tells it, e.g. "17.5"
	Source  Source

	adminURL  string
	passwords rolePasswords
	stopped   chan struct{} // closed when the child has ended
	stop      func(context.Context) error
}

// Start returns a server that answers. The server lives until Stop, or until ctx ends: pass a context that outlives the
// users of the database. Errors: Invalid for options that cannot work, Conflict when another process holds the data
// directory or the port, Unavailable when the server does not come up.
func Start(ctx context.Context, opts Options) (*Server, error) {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.URL != "" {
		return useConfigured(ctx, opts)
	}
	if opts.DataDir == "" {
		return nil, errs.New(errs.Invalid, "Postgres needs a data directory or the URL of a running server.")
	}
	return startLocal(ctx, opts)
}

// AdminURL returns the URL of a superuser in the database "postgres" (or the configured one). It carries a password.
func (s *Server) AdminURL() string { return s.adminURL }

// EnsureRoles makes the database and its roles with the passwords kept in the data directory, or with those of Options on
// a configured server. It may be repeated.
func (s *Server) EnsureRoles(ctx context.Context, database string) (Roles, error) {
	return EnsureRoles(ctx, s.adminURL, RoleSpec{
		Database: database, OwnerPassword: s.passwords.Owner, AppPassword: s.passwords.App,
	})
}

// Done is closed when a server we started has ended, by Stop or by itself. For a configured server it never is.
func (s *Server) Done() <-chan struct{} { return s.stopped }

// Stop shuts the server down in order: sessions are cut, data are flushed. When ctx ends first, the server is told to quit
// at once; the next start then replays its log, and nothing committed is lost. Stop may be repeated, and does nothing to a
// configured server.
func (s *Server) Stop(ctx context.Context) error { return s.stop(ctx) }

// rolePasswords are the generated passwords of a server we start.
type rolePasswords struct {
	Admin string `json:"postgres"`
	Owner string `json:"ostiary_owner"`
	App   string `json:"ostiary_app"`
}

func useConfigured(ctx context.Context, opts Options) (*Server, error) {
	if u, err := url.Parse(opts.URL); err != nil || (u.Scheme != "postgres" && u.Scheme != "postgresql") {
		return nil, errs.New(errs.Invalid, "The database URL must look like postgres://user:password@host:5432/postgres.")
	}
	version, err := serverVersion(ctx, opts.URL)
	if err != nil {
		return nil, errs.Wrap(errs.Unavailable, "The configured Postgres server does not answer.", err)
	}
	opts.Logger.InfoContext(ctx, "using the configured Postgres server", "version", version)
	return &Server{
		Version: version, Source: Configured, adminURL: opts.URL,
		passwords: rolePasswords{Owner: opts.OwnerPassword, App: opts.AppPassword},
		stopped:   make(chan struct{}),
		stop:      func(context.Context) error { return nil },
	}, nil
}

// serverVersion connects, and returns the server's version when it is one we support.
func serverVersion(ctx context.Context, adminURL string) (string, error) {
	cfg, err := pgx.ParseConfig(adminURL)
	if err != nil {
		return "", fmt.Errorf("malformed URL") // the cause quotes the URL, password included
	}
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = 10 * time.Second
	}
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return "", err
	}
	defer conn.Close(ctx) //nolint:errcheck // nothing was written
	var (
		version string
		number  int
	)
	err = conn.QueryRow(ctx, `select current_setting('server_version'), current_setting('server_version_num')::int`).
		Scan(&version, &number)
	if err != nil {
		return "", err
	}
	if number < minMajor*10000 {
		return "", fmt.Errorf("server version %s is older than %d", version, minMajor)
	}
	return version, nil
}
