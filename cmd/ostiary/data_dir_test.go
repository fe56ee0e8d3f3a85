package main

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/ostiary/ostiary/app/postgres"
)

// A mistyped path must cost nobody their files: a directory is marked as ours, and cleared, only when we made it.
func TestDataDir_TouchesNobodyElsesFiles(t *testing.T) {
	t.Parallel()
	theirs := t.TempDir()
	file := filepath.Join(theirs, "thesis.txt")
	if err := os.WriteFile(file, []byte("years of work"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, reset := range []bool{false, true, false, true} {
		if _, err := openDataDir(t.Context(), theirs, reset, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), theirs) {
			t.Errorf("reset=%v: %v", reset, err)
		}
	}
	if entries, err := os.ReadDir(theirs); err != nil || len(entries) != 1 {
		t.Errorf("%v, %v", entries, err)
	}
}

func TestDataDir_KeepsItsSecretsUntilReset(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a", "b")
	open := func(reset bool) devSecrets {
		d, err := openDataDir(t.Context(), path, reset, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		return d.secrets
	}
	first := open(true) // nothing to forget yet
	if again := open(false); again != first {
		t.Error("a second start has other secrets")
	}
	if forgotten := open(true); forgotten == first {
		t.Error("--reset keeps the secrets")
	}
	for _, name := range []string{path, filepath.Join(path, secretsFile)} {
		if at, err := os.Stat(name); err != nil || at.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s is open to others: %v, %v", name, at.Mode(), err)
		}
	}
}

// A cluster was sealed under the master key of its data directory. When that directory is lost, a new one of the same name must
// not find it: as root it is kept elsewhere, in a place of that name. The directory may only not be mounted, so the cluster is set
// aside. A directory that is not new keeps what it has.
func TestDataDir_ANewOneStartsWithANewCluster(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "dev")
	var log bytes.Buffer
	var elsewhere []string
	t.Cleanup(func() {
		for _, dir := range elsewhere {
			os.RemoveAll(dir) //nolint:errcheck // scratch
		}
	})
	// visits starts the server, counts the visit in it, and stops it.
	visits := func() (n int) {
		t.Helper()
		home, err := openDataDir(t.Context(), path, false, slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		server, err := postgres.Start(t.Context(), postgres.Options{DataDir: home.postgres(), Fast: true})
		if err != nil {
			t.Fatal(err)
		}
		defer server.Stop(context.WithoutCancel(t.Context())) //nolint:errcheck // the next start tells
		conn, err := pgx.Connect(t.Context(), server.AdminURL())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(context.WithoutCancel(t.Context())) //nolint:errcheck // nothing is left to write
		if _, err := conn.Exec(t.Context(), `create table if not exists visits (at int); insert into visits values (1)`); err != nil {
			t.Fatal(err)
		}
		var data string
		err = conn.QueryRow(t.Context(), `select count(*), current_setting('data_directory') from visits`).Scan(&n, &data)
		if err != nil {
			t.Fatal(err)
		}
		elsewhere = append(elsewhere, filepath.Dir(data))
		return n
	}
	for _, want := range []int{1, 2} {
		if got := visits(); got != want {
			t.Errorf("visit %d is counted as %d", want, got)
		}
	}
	if log.Len() > 0 {
		t.Errorf("it speaks of something removed: %s", &log)
	}
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
	if got := visits(); got != 1 {
		t.Errorf("the new directory has the cluster of the old one: %d visits", got)
	}
	isRoot := os.Geteuid() == 0
	if said := strings.Contains(log.String(), "is set aside"); said != isRoot {
		t.Errorf("the log: %q", &log)
	}
	aside := elsewhere[0] + ".aside"
	elsewhere = append(elsewhere, aside)
	if _, err := os.Stat(aside); (err == nil) != isRoot {
		t.Errorf("what was kept: %v", err)
	}
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
	if _, err := openDataDir(t.Context(), path, true, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(elsewhere[0], "data")); !os.IsNotExist(err) {
		t.Errorf("--reset keeps the cluster: %v", err)
	}
	if _, err := os.Stat(aside); (err == nil) != isRoot {
		t.Errorf("--reset touches what is set aside: %v", err)
	}
}
