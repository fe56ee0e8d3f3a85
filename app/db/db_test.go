package db_test

import (
	"context"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"gorm.io/gorm"

	"github.com/ostiary/ostiary/app/apptest"
	"github.com/ostiary/ostiary/app/db"
	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/scope"
	"github.com/ostiary/ostiary/app/secret"
)

func TestMain(m *testing.M) { apptest.Main(m) }

func open(t *testing.T) (*db.DB, apptest.DB) {
	t.Helper()
	database := apptest.Database(t)
	d, err := db.Open(t.Context(), db.Options{URL: database.AppURL, Logger: slog.New(slog.DiscardHandler), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d, database
}

// tenant makes a tenant and returns a context in its scope.
func tenant(t *testing.T, d *db.DB, slug string) (context.Context, string) {
	t.Helper()
	id := secret.NewID("ten")
	ctx := scope.With(t.Context(), scope.Scope{TenantID: id})
	err := d.InTenant(ctx, func(_ context.Context, tx *gorm.DB) error {
		return tx.Exec(`insert into tenants (id, slug, name, created_at) values (?, ?, ?, now())`, id, slug, slug).Error
	})
	if err != nil {
		t.Fatal(err)
	}
	return ctx, id
}

func TestSchema_EveryTableForcesRowLevelSecurity(t *testing.T) {
	t.Parallel()
	_, database := open(t)
	conn, err := pgx.Connect(t.Context(), database.OwnerURL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	rows, err := conn.Query(t.Context(), `
		select c.relname, c.relrowsecurity, c.relforcerowsecurity,
		  exists (select 1 from pg_policy p where p.polrelid = c.oid),
		  (select a.attname from pg_attribute a where a.attrelid = c.oid and a.attnum =
		    (select (i.indkey::int2[])[0] from pg_index i where i.indrelid = c.oid and i.indisprimary))
		from pg_class c join pg_namespace n on n.oid = c.relnamespace
		where n.nspname = 'public' and c.relkind in ('r', 'p') and c.relname <> 'goose_db_version'`)
	if err != nil {
		t.Fatal(err)
	}
	// found before a tenant is known, or of the installation
	keyedOtherwise := []string{"tenants", "tenant_slugs", "issuers", "member_logins", "job_runs"}
	n := 0
	for rows.Next() {
		var name string
		var enabled, forced, policy bool
		var firstKey *string
		if err := rows.Scan(&name, &enabled, &forced, &policy, &firstKey); err != nil {
			t.Fatal(err)
		}
		n++
		if !enabled || !forced || !policy {
			t.Errorf("%s: row-level security enabled=%v forced=%v policy=%v", name, enabled, forced, policy)
		}
		if !slices.Contains(keyedOtherwise, name) && (firstKey == nil || *firstKey != "tenant_id") {
			t.Errorf("%s: its primary key does not begin with tenant_id", name)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	if n < 20 {
		t.Errorf("the catalogue shows %d tables; the guard looks at the wrong place", n)
	}
}

func TestSchema_ForeignKeysBetweenTenantTablesCarryTheTenant(t *testing.T) {
	t.Parallel()
	_, database := open(t)
	conn, err := pgx.Connect(t.Context(), database.OwnerURL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	var loose []string
	err = conn.QueryRow(t.Context(), `
		select coalesce(array_agg(k.conname::text), '{}') from pg_constraint k
		join pg_class target on target.oid = k.confrelid
		where k.contype = 'f' and target.relname <> 'tenants' and not exists (
		  select 1 from unnest(k.conkey) with ordinality c(n, i)
		  join pg_attribute a on a.attrelid = k.conrelid and a.attnum = c.n and a.attname = 'tenant_id'
		  join pg_attribute b on b.attrelid = k.confrelid and b.attnum = k.confkey[c.i] and b.attname = 'tenant_id')`).Scan(&loose)
	if err != nil {
		t.Fatal(err)
	}
	if len(loose) > 0 {
		t.Errorf("foreign keys that could point into another tenant: %v", loose)
	}
}

func TestInTenant_WithoutScopeFails(t *testing.T) {
	t.Parallel()
	d, _ := open(t)
	ran := false
	err := d.InTenant(t.Context(), func(context.Context, *gorm.DB) error { ran = true; return nil })
	if err == nil || ran {
		t.Fatalf("InTenant without scope: err %v, ran %v", err, ran)
	}
	if err := d.Pipe(t.Context(), func(*pgx.Batch) { ran = true }); err == nil || ran {
		t.Fatalf("Pipe without scope: err %v, ran %v", err, ran)
	}
}

func TestPlatform_CannotReadTenantTables(t *testing.T) {
	t.Parallel()
	d, _ := open(t)
	tenant(t, d, "acme")
	var n int
	err := d.Platform(t.Context(), func(tx *gorm.DB) error { return tx.Raw(`select count(*) from tenants`).Scan(&n).Error })
	if err == nil {
		t.Fatalf("read %d tenants without a scope; it must fail loudly", n)
	}
}

func TestInTenant_SeesOnlyItsOwnRows(t *testing.T) {
	t.Parallel()
	d, _ := open(t)
	acme, acmeID := tenant(t, d, "acme")
	neighbour, _ := tenant(t, d, "neighbour")
	count := func(ctx context.Context) (n int) {
		err := d.InTenant(ctx, func(_ context.Context, tx *gorm.DB) error {
			return tx.Raw(`select count(*) from tenants`).Scan(&n).Error
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if count(acme) != 1 || count(neighbour) != 1 {
		t.Errorf("tenants see %d and %d rows, want 1 and 1", count(acme), count(neighbour))
	}
	err := d.InTenant(neighbour, func(_ context.Context, tx *gorm.DB) error {
		return tx.Exec(`insert into tenant_slugs (slug, tenant_id) values ('stolen', ?)`, acmeID).Error
	})
	if err == nil {
		t.Error("a tenant wrote a routing row for another one")
	}
	err = d.InTenant(neighbour, func(_ context.Context, tx *gorm.DB) error {
		done := tx.Exec(`update tenants set name = 'taken over' where id = ?`, acmeID)
		if done.RowsAffected != 0 {
			t.Error("a tenant changed another one's row")
		}
		return done.Error
	})
	if err != nil {
		t.Error(err)
	}
}

func TestInTenant_JoinsOnlyItsOwnTransaction(t *testing.T) {
	t.Parallel()
	d, _ := open(t)
	acme, _ := tenant(t, d, "acme")
	_, neighbourID := tenant(t, d, "neighbour")
	err := d.InTenant(acme, func(ctx context.Context, outer *gorm.DB) error {
		err := d.InTenant(ctx, func(_ context.Context, inner *gorm.DB) error {
			if inner != outer {
				t.Error("the inner call opened a transaction of its own")
			}
			return nil
		})
		if err != nil {
			return err
		}
		other := scope.With(ctx, scope.Scope{TenantID: neighbourID})
		if err := d.InTenant(other, func(context.Context, *gorm.DB) error { return nil }); err == nil {
			t.Error("joined another tenant's transaction")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestPipe_IsOneTransactionUnderItsTenant(t *testing.T) {
	t.Parallel()
	d, _ := open(t)
	acme, acmeID := tenant(t, d, "acme")
	_, neighbourID := tenant(t, d, "neighbour")
	seen := -1
	err := d.Pipe(acme, func(b *pgx.Batch) {
		b.Queue(`select count(*) from tenants`).QueryRow(func(row pgx.Row) error { return row.Scan(&seen) })
	})
	if err != nil || seen != 1 {
		t.Fatalf("Pipe sees %d tenants, err %v", seen, err)
	}
	// The second statement violates the policy: the first must not stay.
	err = d.Pipe(acme, func(b *pgx.Batch) {
		b.Queue(`insert into tenant_slugs (slug, tenant_id) values ('half', $1)`, acmeID)
		b.Queue(`insert into tenant_slugs (slug, tenant_id) values ('other', $1)`, neighbourID)
	})
	if err == nil {
		t.Fatal("wrote another tenant's row")
	}
	kept := -1
	if err := d.Pipe(acme, func(b *pgx.Batch) {
		b.Queue(`select count(*) from tenant_slugs where slug = 'half'`).QueryRow(func(row pgx.Row) error { return row.Scan(&kept) })
	}); err != nil || kept != 0 {
		t.Fatalf("half of a failed batch stayed: %d, err %v", kept, err)
	}
}

// The setting must end with the transaction: a pooled connection that kept it would serve the next tenant.
func TestPipe_LeavesNoTenantBehind(t *testing.T) {
	t.Parallel()
	database := apptest.Database(t)
	d, err := db.Open(t.Context(), db.Options{URL: database.AppURL, MaxConns: 1, Logger: slog.New(slog.DiscardHandler), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	acme, _ := tenant(t, d, "acme")
	if err := d.Pipe(acme, func(b *pgx.Batch) { b.Queue(`select 1`) }); err != nil {
		t.Fatal(err)
	}
	err = d.Platform(t.Context(), func(tx *gorm.DB) error { return tx.Exec(`select current_tenant()`).Error })
	if err == nil {
		t.Fatal("the connection still carries a tenant")
	}
}

func TestInTenant_PanicReleasesTheConnection(t *testing.T) {
	t.Parallel()
	d, _ := open(t)
	acme, _ := tenant(t, d, "acme")
	func() {
		defer func() { _ = recover() }()
		_ = d.InTenant(acme, func(context.Context, *gorm.DB) error { panic("broken handler") })
	}()
	if n := d.Stat().AcquiredConns(); n != 0 {
		t.Errorf("%d connections are still in use", n)
	}
}

func TestErrors_HaveTheKindTheirCallerActsOn(t *testing.T) {
	t.Parallel()
	d, _ := open(t)
	acme, acmeID := tenant(t, d, "acme")
	insert := func(ctx context.Context) error {
		return d.InTenant(ctx, func(_ context.Context, tx *gorm.DB) error {
			return tx.Exec(`insert into tenant_slugs (slug, tenant_id) values ('acme', ?)`, acmeID).Error
		})
	}
	if err := insert(acme); err != nil {
		t.Fatal(err)
	}
	if err := insert(acme); !errs.Is(err, errs.Conflict) {
		t.Errorf("duplicate key: %v", err)
	}
	gone, err := db.Open(t.Context(), db.Options{
		URL: "postgres://ostiary_app@127.0.0.1:1/none?connect_timeout=1", Logger: slog.New(slog.DiscardHandler), Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer gone.Close()
	if err := gone.Ping(t.Context()); !errs.Is(err, errs.Unavailable) {
		t.Errorf("server away: %v", err)
	}
	if err := gone.Pipe(acme, func(b *pgx.Batch) { b.Queue(`select 1`) }); !errs.Is(err, errs.Unavailable) {
		t.Errorf("server away: %v", err)
	}
}

func TestCheckRole_AcceptsTheAppRoleOnACurrentSchema(t *testing.T) {
	t.Parallel()
	d, database := open(t)
	if err := d.CheckRole(t.Context()); err != nil {
		t.Errorf("ostiary_app is refused: %v", err)
	}
	pending, err := db.Pending(t.Context(), database.AppURL)
	if err != nil || pending {
		t.Errorf("Pending = %v, %v on a migrated database", pending, err)
	}
}

func TestNotify_ArrivesAfterCommitOnly(t *testing.T) {
	t.Parallel()
	d, _ := open(t)
	acme, acmeID := tenant(t, d, "acme")
	ctx, cancel := context.WithCancel(t.Context())
	changes := make(chan db.Change, 10)
	ended := make(chan struct{})
	go func() { d.Listen(ctx, func(c db.Change) { changes <- c }); close(ended) }()
	defer func() { cancel(); <-ended }()
	if c := <-changes; c != (db.Change{}) {
		t.Fatalf("the first change is %+v, want the one that says anything may have changed", c)
	}
	_ = d.InTenant(acme, func(ctx context.Context, _ *gorm.DB) error {
		if err := d.Notify(ctx, "env_rolled_back"); err != nil {
			t.Error(err)
		}
		return errs.New(errs.Conflict, "undo")
	})
	err := d.InTenant(acme, func(ctx context.Context, _ *gorm.DB) error { return d.Notify(ctx, "env_committed") })
	if err != nil {
		t.Fatal(err)
	}
	if c := <-changes; c != (db.Change{TenantID: acmeID, EnvironmentID: "env_committed"}) {
		t.Errorf("change %+v", c)
	}
}
