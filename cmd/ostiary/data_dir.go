package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/ostiary/ostiary/app/postgres"
	"github.com/ostiary/ostiary/app/secret"
)

// dataDir is where dev keeps what lasts between starts.
type dataDir struct {
	path    string
	secrets devSecrets
}

// devSecrets are made at the first start and kept 0600 beside the database.
type devSecrets struct {
	MasterKey      string `json:"master_key"`
	MemberPassword string `json:"member_password"`
	UserPassword   string `json:"user_password"`
	OwnerPassword  string `json:"owner_password"` // of the database roles, on a server somebody else runs
	AppPassword    string `json:"app_password"`
}

const (
	secretsFile = "dev.json"
	dataMarker  = ".ostiary-data" // only a directory that we made is ever cleared
)

// defaultDataDir follows the XDG base directories, with a name of its own for dev.
func defaultDataDir() string {
	if base := os.Getenv("XDG_DATA_HOME"); base != "" {
		return filepath.Join(base, "ostiary", "dev")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return filepath.Join(os.TempDir(), "ostiary-dev")
	}
	return filepath.Join(home, ".local", "share", "ostiary", "dev")
}

// openDataDir opens a data directory and makes what is not there yet. An empty or missing one gets a new master key, and so
// must not find a cluster that was sealed under an earlier one: what was kept elsewhere for a directory of this name is set aside
// first, or removed by a reset.
func openDataDir(ctx context.Context, path string, reset bool, log *slog.Logger) (*dataDir, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	if reset {
		if err := clearDataDir(ctx, path); err != nil {
			return nil, err
		}
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	switch state, err := inspectDataDir(path); {
	case err != nil:
		return nil, fmt.Errorf("data directory: %w", err)
	case state == dirForeign: // what is marked as ours may be cleared later
		return nil, fmt.Errorf("data directory: %s holds files of somebody else; name an empty or a new directory", path)
	case state == dirEmpty: // before the mark is made: after a crash in between it is empty still
		clear := postgres.SetAside
		if reset {
			clear = postgres.Reset
		}
		if err := clear(ctx, postgres.Options{DataDir: clusterDir(path), Logger: log}); err != nil {
			return nil, fmt.Errorf("data directory: %w", err)
		}
	}
	if err := os.WriteFile(filepath.Join(path, dataMarker), nil, 0o600); err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	d := &dataDir{path: path}
	return d, d.loadSecrets()
}

// dirState says whose a directory is.
type dirState int

const (
	dirForeign dirState = iota
	dirEmpty
	dirOurs
)

func inspectDataDir(path string) (dirState, error) {
	entries, err := os.ReadDir(path)
	if err != nil {
		return dirForeign, err
	}
	if len(entries) == 0 {
		return dirEmpty, nil
	}
	_, err = os.Stat(filepath.Join(path, dataMarker))
	if errors.Is(err, fs.ErrNotExist) {
		return dirForeign, nil
	}
	return dirOurs, err
}

// clearDataDir removes a data directory of ours. Anything else is left alone: a mistyped path must not cost a home directory.
func clearDataDir(ctx context.Context, path string) error {
	state, err := inspectDataDir(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("reset: %w", err)
	case state == dirForeign:
		return fmt.Errorf("reset: %s was not made by ostiary dev; remove it yourself if you mean it", path)
	}
	// The cluster may live elsewhere, when the server's account cannot reach path.
	if err := postgres.Reset(ctx, postgres.Options{DataDir: clusterDir(path)}); err != nil {
		return fmt.Errorf("reset: %w", err)
	}
	if err := os.RemoveAll(path); err != nil {
		return fmt.Errorf("reset: %w", err)
	}
	return nil
}

func clusterDir(path string) string { return filepath.Join(path, "postgres") }

func (d *dataDir) postgres() string { return clusterDir(d.path) }

func (d *dataDir) loadSecrets() error {
	path := filepath.Join(d.path, secretsFile)
	content, err := os.ReadFile(path) //nolint:gosec // our own file in the directory the user named
	if err == nil {
		if err := json.Unmarshal(content, &d.secrets); err != nil {
			return fmt.Errorf("%s is damaged; start again with --reset", path)
		}
		return nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("data directory: %w", err)
	}
	d.secrets = devSecrets{
		MasterKey:      base64.StdEncoding.EncodeToString(secret.Bytes(secret.KeySize)),
		MemberPassword: readablePassword(),
		UserPassword:   readablePassword(),
		OwnerPassword:  secret.NewToken(),
		AppPassword:    secret.NewToken(),
	}
	if content, err = json.Marshal(d.secrets); err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	// Written aside and renamed: a crash leaves no half key.
	if err := os.WriteFile(path+".new", content, 0o600); err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	return nil
}

// readablePassword is easy to type from a terminal: 60 random bits in three groups.
func readablePassword() string {
	text := secret.NewID("")[1:]
	return text[:4] + "-" + text[4:8] + "-" + text[8:12]
}
