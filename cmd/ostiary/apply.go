package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ostiary/ostiary/app"
	"github.com/ostiary/ostiary/app/scope"
	"github.com/ostiary/ostiary/tenants/apply"
)

func applyCommand() *cobra.Command {
	var yes, dryRun, example bool
	cmd := &cobra.Command{
		Use:   "apply FILE.yaml",
		Short: "Make a tenant equal to a file: print what would change, ask, do it",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if example {
				_, err := cmd.OutOrStdout().Write(apply.DemoSource())
				return err
			}
			if len(args) == 0 {
				return errors.New("name the file to apply, or print one to start from with --example")
			}
			ask := confirm(cmd.InOrStdin(), cmd.OutOrStdout(), yes, dryRun)
			return withApp(cmd, func(ctx context.Context, a *app.App) error {
				return applyFile(ctx, a, args[0], cmd.OutOrStdout(), ask)
			})
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "print what would change and stop")
	cmd.Flags().BoolVar(&example, "example", false, "print a tenant file to start from")
	return cmd
}

// operator is the context of the command line: it acts for whoever runs the process.
func operator(ctx context.Context) context.Context {
	return scope.WithActor(ctx, scope.Actor{Kind: scope.ActorOperator, ID: "the command line"})
}

// confirm asks whether to go on; --yes answers, --dry-run declines.
func confirm(in io.Reader, out io.Writer, yes, dryRun bool) func() bool {
	return func() bool {
		if yes || dryRun {
			return yes && !dryRun
		}
		return saysYes(in, out, "Apply these changes?")
	}
}

// saysYes asks a question on the terminal.
func saysYes(in io.Reader, out io.Writer, question string) bool {
	_, _ = fmt.Fprint(out, question+" [y/N] ") // a terminal that is gone answers no below
	answer, err := bufio.NewReader(in).ReadString('\n')
	answer = strings.ToLower(strings.TrimSpace(answer))
	return err == nil && (answer == "y" || answer == "yes")
}

// applyFile plans, prints, asks and applies.
func applyFile(ctx context.Context, a *app.App, path string, out io.Writer, ask func() bool) error {
	file, err := apply.ParseFile(path)
	if err != nil {
		return fmt.Errorf("%s:\n%w", path, err)
	}
	return applyTenant(ctx, a, file, out, ask)
}

func applyTenant(ctx context.Context, a *app.App, file apply.File, out io.Writer, ask func() bool) error {
	applier := a.Applier()
	plan, err := applier.Plan(ctx, file)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprint(out, plan); err != nil {
		return err
	}
	if plan.Empty() {
		return printIDs(ctx, applier, file, out)
	}
	if !ask() {
		return nil
	}
	result, err := applier.Apply(ctx, plan)
	if err != nil {
		return err
	}
	for _, s := range result.ClientSecrets {
		_, err := fmt.Fprintf(out, "Secret of client %s in %s, shown this once: %s\n", s.ClientID, s.Environment, s.Secret)
		if err != nil {
			return err
		}
	}
	for _, c := range result.Credentials {
		if err := printCredential(out, c); err != nil {
			return err
		}
	}
	return printIDs(ctx, applier, file, out)
}

// printIDs prints what gates, SDKs and databases call the parts of the file by.
func printIDs(ctx context.Context, applier *apply.Applier, file apply.File, out io.Writer) error {
	ids, err := applier.IDs(ctx, file)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if _, err := fmt.Fprintf(out, "Id of %s in %s: %s\n", id.What, id.Environment, id.ID); err != nil {
			return err
		}
	}
	return nil
}

// printCredential prints what an MCP server sends to ask about its tokens.
func printCredential(out io.Writer, c apply.MadeCredential) error {
	if c.Secret == "" {
		_, err := fmt.Fprintf(out, "Credential of %s in %s: %s, with the secret of the file\n", c.Resource, c.Environment, c.ID)
		return err
	}
	_, err := fmt.Fprintf(out, "Credential of %s in %s: %s, secret shown this once: %s\n", c.Resource, c.Environment, c.ID, c.Secret)
	return err
}
