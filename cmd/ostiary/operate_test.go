package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ostiary/ostiary/app/config"
)

// --dev works on what dev runs and on nothing else, whatever the variables of the shell say.
func TestInstallation_DevIsTheOneThatRuns(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	home, err := openDataDir(t.Context(), dir, false, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	read := func() (config.Config, error) {
		cmd := onInstallation(stopsCommand())
		if err := cmd.ParseFlags([]string{"--dev=" + dir}); err != nil {
			t.Fatal(err)
		}
		return installation(cmd)
	}
	if _, err := read(); err == nil || !strings.Contains(err.Error(), "does not run from "+dir) {
		t.Errorf("before it runs: %v", err)
	}
	environ := []string{
		"PATH=/bin", "OSTIARY_DATABASE_URL=postgres://admin@127.0.0.1/elsewhere", "OSTIARY_MIGRATE_DATABASE_URL_FILE=/nowhere",
		"OSTIARY_URL=http://localhost:9", "OSTIARY_MASTER_KEY=" + home.secrets.MasterKey,
	}
	forget, err := home.announce(environ, config.Config{DatabaseURL: "postgres://ostiary_app@127.0.0.1/here"})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, environmentFile)
	if at, err := os.Stat(file); err != nil || at.Mode().Perm()&0o077 != 0 {
		t.Errorf("%s is open to others: %v, %v", file, at.Mode(), err)
	}
	cfg, err := read()
	if err != nil || cfg.DatabaseURL != "postgres://ostiary_app@127.0.0.1/here" || cfg.URL != "http://localhost:9" {
		t.Errorf("while it runs: %q %q, %v", cfg.DatabaseURL, cfg.URL, err)
	}
	if cfg.MigrateDatabaseURL != "" {
		t.Error("the owner's database URL is written down, too")
	}
	forget()
	if _, err := read(); err == nil {
		t.Error("it is still found after it has ended")
	}
}
