package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/ostiary/ostiary/app"
	"github.com/ostiary/ostiary/app/clock"
	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/tenants"
	"github.com/ostiary/ostiary/tenants/calllog"
)

// callsOptions are the flags of calls.
type callsOptions struct {
	environmentFlags

	filter           calllog.Filter
	server, decision string
	since            string
	explain          string
	legacy, json     bool
}

func callsCommand() *cobra.Command {
	var o callsOptions
	cmd := &cobra.Command{
		Use:   "calls --tenant SLUG",
		Short: "Show which app called which tool for whom, and why it was allowed or denied",
		Example: `  ostiary calls --tenant acme --decision denied --since 1h
  ostiary calls --tenant acme --explain call_…
  ostiary calls --tenant acme --legacy --since 30d`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withApp(cmd, func(ctx context.Context, a *app.App) error {
				return showCalls(ctx, a, o, cmd.OutOrStdout())
			})
		},
	}
	o.environmentFlags.add(cmd)
	f := cmd.Flags()
	f.StringVar(&o.server, "server", "", "only of this MCP server: its id, name or address")
	f.StringVar(&o.filter.Tool, "tool", "", "only of this tool")
	f.StringVar(&o.filter.User, "user", "", "only for this user: id or e-mail address")
	f.StringVar(&o.filter.Organization, "organization", "", "only for this organization: id or slug")
	f.StringVar(&o.filter.Host, "host", "", `only from this host, e.g. claude-code; "unverified" for apps of which nothing could be checked`)
	f.StringVar(&o.decision, "decision", "", "only those that were allowed, denied or shadowed (let through in shadow mode)")
	f.StringVar(&o.since, "since", "1d", "how far to look back, e.g. 30m, 12h, 7d")
	f.IntVar(&o.filter.Limit, "limit", 20, "how many to show, at most 100")
	f.StringVar(&o.explain, "explain", "", "id of a call: say why it was decided so, from the policy revision in force")
	f.BoolVar(&o.legacy, "legacy", false, "show who still uses keys from before OAuth, and when last")
	f.BoolVar(&o.json, "json", false, "one line of JSON each")
	cmd.MarkFlagsMutuallyExclusive("explain", "legacy")
	return cmd
}

func showCalls(ctx context.Context, a *app.App, o callsOptions, out io.Writer) error {
	ctx, err := inEnvironment(ctx, a, o.environmentFlags)
	if err != nil {
		return err
	}
	var back tenants.Duration
	if err := back.UnmarshalText([]byte(o.since)); err != nil {
		return fmt.Errorf("--since: %w", err)
	}
	log, since := a.Calls(), clock.System().Add(-time.Duration(back))
	switch {
	case o.explain != "":
		x, err := log.Explain(ctx, o.explain)
		if err != nil {
			return plainMessage(err)
		}
		return printExplanation(out, x, o.json)
	case o.legacy:
		uses, err := log.Legacy(ctx, since)
		if err != nil {
			return err
		}
		return printLegacy(out, uses, o)
	}
	if o.filter.Server, err = serverID(ctx, a, o.server); err != nil {
		return err
	}
	o.filter.Decision, o.filter.Since = calllog.Decision(o.decision), since
	page, err := log.List(ctx, o.filter)
	if errs.Is(err, errs.Invalid) {
		return errors.New("--decision is allowed, denied or shadowed")
	}
	if err != nil {
		return err
	}
	lost, err := log.Lost(ctx, o.filter.Server, since)
	if err != nil {
		return err
	}
	return printCalls(out, page, lost, o)
}

// serverID finds an MCP server by id, name or address; "" is every one.
func serverID(ctx context.Context, a *app.App, wanted string) (string, error) {
	if wanted == "" {
		return "", nil
	}
	list, _, err := a.Services().Resources.List(ctx, tenants.ResourceFilter{Limit: 100})
	if err != nil {
		return "", err
	}
	for _, r := range list {
		if wanted == r.ID || strings.EqualFold(wanted, r.Name) || wanted == r.Identifier {
			return r.ID, nil
		}
	}
	return "", fmt.Errorf("there is no MCP server %q", wanted)
}

func printCalls(out io.Writer, page calllog.Page, lost int64, o callsOptions) error {
	if o.json {
		return encodeEach(out, page.Calls)
	}
	if len(page.Calls) == 0 {
		_, err := fmt.Fprintf(out, "No call in the last %s. Gates and SDKs report calls when they have a credential: see docs/calls.md.\n", o.since)
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "WHEN\tCALL\tTOOL\tUSER\tORGANIZATION\tHOST\tDECISION\tREASON\tTOOK") // buffered: Flush tells
	for _, c := range page.Calls {
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", c.At.Format(time.DateTime), c.ID, calllog.Shown(c.Tool),
			calllog.Shown(firstOf(c.UserEmail, c.User)), orDash(calllog.Shown(firstOf(c.OrganizationName, c.Organization))),
			orDash(calllog.Shown(c.Host)),
			c.Decision(), c.Reason, time.Duration(c.LatencyUS)*time.Microsecond)
	}
	if err := w.Flush(); err != nil || (lost == 0 && !page.Older) {
		return err
	}
	if page.Older {
		_, _ = fmt.Fprintln(out, "There are older ones: narrow the list, or raise --limit.") // the next write tells
	}
	if lost > 0 {
		_, err := fmt.Fprintf(out, "%d calls are missing: gates or SDKs lost them before they could report.\n", lost)
		return err
	}
	return nil
}

func printLegacy(out io.Writer, uses []calllog.LegacyUse, o callsOptions) error {
	if o.json {
		return encodeEach(out, uses)
	}
	if len(uses) == 0 {
		_, err := fmt.Fprintf(out, "Nobody used a legacy key in the last %s, as far as it was reported.\n", o.since)
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "IDENTITY\tMCP SERVER\tCALLS\tDENIED\tFIRST\tLAST") // buffered: Flush tells
	for _, u := range uses {
		_, _ = fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%s\t%s\n", calllog.Shown(firstOf(u.UserName, u.User)), u.ResourceName, u.Calls, u.Denied,
			u.FirstAt.Format(time.DateTime), u.LastAt.Format(time.DateTime))
	}
	return w.Flush()
}

func printExplanation(out io.Writer, x calllog.Explanation, asJSON bool) error {
	if asJSON {
		return encodeEach(out, []calllog.Explanation{x})
	}
	lines := append([]string{x.Why}, x.Facts...)
	if x.Fix != "" {
		lines = append(lines, "To change it: "+x.Fix)
	}
	for _, d := range x.Doubts {
		lines = append(lines, "Does not fit: "+d)
	}
	if x.Standing == calllog.Confirmed {
		lines = append(lines, "Decided again from the same revision, it comes out the same.")
	}
	c := x.Call
	_, err := fmt.Fprintf(out, "%s  %s  %s  %s for %s\n%s\n", c.ID, c.At.Format(time.DateTime), x.Decision, calllog.Shown(c.Tool),
		calllog.Shown(firstOf(c.UserEmail, c.User)), strings.Join(lines, "\n"))
	return err
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
