package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/ostiary/ostiary/app/config"
)

func main() {
	// Ctrl-C and the container's stop both end the context; a second signal kills at once.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	if err := root().ExecuteContext(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "ostiary: %v\n", err)
		os.Exit(1)
	}
}

// version is set by the build: -ldflags "-X main.version=…".
var version = "dev"

func root() *cobra.Command {
	cmd := &cobra.Command{
		Version:       version,
		Use:           "ostiary",
		Short:         "The authorization platform for MCP servers",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	cmd.AddCommand(
		devCommand(), serveCommand(), migrateCommand(), checkCommand(), gateCommand(), healthcheckCommand(), keysCommand(),
		onInstallation(applyCommand()), onInstallation(importCommand()), onInstallation(attemptsCommand()),
		onInstallation(callsCommand()), onInstallation(stopCommand()), onInstallation(stopsCommand()), onInstallation(liftCommand()),
	)
	refuseUnknownCommands(cmd)
	return cmd
}

// newLogger logs JSON for machines; dev and terminals read text.
func newLogger(level slog.Leveler, text bool) *slog.Logger {
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: plainErrors}
	var handler slog.Handler = slog.NewJSONHandler(os.Stderr, options)
	if text {
		handler = slog.NewTextHandler(os.Stderr, options)
	}
	return slog.New(scopeHandler{handler})
}

// plainErrors logs what an error says. Some errors of libraries print their stack when asked for more.
func plainErrors(_ []string, a slog.Attr) slog.Attr {
	if err, ok := a.Value.Any().(error); ok {
		a.Value = slog.StringValue(err.Error())
	}
	return a
}

// loadConfig reads the environment and says everything that is wrong with it at once.
func loadConfig(require ...func(config.Config) error) (config.Config, error) {
	cfg, err := config.Load(os.Environ())
	problems := []error{err}
	for _, check := range require {
		problems = append(problems, check(cfg))
	}
	if err := errors.Join(problems...); err != nil {
		return cfg, fmt.Errorf("the environment is not complete:\n%w", err)
	}
	return cfg, nil
}
