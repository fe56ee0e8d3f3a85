package db

import (
	"context"
	"database/sql"
	"fmt"

	_ "github.com/jackc/pgx/v5/stdlib" // the "pgx" driver
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/ostiary/ostiary/migrations"
)

// Migrate brings the schema up to date as the ostiary_owner role. Several processes may call it at once: one migrates, the
// others wait. It is safe to repeat.
func Migrate(ctx context.Context, ownerURL string) error {
	conn, err := sql.Open("pgx", ownerURL)
	if err != nil {
		return fmt.Errorf("migrate: database URL malformed")
	}
	defer conn.Close() //nolint:errcheck // read-only from here on
	locker, err := lock.NewPostgresSessionLocker()
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, conn, migrations.FS, goose.WithSessionLocker(locker))
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrate: %w", mapError(err))
	}
	return nil
}

// Pending reports whether migrations are waiting, so that serve can refuse to run on an old schema.
func Pending(ctx context.Context, url string) (bool, error) {
	conn, err := sql.Open("pgx", url)
	if err != nil {
		return false, fmt.Errorf("migrate: database URL malformed")
	}
	defer conn.Close() //nolint:errcheck // nothing was written
	provider, err := goose.NewProvider(goose.DialectPostgres, conn, migrations.FS)
	if err != nil {
		return false, fmt.Errorf("migrate: %w", err)
	}
	pending, err := provider.HasPending(ctx)
	return pending, mapError(err)
}
