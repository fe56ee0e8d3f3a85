package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/ostiary/ostiary/app"
	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/policy"
	"github.com/ostiary/ostiary/tenants"
	"github.com/ostiary/ostiary/tenants/calllog"
)

// stopOptions are the flags of stop, stops and lift.
type stopOptions struct {
	environmentFlags

	server, reason string
	yes            bool
}

func stopCommand() *cobra.Command {
	var o stopOptions
	cmd := &cobra.Command{
		Use:   "stop KIND [VALUE] --tenant SLUG",
		Short: "Kill switch: stop a tool, user, organization, host or server, after showing what that would hold",
		Long: `Stops something at every MCP server of the environment within seconds, until "ostiary lift".

  ostiary stop tool run_query --server https://mcp.example.com/mcp --tenant acme
  ostiary stop user ada@example.com --tenant acme
  ostiary stop organization northwind --tenant acme
  ostiary stop host chatgpt --tenant acme          # "unverified": every app nobody could check
  ostiary stop server --server res_… --tenant acme`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withApp(cmd, func(ctx context.Context, a *app.App) error {
				n := tenants.NewStop{Kind: policy.StopKind(args[0]), Value: strings.Join(args[1:], ""), Reason: o.reason}
				return createStop(ctx, a, o, n, cmd.InOrStdin(), cmd.OutOrStdout())
			})
		},
	}
	o.environmentFlags.add(cmd)
	cmd.Flags().StringVar(&o.server, "server", "", "id or address of the MCP server; may be left out when there is one")
	cmd.Flags().StringVar(&o.reason, "reason", "", "why, for whoever reads the list")
	cmd.Flags().BoolVarP(&o.yes, "yes", "y", false, "do not ask")
	return cmd
}

func stopsCommand() *cobra.Command {
	var o stopOptions
	cmd := &cobra.Command{
		Use:   "stops --tenant SLUG",
		Short: "List what is stopped, and what was",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withApp(cmd, func(ctx context.Context, a *app.App) error {
				return listStops(ctx, a, o, cmd.OutOrStdout())
			})
		},
	}
	o.environmentFlags.add(cmd)
	return cmd
}

func liftCommand() *cobra.Command {
	var o stopOptions
	cmd := &cobra.Command{
		Use:   "lift STP_ID --tenant SLUG",
		Short: "Let what is stopped work again",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withApp(cmd, func(ctx context.Context, a *app.App) error {
				return liftStop(ctx, a, o, args[0], cmd.OutOrStdout())
			})
		},
	}
	o.environmentFlags.add(cmd)
	return cmd
}

// createStop prints what the stop would hold, asks, and stops.
func createStop(ctx context.Context, a *app.App, o stopOptions, n tenants.NewStop, in io.Reader, out io.Writer) error {
	ctx, err := inEnvironment(ctx, a, o.environmentFlags)
	if err != nil {
		return err
	}
	if n.Kind == policy.StopTool || n.Kind == policy.StopServer {
		server := o.server
		if n.Kind == policy.StopServer && server == "" {
			server, n.Value = n.Value, ""
		}
		if n.ResourceID, err = findServer(ctx, a, server); err != nil {
			return err
		}
	}
	stops := a.Services().Stops
	impact, err := stops.Impact(ctx, n)
	if err != nil {
		return fieldMessages(err)
	}
	if _, err := fmt.Fprint(out, impactText(impact)); err != nil {
		return err
	}
	if impact.Live != nil || (!o.yes && !saysYes(in, out, "Stop it?")) {
		return nil
	}
	made, err := stops.Create(ctx, n)
	if err != nil {
		return fieldMessages(err)
	}
	_, err = fmt.Fprintf(out, "Stopped as %s. `ostiary lift %s --tenant %s` lets it work again.\n", made.ID, made.ID, o.tenant)
	return err
}

// findServer returns the id of the MCP server with this id or address, of the only one when the name is empty.
func findServer(ctx context.Context, a *app.App, name string) (string, error) {
	resources := a.Services().Resources
	if strings.HasPrefix(name, "res_") {
		return name, nil
	}
	list, total, err := resources.List(ctx, tenants.ResourceFilter{Limit: 100})
	if err != nil {
		return "", err
	}
	if name == "" && total == 1 {
		return list[0].ID, nil
	}
	at := slices.IndexFunc(list, func(r tenants.ResourceSummary) bool { return r.Identifier == name || r.Name == name })
	if at < 0 {
		return "", errors.New("name the MCP server with --server, by its id, address or name")
	}
	return list[at].ID, nil
}

func impactText(i tenants.Impact) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", i.Stop.Kind, i.Stop.Name)
	if i.Stop.Name != i.Stop.Value {
		fmt.Fprintf(&b, " (%s)", i.Stop.Value)
	}
	if i.Stop.Server != "" {
		fmt.Fprintf(&b, " of %s", i.Stop.Server)
	}
	fmt.Fprintf(&b, "\n  live connections: %d\n  people: %d\n  calls in the last 24 hours: %d\n  tools: %s\n",
		i.Grants, i.Users, i.Calls, orDash(calllog.Shown(strings.Join(i.Tools, ", "))))
	if i.Live != nil {
		fmt.Fprintf(&b, "It is stopped already, as %s since %s.\n", i.Live.ID, i.Live.CreatedAt.UTC().Format(time.DateTime))
	}
	return b.String()
}

// fieldMessages is what a person can act on: everything that is wrong with what was asked.
func fieldMessages(err error) error {
	var e *errs.Error
	if !errors.As(err, &e) || len(e.Fields) == 0 {
		return plainMessage(err)
	}
	var lines []string
	for _, msg := range e.Fields {
		lines = append(lines, msg)
	}
	slices.Sort(lines)
	return errors.New(strings.Join(lines, "\n"))
}

func listStops(ctx context.Context, a *app.App, o stopOptions, out io.Writer) error {
	ctx, err := inEnvironment(ctx, a, o.environmentFlags)
	if err != nil {
		return err
	}
	live, lifted, err := a.Services().Stops.List(ctx)
	if err != nil {
		return err
	}
	if len(live) == 0 {
		if _, err := fmt.Fprintln(out, "Nothing is stopped."); err != nil {
			return err
		}
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	if len(live)+len(lifted) > 0 {
		_, _ = fmt.Fprintln(w, "STOPPED\tID\tKIND\tWHAT\tSERVER\tBY\tLIFTED\tREASON") // buffered: Flush tells
	}
	for _, s := range slices.Concat(live, lifted) {
		ended := ""
		if s.LiftedAt != nil {
			ended = s.LiftedAt.UTC().Format(time.DateTime)
		}
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", s.CreatedAt.UTC().Format(time.DateTime), s.ID, s.Kind, s.Name,
			orDash(s.Server), s.CreatedBy, orDash(ended), orDash(s.Reason))
	}
	return w.Flush()
}

func liftStop(ctx context.Context, a *app.App, o stopOptions, id string, out io.Writer) error {
	ctx, err := inEnvironment(ctx, a, o.environmentFlags)
	if err != nil {
		return err
	}
	lifted, err := a.Services().Stops.Lift(ctx, id)
	if err != nil {
		return plainMessage(err)
	}
	_, err = fmt.Fprintf(out, "%s %s works again.\n", lifted.Kind, lifted.Name)
	return err
}
