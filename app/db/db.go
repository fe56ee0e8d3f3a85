package db

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
)

// Options configures Open.
type Options struct {
	URL      string // of the ostiary_app role
	MaxConns int32  // 0 means 20
	Logger   *slog.Logger
	Now      func() time.Time
	Tracer   Tracer // optional: counts statements and round trips, for the benchmarks

	ListenCheck time.Duration // how long a listener believes in silence; 0 means 30 s
}

// DB is a pool of connections as the ostiary_app role.
type DB struct {
	pool *pgxpool.Pool
	gorm *gorm.DB
	log  *slog.Logger

	listenCheck time.Duration
}

// Open connects, and verifies that the role cannot bypass row-level security. It does not wait for the server: a database
// that is away makes operations fail with errs.Unavailable, not the start of the process.
func Open(ctx context.Context, o Options) (*DB, error) {
	cfg, err := pgxpool.ParseConfig(o.URL)
	if err != nil {
		return nil, fmt.Errorf("database URL: malformed") // the parse error quotes the URL, password included
	}
	cfg.MaxConns = o.MaxConns
	if cfg.MaxConns == 0 {
		cfg.MaxConns = 20
	}
	cfg.MaxConnIdleTime = 5 * time.Minute
	cfg.ConnConfig.ConnectTimeout = 5 * time.Second
	for name, value := range map[string]string{
		"application_name": "ostiary", "timezone": "UTC",
		"statement_timeout": "10s", "lock_timeout": "5s", "idle_in_transaction_session_timeout": "15s",
		// Every hot statement finds rows by key: planning it anew each time costs more than running it.
		"plan_cache_mode": "force_generic_plan",
		// Rows that are found by key are in memory, or on a disk that does not seek: never read a table whose rows are few so far.
		"random_page_cost": "1.1",
	} {
		if _, set := cfg.ConnConfig.RuntimeParams[name]; !set {
			cfg.ConnConfig.RuntimeParams[name] = value
		}
	}
	if o.Tracer != nil {
		cfg.ConnConfig.Tracer = o.Tracer
	}
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	g, err := gorm.Open(postgres.New(postgres.Config{Conn: stdlib.OpenDBFromPool(pool)}), &gorm.Config{
		SkipDefaultTransaction:   true,
		DisableAutomaticPing:     true,
		DisableNestedTransaction: true,
		NowFunc:                  func() time.Time { return o.Now().UTC() },
		Logger:                   newGormLogger(o.Logger),
		TranslateError:           false,
	})
	if err != nil {
		pool.Close()
		return nil, fmt.Errorf("open database: %w", err)
	}
	if o.ListenCheck == 0 {
		o.ListenCheck = listenCheck
	}
	return &DB{pool: pool, gorm: g, log: o.Logger, listenCheck: o.ListenCheck}, nil
}

// CheckRole returns an error when the connected role could bypass row-level security, which would make isolation a habit.
func (d *DB) CheckRole(ctx context.Context) error {
	var super, bypass bool
	err := d.pool.QueryRow(ctx, `select rolsuper, rolbypassrls from pg_roles where rolname = current_user`).Scan(&super, &bypass)
	if err != nil {
		return mapError(err)
	}
	if super || bypass {
		return fmt.Errorf("the database role bypasses row-level security: connect as ostiary_app, see README")
	}
	return nil
}

// Ping reports whether Postgres answers. Errors: errs.Unavailable.
func (d *DB) Ping(ctx context.Context) error { return mapError(d.pool.Ping(ctx)) }

// Close closes all connections.
func (d *DB) Close() { d.pool.Close() }

// Stat returns the pool's counters, for metrics and leak tests.
func (d *DB) Stat() *pgxpool.Stat { return d.pool.Stat() }
