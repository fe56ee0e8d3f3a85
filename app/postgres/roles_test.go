//go:build linux || darwin

package postgres_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/postgres"
)

func TestEnsureRoles(t *testing.T) {
	t.Parallel()
	server := startServer(t, postgres.Options{DataDir: cluster(t), Fast: true})
	ctx := context.Background()
	admin := server.AdminURL()

	t.Run("several processes at once agree", func(t *testing.T) {
		var group sync.WaitGroup
		for range 4 {
			group.Go(func() {
				if _, err := server.EnsureRoles(ctx, "ostiary"); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
	})
	roles, err := server.EnsureRoles(ctx, "ostiary")
	if err != nil {
		t.Fatal(err)
	}

	t.Run("the owner makes tables, the app sees only what it is granted", func(t *testing.T) {
		exec1(t, roles.OwnerURL, `create table granted as select 1 as n; create table hidden as select 1 as n;
			grant select on granted to ostiary_app`)
		exec1(t, roles.AppURL, `select n from granted`)
		for _, sql := range []string{
			`select n from hidden`, `create table mine (n int)`, `create temp table mine (n int)`, `create schema mine`,
			`create database mine`, `create role mine`, `set role ostiary_owner`,
			`alter table granted disable row level security`,
		} {
			if _, err := connect(t, roles.AppURL).Exec(ctx, sql); err == nil || !strings.Contains(err.Error(), "42501") {
				t.Errorf("%s: %v, want insufficient privilege", sql, err)
			}
		}
	})
	t.Run("drift is corrected", func(t *testing.T) {
		exec1(t, admin, `alter role ostiary_app superuser bypassrls createdb createrole; grant ostiary_owner to ostiary_app;
			grant all on database ostiary to public`)
		if _, err := server.EnsureRoles(ctx, "ostiary"); err != nil {
			t.Fatal(err)
		}
		got := queryText(t, admin, `select concat_ws(' ', rolsuper, rolbypassrls, rolcreatedb, rolcreaterole,
			pg_has_role('ostiary_app', 'ostiary_owner', 'member'), has_database_privilege('ostiary_app', 'ostiary', 'create'))
			from pg_roles where rolname = 'ostiary_app'`)
		if got != "f f f f f f" {
			t.Errorf("rights of the app role = %s", got)
		}
	})
	t.Run("names are quoted", func(t *testing.T) {
		odd, err := server.EnsureRoles(ctx, `odd "name" / ?&'`)
		if err != nil {
			t.Fatal(err)
		}
		if got := queryText(t, odd.AppURL, `select current_database()::text`); got != `odd "name" / ?&'` {
			t.Errorf("database = %q", got)
		}
	})
	t.Run("an admin that is no superuser is enough", func(t *testing.T) {
		exec1(t, admin, `create role manager login createdb createrole password 'managers'`)
		for _, sql := range []string{
			`drop database ostiary`, `drop database "odd ""name"" / ?&'"`, `drop role ostiary_app, ostiary_owner`,
		} {
			exec1(t, admin, sql)
		}
		spec := postgres.RoleSpec{Database: "managed", OwnerPassword: `p"a's$s \ %`, AppPassword: "app word"}
		managed, err := postgres.EnsureRoles(ctx, asManager(admin), spec)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := postgres.EnsureRoles(ctx, asManager(admin), spec); err != nil {
			t.Fatalf("repeated: %v", err)
		}
		exec1(t, managed.OwnerURL, `create table mine (n int)`)
		exec1(t, managed.AppURL, `select 1`)
	})
	t.Run("a spec that cannot work is refused", func(t *testing.T) {
		for _, spec := range []postgres.RoleSpec{
			{}, {Database: "x", OwnerPassword: "x"}, {Database: "x", OwnerPassword: "pässword", AppPassword: "x"},
		} {
			if _, err := postgres.EnsureRoles(ctx, admin, spec); !errs.Is(err, errs.Invalid) {
				t.Errorf("%+v: %v, want invalid", spec, err)
			}
		}
	})
}

func asManager(adminURL string) string {
	_, after, _ := strings.Cut(adminURL, "@")
	return "postgres://manager:managers@" + after
}

func TestRoleURLs_KeepTheConnectionAndReplaceTheLogin(t *testing.T) {
	t.Parallel()
	got, err := postgres.RoleURLs(
		"postgresql://root:r@db.example:6432/postgres?sslmode=verify-full&user=x&password=y&dbname=z",
		postgres.RoleSpec{Database: "ostiary", OwnerPassword: "o:@/", AppPassword: "a"})
	if err != nil {
		t.Fatal(err)
	}
	if want := "postgresql://ostiary_owner:o%3A%40%2F@db.example:6432/ostiary?sslmode=verify-full"; got.OwnerURL != want {
		t.Errorf("owner URL = %s, want %s", got.OwnerURL, want)
	}
	if want := "postgresql://ostiary_app:a@db.example:6432/ostiary?sslmode=verify-full"; got.AppURL != want {
		t.Errorf("app URL = %s, want %s", got.AppURL, want)
	}
}
