package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"

	"github.com/go-jose/go-jose/v4"
	"github.com/spf13/cobra"

	"github.com/ostiary/ostiary/gate"
)

// gateOptions are the flags of gate. What the configuration file says as well, they say louder.
type gateOptions struct {
	flags       gate.ServeOptions
	config      string
	identityKey string
	forwardAuth bool
	byHeaders   bool
	reporting   reporting
}

func gateCommand() *cobra.Command {
	var o gateOptions
	cmd := &cobra.Command{
		Use:   "gate",
		Short: "Stand in front of an MCP server and check every call",
		Long: `gate checks every call to an MCP server: as a reverse proxy in front of it, or, with --forward-auth, for the reverse proxy
you already have. SIGHUP makes it read its configuration file and the files named in it again; streams are not dropped.`,
		Example: `  ostiary gate --issuer https://acme.auth.example.com --server res_… \
    --upstream http://127.0.0.1:9000/mcp --listen :8090
  ostiary gate --config gate.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			logger := newLogger(slog.LevelInfo, false)
			serve, err := o.serve(logger)
			if err != nil {
				return err
			}
			serve.Ready = func(addr net.Addr) {
				logger.InfoContext(cmd.Context(), "gate is ready", "listen", addr.String(), "upstream", serve.Upstream)
			}
			reload := make(chan gate.ServeOptions)
			serve.Reload = reload
			go o.reload(cmd.Context(), reload, logger)
			return serveGate(cmd.Context(), serve, o.reporting)
		},
	}
	o.reporting.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&o.config, "config", "", "YAML file with everything below and more, see docs/gate.md")
	f.StringVar(&o.flags.Upstream, "upstream", "", "URL of the MCP server, as this machine reaches it")
	f.StringVar(&o.flags.Issuer, "issuer", "", "issuer URL of the environment, from the dashboard")
	f.StringVar(&o.flags.ResourceID, "server", "", "id of the MCP server (res_…), from the dashboard")
	f.StringVar(&o.flags.Identifier, "identifier", "", "address to announce: the registered one (the default) or one of its aliases")
	f.StringVar(&o.flags.Listen, "listen", "", "address to listen on (default :8090)")
	f.StringVar(&o.identityKey, "identity-key", "", "file with a key that signs who calls for the MCP server, see gate identity-key")
	f.BoolVar(&o.forwardAuth, "forward-auth", false, "answer a reverse proxy's questions at "+gate.DefaultForwardAuthPath)
	f.BoolVar(&o.byHeaders, "by-headers", false,
		"with --forward-auth: decide by Mcp-Method and Mcp-Name, for servers that hold them against the body themselves")
	cmd.AddCommand(identityKeyCommand())
	return cmd
}

// serve reads the configuration and holds it to what is needed.
func (o *gateOptions) serve(logger *slog.Logger) (gate.ServeOptions, error) {
	serve := o.flags
	serve.Logger = logger
	if o.forwardAuth || o.byHeaders {
		serve.ForwardAuth = &gate.ForwardAuth{ByHeaders: o.byHeaders}
	}
	if o.config != "" {
		file, err := readGateFile(o.config)
		if err == nil {
			err = file.fill(&serve)
			o.reporting.fill(file)
		}
		if err != nil {
			return serve, err
		}
	}
	if o.identityKey != "" {
		var err error
		if serve.IdentityKey, err = readIdentityKey(o.identityKey); err != nil {
			return serve, err
		}
	}
	if serve.Listen == "" {
		serve.Listen = ":8090"
	}
	var missing []error
	for _, need := range []struct{ value, flag string }{
		{serve.Issuer, "--issuer"}, {serve.ResourceID, "--server"}, {serve.Upstream, "--upstream"},
	} {
		if need.value == "" && (need.flag != "--upstream" || serve.ForwardAuth == nil) {
			missing = append(missing, fmt.Errorf("%s is missing", need.flag))
		}
	}
	return serve, errors.Join(missing...)
}

// reload reads the configuration again whenever the process is told to.
func (o *gateOptions) reload(ctx context.Context, to chan<- gate.ServeOptions, logger *slog.Logger) {
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGHUP)
	defer signal.Stop(told)
	for {
		select {
		case <-ctx.Done():
			return
		case <-told:
		}
		next, err := o.serve(logger)
		if err != nil {
			logger.ErrorContext(ctx, "the configuration cannot be read, going on with the last one", "error", err)
			continue
		}
		select {
		case to <- next:
		case <-ctx.Done():
			return
		}
	}
}

func identityKeyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "identity-key FILE",
		Short: "Make a key that signs who calls, and print the public key that the MCP server checks it with",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			public, err := writeIdentityKey(args[0])
			if err != nil {
				return err
			}
			kid, err := gate.IdentityKeyID(public)
			if err != nil {
				return err
			}
			enc := json.NewEncoder(cmd.OutOrStdout())
			enc.SetIndent("", "  ")
			return enc.Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{
				{Key: public, KeyID: kid, Algorithm: string(jose.EdDSA), Use: "sig"},
			}})
		},
	}
}
