package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ostiary/ostiary/app"
	"github.com/ostiary/ostiary/app/clock"
	"github.com/ostiary/ostiary/app/config"
	"github.com/ostiary/ostiary/app/db"
)

func serveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Serve the dashboard and the issuers (configured by OSTIARY_… variables)",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(config.Config.RequireServe)
			if err != nil {
				return err
			}
			return serve(cmd.Context(), cfg)
		},
	}
}

func serve(ctx context.Context, cfg config.Config) error {
	log := newLogger(cfg.LogLevel, false)
	log.InfoContext(ctx, "starting", "config", cfg)
	warnSharedOrigin(ctx, cfg, log.WarnContext)
	a, err := app.New(ctx, app.Deps{Config: cfg, Logger: log, Now: clock.System})
	if err != nil {
		return err
	}
	defer a.Close()
	if err := a.CheckDatabase(ctx); err != nil {
		return err
	}
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", cfg.Listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	return a.Run(ctx, ln)
}

// warnSharedOrigin says what path-form issuers cost in production: all of them share one origin, and so their cookies' host.
func warnSharedOrigin(ctx context.Context, cfg config.Config, warn func(context.Context, string, ...any)) {
	issuer, err := url.Parse(cfg.Issuer("a"))
	if err == nil && issuer.Scheme == "https" && strings.Trim(issuer.Path, "/") != "" {
		warn(ctx, "issuers share one origin: prefer a host per environment, such as https://{environment}.auth.example.com")
	}
}

func migrateCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "migrate",
		Short: "Bring the schema up to date (as ostiary_owner: OSTIARY_MIGRATE_DATABASE_URL)",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(func(c config.Config) error {
				if c.MigrateDatabaseURL == "" {
					return errors.New("OSTIARY_MIGRATE_DATABASE_URL (or _FILE): the database as ostiary_owner")
				}
				return nil
			})
			if err != nil {
				return err
			}
			return db.Migrate(cmd.Context(), cfg.MigrateDatabaseURL)
		},
	}
}

const healthTimeout = 3 * time.Second

func healthcheckCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "healthcheck",
		Short: "Exit 0 when the server on this machine is ready (for containers)",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig()
			if err != nil {
				return err
			}
			_, port, err := net.SplitHostPort(cfg.Listen)
			if err != nil {
				return fmt.Errorf("OSTIARY_LISTEN: %w", err)
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), healthTimeout)
			defer cancel()
			request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort("127.0.0.1", port)+"/readyz", nil)
			if err != nil {
				return err
			}
			answer, err := (&http.Client{Timeout: healthTimeout}).Do(request)
			if err != nil {
				return fmt.Errorf("not reachable: %w", err)
			}
			defer answer.Body.Close() //nolint:errcheck // nothing was read
			if answer.StatusCode != http.StatusNoContent {
				return fmt.Errorf("not ready: status %d", answer.StatusCode)
			}
			return nil
		},
	}
}
