//go:build linux || darwin

package apptest

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/ostiary/ostiary/app/postgres"
)

const (
	testPrefix     = "ostiary_test_"
	templatePrefix = "ostiary_template_"
	buildPrefix    = "ostiary_build_"

	urlEnv       = "OSTIARY_TEST_DATABASE_URL"
	adminConns   = 4
	busyTimeout  = 20 * time.Second
	objectInUse  = "55006"
	fileCopyFrom = 150000 // server version that lets one choose how a template is copied
)

// DB is a test's own database, as its two roles.
type DB struct {
	OwnerURL string // ostiary_owner: may change the schema
	AppURL   string // ostiary_app: bound by row-level security, as in production
}

// Template is a database that tests get copies of.
type Template struct {
	// Key names the content: the same key is made once for all processes.
	Key string
	// Migrate makes the content; nil makes none.
	Migrate func(ctx context.Context, ownerURL string) error
}

// Empty returns a new database with its roles and no tables. It is dropped when the test ends.
func Empty(t testing.TB) DB {
	t.Helper()
	return From(t, Template{Key: "empty"})
}

// From returns a new copy of a template. It is dropped when the test ends.
func From(t testing.TB, template Template) DB {
	t.Helper()
	k := acquire(t)
	name, err := k.template(t.Context(), template)
	if err != nil {
		t.Fatalf("apptest: %v", err)
	}
	db, name, err := k.copyOf(t.Context(), name)
	if err != nil {
		t.Fatalf("apptest: %v", err)
	}
	t.Cleanup(func() {
		// The test's context has ended by now.
		if err := k.drop(context.Background(), name); err != nil {
			t.Errorf("apptest: %v", err)
		}
	})
	return db
}

// Postgres returns the URL of a superuser of the test server, for tests of what creates databases itself.
func Postgres(t testing.TB) string {
	t.Helper()
	return acquire(t).adminURL
}

// kit is what the tests of one binary share.
type kit struct {
	once     sync.Once
	err      error
	adminURL string
	admin    *pgxpool.Pool
	lease    *os.File
	version  int

	mu        sync.Mutex
	templates map[string]func() (string, error)
}

// connect finds or starts the server, once. Its context ends with the first test that asked, so only its values are used.
func (k *kit) connect(ctx context.Context) error {
	k.once.Do(func() { k.err = k.open(context.WithoutCancel(ctx)) })
	return k.err
}

func (k *kit) open(ctx context.Context) error {
	k.templates = map[string]func() (string, error){}
	k.adminURL = os.Getenv(urlEnv)
	if k.adminURL == "" {
		s, err := defaultShared()
		if err != nil {
			return err
		}
		if k.adminURL, k.lease, err = s.join(ctx); err != nil {
			return err
		}
	}
	cfg, err := pgxpool.ParseConfig(k.adminURL)
	if err != nil {
		return fmt.Errorf("%s is malformed", urlEnv) // the cause quotes the URL, password included
	}
	cfg.MaxConns = adminConns
	if k.admin, err = pgxpool.NewWithConfig(ctx, cfg); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	return k.admin.QueryRow(ctx, `select current_setting('server_version_num')::int`).Scan(&k.version)
}

func (k *kit) close() {
	if k.admin != nil {
		k.admin.Close()
	}
	if k.lease != nil {
		k.lease.Close() //nolint:errcheck // only frees the lock
	}
}

// spec names a database and the roles' passwords. They follow from the admin's, so that all processes agree.
func (k *kit) spec(database string) postgres.RoleSpec {
	password := func(role string) string {
		mac := hmac.New(sha256.New, []byte(k.admin.Config().ConnConfig.Password))
		mac.Write([]byte("ostiary test " + role))
		return hex.EncodeToString(mac.Sum(nil))
	}
	return postgres.RoleSpec{
		Database: database, OwnerPassword: password(postgres.OwnerRole), AppPassword: password(postgres.AppRole),
	}
}

// template returns the name of the template database, made if it is not there.
func (k *kit) template(ctx context.Context, template Template) (string, error) {
	k.mu.Lock()
	made, known := k.templates[template.Key]
	if !known {
		ctx := context.WithoutCancel(ctx)
		made = sync.OnceValues(func() (string, error) { return k.makeTemplate(ctx, template) })
		k.templates[template.Key] = made
	}
	k.mu.Unlock()
	return made()
}

// makeTemplate makes the template under a build name and renames it last: what has the name is whole. An advisory lock lets
// one process build while the others wait; it ends with the connection.
func (k *kit) makeTemplate(ctx context.Context, template Template) (string, error) {
	sum := sha256.Sum256([]byte(template.Key))
	hash := hex.EncodeToString(sum[:8])
	name, build := templatePrefix+hash, buildPrefix+hash
	conn, err := pgx.Connect(ctx, k.adminURL)
	if err != nil {
		return "", fmt.Errorf("make template: %w", err)
	}
	defer conn.Close(ctx) //nolint:errcheck // each statement is its own transaction
	var exists bool
	if _, err = conn.Exec(ctx, `select pg_advisory_lock(hashtextextended($1, 0))`, name); err == nil {
		err = conn.QueryRow(ctx, `select exists (select from pg_database where datname = $1)`, name).Scan(&exists)
	}
	if err != nil || exists {
		return name, err
	}
	if _, err := conn.Exec(ctx, "drop database if exists "+quote(build)+" with (force)"); err != nil {
		return "", fmt.Errorf("make template: %w", err)
	}
	roles, err := postgres.EnsureRoles(ctx, k.adminURL, k.spec(build))
	if err != nil {
		return "", fmt.Errorf("make template: %w", err)
	}
	if template.Migrate != nil {
		if err := template.Migrate(ctx, roles.OwnerURL); err != nil {
			return "", fmt.Errorf("make template: %w", err)
		}
	}
	for _, change := range []string{" allow_connections false is_template true", " rename to " + quote(name)} {
		err := whileBusy(ctx, func() error {
			_, err := conn.Exec(ctx, "alter database "+quote(build)+change)
			return err
		})
		if err != nil {
			return "", fmt.Errorf("make template: %w", err)
		}
	}
	return name, nil
}

// copyOf makes a test's database. Copying files costs two checkpoints, which are nearly free without fsync; copying pages
// through the log (the server's default) measured two to three times as slow.
func (k *kit) copyOf(ctx context.Context, template string) (DB, string, error) {
	name := testPrefix + strings.ToLower(rand.Text())
	statement := "create database " + quote(name) + " owner " + quote(postgres.OwnerRole) + " template " + quote(template)
	if k.version >= fileCopyFrom {
		statement += " strategy file_copy"
	}
	err := whileBusy(ctx, func() error {
		_, err := k.admin.Exec(ctx, statement)
		return err
	})
	if err != nil {
		return DB{}, "", fmt.Errorf("create test database: %w", err)
	}
	if _, err := k.admin.Exec(ctx, strings.Join(postgres.DatabaseGrants(name), ";")); err != nil {
		return DB{}, "", fmt.Errorf("create test database: %w", err)
	}
	urls, err := postgres.RoleURLs(k.adminURL, k.spec(name))
	return DB(urls), name, err
}

func (k *kit) drop(ctx context.Context, name string) error {
	_, err := k.admin.Exec(ctx, "drop database if exists "+quote(name)+" with (force)")
	if err != nil {
		return fmt.Errorf("drop test database: %w", err)
	}
	return nil
}

// whileBusy repeats do while Postgres refuses because another session uses the database at hand.
func whileBusy(ctx context.Context, do func() error) error {
	ctx, cancel := context.WithTimeout(ctx, busyTimeout)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := do()
		var refused *pgconn.PgError
		if err == nil || !errors.As(err, &refused) || refused.Code != objectInUse {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-tick.C:
		}
	}
}

func quote(identifier string) string { return pgx.Identifier{identifier}.Sanitize() }
