//go:build linux || darwin

package apptest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

func TestMain(m *testing.M) { Main(m) }

func TestDatabase_HasTheSchemaAndBothRoles(t *testing.T) {
	t.Parallel()
	db := Database(t)
	const describe = `select concat_ws(' ', current_user, has_table_privilege('tenants', 'select'),
		has_schema_privilege('public', 'create'), has_database_privilege('public', current_database(), 'connect'))`
	if got := text(t, db.OwnerURL, describe); got != "ostiary_owner t t f" {
		t.Errorf("owner: %s", got)
	}
	if got := text(t, db.AppURL, describe); got != "ostiary_app t f f" {
		t.Errorf("app: %s", got)
	}
}

func TestDatabase_IsTheTestsOwnAndIsDropped(t *testing.T) {
	t.Parallel()
	admin := Postgres(t)
	var (
		mu    sync.Mutex
		names = map[string]bool{}
	)
	t.Run("parallel", func(t *testing.T) {
		for i := range 8 {
			t.Run(strconv.Itoa(i), func(t *testing.T) {
				t.Parallel()
				db := Empty(t)
				name := text(t, db.OwnerURL, `create table mine (n int); select current_database()::text`)
				mu.Lock()
				defer mu.Unlock()
				names[name] = true
			})
		}
	})
	if len(names) != 8 {
		t.Errorf("8 tests had %d databases", len(names))
	}
	for name := range names {
		if got := text(t, admin, `select count(*)::text from pg_database where datname = '`+name+`'`); got != "0" {
			t.Errorf("%s was not dropped", name)
		}
	}
}

func TestFrom_MakesATemplateOnceAndNoneFromAFailure(t *testing.T) {
	t.Parallel()
	admin := Postgres(t)
	key := t.Name() + text(t, admin, `select gen_random_uuid()::text`)
	var made int
	template := Template{Key: key, Migrate: func(ctx context.Context, ownerURL string) error {
		made++
		conn, err := pgx.Connect(ctx, ownerURL)
		if err != nil {
			return err
		}
		if _, err := conn.Exec(ctx, `create table made (n int)`); err != nil {
			return err
		}
		return conn.Close(ctx)
	}}
	broken := template
	broken.Migrate = func(context.Context, string) error { return errors.New("broken") }
	// Two other test binaries of the same code.
	first, second := otherKit(t), otherKit(t)
	if _, err := first.template(t.Context(), broken); err == nil {
		t.Error("a template whose migration failed is there")
	}
	var group sync.WaitGroup
	for range 3 {
		group.Go(func() {
			if _, err := second.template(t.Context(), template); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	db := From(t, template)
	if made != 1 {
		t.Errorf("made %d times", made)
	}
	text(t, db.OwnerURL, `select count(*)::text from made`)
	name, err := second.template(t.Context(), template)
	if err != nil {
		t.Fatal(err)
	}
	text(t, admin, `alter database `+quote(name)+` is_template false; select ''`)
	if err := second.drop(t.Context(), name); err != nil {
		t.Error(err)
	}
}

func TestShared_ManyAtOnceGetOneServer(t *testing.T) {
	t.Parallel()
	s := ownShared(t)
	var (
		group sync.WaitGroup
		urls  [4]string
	)
	for i := range urls {
		group.Go(func() { urls[i] = joined(t, s) })
	}
	group.Wait()
	for _, url := range urls {
		if url != urls[0] {
			t.Error("there are several servers")
		}
	}
}

func TestShared_StopsWhenIdleAndLeavesNoData(t *testing.T) {
	t.Parallel()
	s := ownShared(t)
	_, lease, err := s.join(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	pid := supervisor(t, s)
	lease.Close() //nolint:errcheck // only frees the lock
	await(t, "end of the idle server", func() bool { return syscall.Kill(pid, 0) != nil })
	for _, path := range []string{
		s.announced(), filepath.Join(s.postgres(), "data"), filepath.Join(s.postgres(), "credentials.json"),
	} {
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s is left", filepath.Base(path))
		}
	}
	text(t, joined(t, s), `select 1::text`)
}

func TestShared_KilledSupervisorIsReplaced(t *testing.T) {
	t.Parallel()
	s := ownShared(t)
	statement(t, joined(t, s), "create database leftover")
	if err := syscall.Kill(supervisor(t, s), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	await(t, "end of its server", func() bool { _, err := s.ask(t.Context()); return err != nil })
	if got := text(t, joined(t, s), `select count(*)::text from pg_database where datname = 'leftover'`); got != "0" {
		t.Error("the data of a server that was not stopped in order are used")
	}
}

func TestOpenShared_RefusesADirectoryOpenToOthers(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "shared")
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := openShared(dir); err == nil {
		t.Error("a directory that everybody may write is used")
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(t.TempDir(), link); err != nil {
		t.Fatal(err)
	}
	if _, err := openShared(link); err == nil {
		t.Error("a link is followed")
	}
}

// BenchmarkDatabase measures what a test pays for its database: made and dropped.
func BenchmarkDatabase(b *testing.B) {
	template, err := Migrated()
	if err != nil {
		b.Fatal(err)
	}
	k := acquire(b)
	name, err := k.template(b.Context(), template)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		_, made, err := k.copyOf(b.Context(), name)
		if err != nil {
			b.Fatal(err)
		}
		if err := k.drop(b.Context(), made); err != nil {
			b.Fatal(err)
		}
	}
}

// ownShared is a shared directory of this test alone, with an impatient supervisor.
func ownShared(t *testing.T) shared {
	t.Helper()
	parent, err := os.MkdirTemp("", "ostiary-apptest-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(parent, 0o711); err != nil {
		t.Fatal(err)
	}
	s, err := openShared(filepath.Join(parent, "shared"))
	if err != nil {
		t.Fatal(err)
	}
	s.idle = 300 * time.Millisecond
	t.Cleanup(func() {
		await(t, "end of the supervisor", func() bool {
			held, err := s.exclude()
			closeAll(held)
			_, announced := os.Stat(s.announced())
			return err == nil && announced != nil
		})
		os.RemoveAll(parent) //nolint:errcheck // scratch
	})
	return s
}

func otherKit(t *testing.T) *kit {
	t.Helper()
	k := &kit{}
	if err := k.connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.close)
	return k
}

// joined returns the server's URL, with a lease until the test ends.
func joined(t *testing.T, s shared) string {
	t.Helper()
	url, lease, err := s.join(t.Context())
	if err != nil {
		t.Error(err)
		return ""
	}
	t.Cleanup(func() { lease.Close() }) //nolint:errcheck // only frees the lock
	return url
}

// supervisor returns the process id of the supervisor, which holds the lock of the server's data directory.
func supervisor(t *testing.T, s shared) int {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(s.postgres(), "lock"))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(content)))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

func await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	for !condition() {
		select {
		case <-deadline.C:
			t.Errorf("%s: not within a minute", what)
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func statement(t *testing.T, url, sql string) {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background()) //nolint:errcheck // done
	if _, err := conn.Exec(context.Background(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// text runs all statements of sql and returns the single value of the last.
func text(t *testing.T, url, sql string) string {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background()) //nolint:errcheck // done
	results, err := conn.PgConn().Exec(context.Background(), sql).ReadAll()
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	last := results[len(results)-1].Rows
	if len(last) != 1 {
		t.Fatalf("%s: %d rows", sql, len(last))
	}
	return string(last[0][0])
}
