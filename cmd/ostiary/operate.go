package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ostiary/ostiary/app"
	"github.com/ostiary/ostiary/app/clock"
	"github.com/ostiary/ostiary/app/config"
)

// environmentFile says how to work on the installation that dev runs from a data directory, while it runs.
const environmentFile = "environment.json"

const flagDev = "dev"

// onInstallation makes a command one that works on an installation: the one that the variables name, or with --dev the one
// that `ostiary dev` runs on this machine. Nothing but the flag chooses the latter: who stops a tool must know where.
func onInstallation(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().String(flagDev, "", "work on what ostiary dev runs on this machine, from data directory `DIR`")
	cmd.Flags().Lookup(flagDev).NoOptDefVal = defaultDataDir()
	return cmd
}

// withApp runs fn on the installation that a command is to work on.
func withApp(cmd *cobra.Command, fn func(ctx context.Context, a *app.App) error) error {
	ctx := cmd.Context()
	cfg, err := installation(cmd)
	if err != nil {
		return err
	}
	a, err := app.New(ctx, app.Deps{Config: cfg, Logger: newLogger(cfg.LogLevel, true), Now: clock.System})
	if err != nil {
		return err
	}
	defer a.Close()
	if err := a.CheckDatabase(ctx); err != nil {
		return err
	}
	return fn(operator(ctx), a)
}

func installation(cmd *cobra.Command) (config.Config, error) {
	dir := cmd.Flag(flagDev).Value.String()
	if dir == "" {
		cfg, err := loadConfig(config.Config.RequireServe)
		if err != nil {
			err = fmt.Errorf("%w\nTo work on what `ostiary dev` runs on this machine, add --dev", err)
		}
		return cfg, err
	}
	content, err := os.ReadFile(filepath.Join(dir, environmentFile)) //nolint:gosec // whoever runs the command names it
	if errors.Is(err, fs.ErrNotExist) {
		return config.Config{}, fmt.Errorf("`ostiary dev` does not run from %s; name its --data-dir with --dev=DIR", dir)
	}
	if err != nil {
		return config.Config{}, fmt.Errorf("data directory: %w", err)
	}
	var environ []string
	if err := json.Unmarshal(content, &environ); err != nil {
		return config.Config{}, fmt.Errorf("%s is damaged; start `ostiary dev` again", filepath.Join(dir, environmentFile))
	}
	return config.Load(environ)
}

// announce writes down how to work on what runs from this directory, for its owner only, and returns how to forget it.
func (d *dataDir) announce(environ []string, cfg config.Config) (forget func(), err error) {
	lasting := slices.DeleteFunc(slices.Clone(environ), func(entry string) bool {
		return !strings.HasPrefix(entry, "OSTIARY_") || strings.HasPrefix(entry, "OSTIARY_DATABASE_URL") ||
			strings.HasPrefix(entry, "OSTIARY_MIGRATE_DATABASE_URL")
	})
	content, err := json.Marshal(append(lasting, "OSTIARY_DATABASE_URL="+cfg.DatabaseURL))
	if err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	path := filepath.Join(d.path, environmentFile)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	return func() { _ = os.Remove(path) }, nil // what is left is overwritten by the next start
}
