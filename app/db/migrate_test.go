package db_test

import (
	"context"
	"database/sql"
	"testing"

	"github.com/pressly/goose/v3"

	"github.com/ostiary/ostiary/app/apptest"
	"github.com/ostiary/ostiary/app/db"
	"github.com/ostiary/ostiary/migrations"
)

// migrationsOf opens a database as its owner, with what moves its schema.
func migrationsOf(t *testing.T, ownerURL string) (*sql.DB, *goose.Provider) {
	t.Helper()
	conn, err := sql.Open("pgx", ownerURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() }) // nothing is under way
	provider, err := goose.NewProvider(goose.DialectPostgres, conn, migrations.FS)
	if err != nil {
		t.Fatal(err)
	}
	return conn, provider
}

// Row-level security binds the owner too, so a migration that changes rows of every tenant has to see to that.
func TestMigrations_ConsentsFromBeforeAreFound(t *testing.T) {
	t.Parallel()
	test := apptest.Empty(t)
	conn, provider := migrationsOf(t, test.OwnerURL)
	if _, err := provider.UpTo(t.Context(), 13); err != nil {
		t.Fatal(err)
	}
	tenants := []string{"ten_AAAAAAAAAAAAAAAAAAAAAAAAAA", "ten_BBBBBBBBBBBBBBBBBBBBBBBBBB"}
	for _, tenant := range tenants {
		inTenant(t, conn, tenant, `insert into consents (tenant_id, environment_id, id, user_id, client_id, resource_id, scopes, revision,
			receipt, lasts, created_at) values ($1, 'env', 'con_' || repeat('A', 26), 'usr', 'https://host.example/app.json', 'res', '{}', 1,
			'{}', 'revoke', now())`)
	}
	for range 2 { // there, back, and there again
		if err := db.Migrate(t.Context(), test.OwnerURL); err != nil {
			t.Fatal(err)
		}
		for _, tenant := range tenants {
			found := inTenant(t, conn, tenant, `update consents set revoked_at = now()
				where tenant_id = $1 and client_key = hashtextextended('https://host.example/app.json', 0)`)
			if found != 1 {
				t.Errorf("%d consents of %s are found by their client, want 1", found, tenant)
			}
		}
		if _, err := provider.DownTo(t.Context(), 13); err != nil {
			t.Fatal(err)
		}
	}
}

// inTenant runs a statement whose one parameter is the tenant, under that tenant, and returns how many rows it touched.
func inTenant(t *testing.T, conn *sql.DB, tenant, statement string) int64 {
	t.Helper()
	var touched int64
	err := func() error {
		tx, err := conn.BeginTx(context.WithoutCancel(t.Context()), nil)
		if err != nil {
			return err
		}
		defer tx.Rollback() //nolint:errcheck // once committed there is nothing to take back
		if _, err := tx.Exec(`select set_config('app.tenant_id', $1, true)`, tenant); err != nil {
			return err
		}
		result, err := tx.Exec(statement, tenant)
		if err != nil {
			return err
		}
		if touched, err = result.RowsAffected(); err != nil {
			return err
		}
		return tx.Commit()
	}()
	if err != nil {
		t.Fatal(err)
	}
	return touched
}
