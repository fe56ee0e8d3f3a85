package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/ostiary/ostiary/app"
	"github.com/ostiary/ostiary/app/catalogue"
	"github.com/ostiary/ostiary/tenants"
	"github.com/ostiary/ostiary/tenants/calllog"
)

// importOptions are the flags of import that do not say where tools come from.
type importOptions struct {
	environmentFlags
	server      string
	yes, dryRun bool
}

func importCommand() *cobra.Command {
	var source toolSource
	var o importOptions
	cmd := &cobra.Command{
		Use:   "import",
		Short: "Fill an MCP server's catalogue from its own list of tools, as a draft to review",
		Long: `import reads the tools of an MCP server and adds the ones its draft does not know, each with a permission proposed from
its annotations. What somebody decided before is left as it is. Nothing is published: review the draft in the dashboard.`,
		Example: `  ostiary import --tenant acme --server res_… --url http://127.0.0.1:9000/mcp
  ostiary import --tenant acme --server res_… --file tools.json --dry-run`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			offered, err := source.read(cmd.Context(), cmd.InOrStdin())
			if err != nil {
				return err
			}
			if source.file == "-" && !o.yes && !o.dryRun {
				return errors.New("with --file - nobody can be asked: say --yes or --dry-run")
			}
			ask := confirm(cmd.InOrStdin(), cmd.OutOrStdout(), o.yes, o.dryRun)
			return withApp(cmd, func(ctx context.Context, a *app.App) error {
				return importTools(ctx, a, o, offered, prompt{cmd.OutOrStdout(), ask})
			})
		},
	}
	o.environmentFlags.add(cmd)
	f := cmd.Flags()
	f.StringVar(&o.server, "server", "", "id of the MCP server (res_…), from the dashboard")
	f.BoolVarP(&o.yes, "yes", "y", false, "do not ask")
	f.BoolVar(&o.dryRun, "dry-run", false, "print what would change and stop")
	source.flags(cmd)
	if err := cmd.MarkFlagRequired("server"); err != nil {
		panic(err) // the flag is declared above
	}
	return cmd
}

// prompt is where a command prints and asks.
type prompt struct {
	out io.Writer
	ask func() bool
}

// importTools prints what would change and what to look at, asks, and changes the draft.
func importTools(ctx context.Context, a *app.App, o importOptions, offered []catalogue.Tool, p prompt) error {
	ctx, err := inEnvironment(ctx, a, o.environmentFlags)
	if err != nil {
		return err
	}
	resources := a.Services().Resources
	current, err := resources.Get(ctx, o.server)
	if err != nil {
		return plainMessage(err)
	}
	next, notes, err := current.Import(offered)
	if err != nil {
		return plainMessage(err)
	}
	if next = next.Normal(); same(current, next) {
		_, err := fmt.Fprintf(p.out, "%d tools, nothing to change in the draft.\n", len(offered))
		return errors.Join(err, printNotes(p.out, notes))
	}
	for _, c := range tenants.Changes(current.Document(0), next.Document(0)) {
		if _, err := fmt.Fprintf(p.out, "  %s\n", calllog.Shown(c.String())); err != nil {
			return err
		}
	}
	if err := printNotes(p.out, notes); err != nil {
		return err
	}
	if !p.ask() {
		return nil
	}
	if _, _, err := resources.Import(ctx, o.server, offered); err != nil {
		return plainMessage(err)
	}
	_, err = fmt.Fprintln(p.out, "The draft is ready. Review it in the dashboard, then publish it.")
	return err
}

func printNotes(out io.Writer, notes []tenants.ImportNote) error {
	for _, n := range notes {
		if _, err := fmt.Fprintf(out, "! %s: %s\n", plainName(n.Tool), n.Text); err != nil {
			return err
		}
	}
	return nil
}

// same reports whether an import changes nothing.
func same(a, b tenants.Draft) bool {
	if len(tenants.Changes(a.Document(0), b.Document(0))) > 0 {
		return false
	}
	for i := range a.Tools { // nothing is ever removed or moved by an import
		if a.Tools[i].Description != b.Tools[i].Description || a.Tools[i].Fingerprint != b.Tools[i].Fingerprint {
			return false
		}
	}
	return true
}
