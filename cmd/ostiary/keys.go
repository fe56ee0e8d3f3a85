package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/ostiary/ostiary/app"
	"github.com/ostiary/ostiary/oauth/keys"
)

func keysCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "List and rotate signing keys, and move what is sealed to a new master key",
	}
	cmd.AddCommand(onInstallation(keysListCommand()), onInstallation(keysRotateCommand()), onInstallation(keysResealCommand()))
	return cmd
}

func selectionFlags(cmd *cobra.Command, s *app.KeySelection) {
	cmd.Flags().StringVar(&s.Tenant, "tenant", "", "slug of one tenant")
	cmd.Flags().StringVar(&s.Environment, "environment", "", "slug of one environment")
}

func keysListCommand() *cobra.Command {
	var s app.KeySelection
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Show every signing key and where it is in its life",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withApp(cmd, func(ctx context.Context, a *app.App) error {
				list, err := a.ListKeys(ctx, s)
				if err != nil {
					return err
				}
				return printKeys(cmd.OutOrStdout(), list)
			})
		},
	}
	selectionFlags(cmd, &s)
	return cmd
}

func printKeys(out io.Writer, list []app.EnvironmentKeys) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, err := fmt.Fprintln(table, "TENANT\tENVIRONMENT\tKEY\tALG\tSTATE\tPUBLISHED\tNEXT")
	for _, env := range list {
		for _, k := range env.Keys {
			if err == nil {
				_, err = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n",
					env.Tenant, env.Environment, k.ID, k.Alg, k.State, day(k.CreatedAt), nextStep(k))
			}
		}
	}
	return errors.Join(err, table.Flush())
}

// nextStep says what happens to a key next, or what happened last.
func nextStep(k keys.Info) string {
	switch {
	case k.State == keys.StatePublished:
		return "signs from " + day(k.CreatedAt.Add(keys.PublishLead))
	case k.State == keys.StateActive && k.ActivatedAt != nil:
		return "signs since " + day(*k.ActivatedAt)
	case k.State == keys.StateRetiring && k.RetireAt != nil:
		return "leaves " + day(*k.RetireAt)
	case k.State == keys.StateRetired && k.RetireAt != nil:
		return "left " + day(*k.RetireAt)
	}
	return ""
}

func day(t time.Time) string { return t.UTC().Format("2006-01-02 15:04Z") }

func keysRotateCommand() *cobra.Command {
	var r app.KeyRotation
	var yes bool
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "Publish new signing keys; they sign after a day, or at once with --now",
		Long: `Publish a new signing key for every environment, or for the one that is named.

Without --now the key signs after a day, when every resource server that keeps a key set knows it, and the old key stays
published until its last token has expired. Nothing stops working. This also happens by itself, every 90 days unless an
environment's key_rotation says otherwise.

With --now the new key signs within seconds: resource servers ask again for a key they do not know. With --revoke the old
key leaves the key set in the same moment, and every access token it signed is refused as soon as resource servers ask
again (the gate: within five minutes). Hosts refresh and go on.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if r.Revoke && !r.Now {
				return errors.New("--revoke needs --now")
			}
			return withApp(cmd, func(ctx context.Context, a *app.App) error {
				return rotateKeys(ctx, cmd, a, r, yes)
			})
		},
	}
	selectionFlags(cmd, &r.KeySelection)
	f := cmd.Flags()
	f.BoolVar(&r.Now, "now", false, "let the new keys sign at once")
	f.BoolVar(&r.Revoke, "revoke", false, "with --now: stop trusting the old keys and every token they signed")
	f.BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}

func rotateKeys(ctx context.Context, cmd *cobra.Command, a *app.App, r app.KeyRotation, yes bool) error {
	out := cmd.OutOrStdout()
	if r.Now {
		list, err := a.ListKeys(ctx, r.KeySelection)
		if err != nil {
			return err
		}
		consequence := "Old tokens stay valid until they expire."
		if r.Revoke {
			consequence = "Every access token they signed dies; hosts have to refresh."
		}
		if _, err := fmt.Fprintf(out, "Signing keys are replaced now, of environments: %d. %s\n", len(list), consequence); err != nil {
			return err
		}
		if !confirm(cmd.InOrStdin(), out, yes, false)() {
			return nil
		}
	}
	rotated, err := a.RotateKeys(ctx, r)
	for _, k := range rotated {
		if _, err := fmt.Fprintf(out, "%s %s: %s (%s) %s\n", k.Tenant, k.Environment, k.Key.ID, k.Key.Alg, rotatedText(k.Key)); err != nil {
			return err
		}
	}
	return err
}

func rotatedText(k keys.Info) string {
	if k.State == keys.StateActive {
		return "signs from now on"
	}
	return nextStep(k)
}

func keysResealCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "reseal",
		Short: "Wrap every sealed value under the newest master key",
		Long: `Wrap every sealed value under OSTIARY_MASTER_KEY, so that OSTIARY_PREVIOUS_MASTER_KEYS can be dropped.

To change the master key while the service runs:
  1. Restart every node with the new key in OSTIARY_PREVIOUS_MASTER_KEYS: all of them can open what it seals.
  2. Restart every node with the new key as OSTIARY_MASTER_KEY and the old one in OSTIARY_PREVIOUS_MASTER_KEYS.
  3. Run this command with the same two variables. It may be stopped and repeated.
  4. Restart every node without the old key.

A master key that leaked has shown every value it sealed: rotate signing keys, too (ostiary keys rotate --now --revoke).`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withApp(cmd, func(ctx context.Context, a *app.App) error {
				n, err := a.Reseal(ctx)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "Resealed %d signing keys and %d root secrets.\n", n.Keys, n.Environments)
				return err
			})
		},
	}
}
