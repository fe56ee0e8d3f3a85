package main

import (
	"log/slog"
	"net"

	"github.com/spf13/cobra"

	"github.com/ostiary/ostiary/gate"
)

func gateCommand() *cobra.Command {
	var o gate.ServeOptions
	var r reporting
	cmd := &cobra.Command{
		Use:   "gate",
		Short: "Stand in front of an MCP server and check every call",
		Example: `  ostiary gate --issuer https://acme.auth.example.com --server res_… \
    --upstream http://127.0.0.1:9000/mcp --listen :8090`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Logger = newLogger(slog.LevelInfo, false)
			o.Ready = func(addr net.Addr) {
				o.Logger.InfoContext(cmd.Context(), "gate is ready", "listen", addr.String(), "upstream", o.Upstream)
			}
			return serveGate(cmd.Context(), o, r)
		},
	}
	r.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&o.Upstream, "upstream", "", "URL of the MCP server, as this machine reaches it")
	f.StringVar(&o.Issuer, "issuer", "", "issuer URL of the environment, from the dashboard")
	f.StringVar(&o.ResourceID, "server", "", "id of the MCP server (res_…), from the dashboard")
	f.StringVar(&o.Identifier, "identifier", "", "address to announce: the registered one (the default) or one of its aliases")
	f.StringVar(&o.Listen, "listen", ":8090", "address to listen on")
	for _, name := range []string{"upstream", "issuer", "server"} {
		if err := cmd.MarkFlagRequired(name); err != nil {
			panic(err) // the flag is defined above
		}
	}
	return cmd
}
