package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/ostiary/ostiary/app"
	"github.com/ostiary/ostiary/app/clock"
	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/oauth/attemptlog"
)

// attemptsOptions are the flags of attempts.
type attemptsOptions struct {
	environmentFlags
	caseID, client string
	limit          int
	follow, json   bool
}

func attemptsCommand() *cobra.Command {
	var o attemptsOptions
	cmd := &cobra.Command{
		Use:   "attempts --tenant SLUG",
		Short: "Show how hosts tried to connect: the latest attempts, or each step of one",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withApp(cmd, func(ctx context.Context, a *app.App) error {
				return showAttempts(ctx, a, o, cmd.OutOrStdout())
			})
		},
	}
	o.environmentFlags.add(cmd)
	f := cmd.Flags()
	f.StringVar(&o.caseID, "case", "", "the case id on an error page, OST-XXXXX-XXXXX: show each step of it")
	f.StringVar(&o.client, "client", "", "only attempts of this client id")
	f.IntVar(&o.limit, "limit", 20, "how many attempts to show, at most 100")
	f.BoolVar(&o.follow, "follow", false, "print steps as they happen, until Ctrl-C")
	f.BoolVar(&o.json, "json", false, "one line of JSON per attempt or step")
	cmd.MarkFlagsMutuallyExclusive("case", "follow")
	cmd.MarkFlagsMutuallyExclusive("case", "client")
	return cmd
}

func showAttempts(ctx context.Context, a *app.App, o attemptsOptions, out io.Writer) error {
	ctx, err := inEnvironment(ctx, a, o.environmentFlags)
	if err != nil {
		return err
	}
	reader := a.AttemptReader()
	switch {
	case o.caseID != "":
		steps, err := reader.Find(ctx, o.caseID)
		if err != nil {
			return plainMessage(err)
		}
		return printSteps(out, steps, o.json)
	case o.follow:
		return followSteps(ctx, reader, o, out)
	}
	attempts, _, err := reader.List(ctx, attemptlog.AttemptFilter{ClientID: o.client, Limit: o.limit})
	if err != nil {
		return err
	}
	return printAttempts(out, attempts, o.json)
}

// plainMessage is what a person can act on, without the kind in front.
func plainMessage(err error) error {
	var known *errs.Error
	if errors.As(err, &known) && known.Err == nil {
		return errors.New(known.Msg)
	}
	return err
}

func printAttempts(out io.Writer, attempts []attemptlog.Attempt, asJSON bool) error {
	if asJSON {
		return encodeEach(out, attempts)
	}
	if len(attempts) == 0 {
		_, err := fmt.Fprintln(out, "Nobody has tried to connect in the last seven days. Connect a host, then look again.")
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "WHEN\tCASE\tHOST\tCLIENT\tUSER\tLATEST STEP") // buffered: Flush tells
	for _, at := range attempts {
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", at.StartedAt.Format(time.DateTime), at.CaseID, orDash(at.Host),
			orDash(at.ClientName), orDash(at.UserEmail), stepWords(at.Last))
	}
	return w.Flush()
}

func printSteps(out io.Writer, steps []attemptlog.Step, asJSON bool) error {
	if asJSON {
		return encodeEach(out, steps)
	}
	for _, s := range steps {
		if err := printStep(out, s); err != nil {
			return err
		}
	}
	return nil
}

func printStep(out io.Writer, s attemptlog.Step) error {
	line := fmt.Sprintf("%s  %-9s  %-7s  %s", s.At.Format("2006-01-02 15:04:05.000"), s.Kind, s.Outcome, s.Detail)
	for _, more := range [...]struct{ label, value string }{
		{"client", s.ClientName}, {"host", s.Host}, {"reason", s.Reason}, {"asked", s.Asked}, {"right", s.Expected},
	} {
		if more.value != "" {
			line += fmt.Sprintf("\n%36s%-7s  %s", "", more.label, more.value)
		}
	}
	if s.Reason != "" {
		e := attemptlog.Explain(s)
		line += fmt.Sprintf("\n%36s%-7s  %s\n%36s%-7s  %s (%s)", "", "means", e.What, "", "to fix", e.How, e.Who)
	}
	_, err := fmt.Fprintln(out, line)
	return err
}

func stepWords(s attemptlog.Step) string {
	words := string(s.Kind) + " " + string(s.Outcome)
	if s.Reason != "" {
		words += ": " + s.Reason
	}
	return words
}

func orDash(s string) string {
	if s == "" {
		return "–"
	}
	return s
}

func encodeEach[T any](out io.Writer, values []T) error {
	encoder := json.NewEncoder(out)
	for _, v := range values {
		if err := encoder.Encode(v); err != nil {
			return err
		}
	}
	return nil
}

const (
	followEvery = time.Second
	followLate  = 2 * time.Second // how much later than it happened a step may be written, by any node
	followPage  = 100
)

// follower prints steps as they are written.
type follower struct {
	reader *attemptlog.Reader
	client string
	since  time.Time
	seen   map[int64]time.Time // printed, and young enough to be read again
}

// followSteps prints steps until ctx ends.
func followSteps(ctx context.Context, reader *attemptlog.Reader, o attemptsOptions, out io.Writer) error {
	f := follower{reader: reader, client: o.client, since: clock.System(), seen: map[int64]time.Time{}}
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for {
		steps, err := f.next(ctx)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // Ctrl-C is how this ends
		}
		if err != nil {
			return err
		}
		if err := printSteps(out, steps, o.json); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// next returns the steps that were not returned before, the oldest first.
func (f *follower) next(ctx context.Context) ([]attemptlog.Step, error) {
	var fresh []attemptlog.Step
	after := attemptlog.Cursor{At: f.since}
	for {
		page, err := f.reader.Steps(ctx, attemptlog.StepFilter{ClientID: f.client, After: after, Limit: followPage})
		if err != nil {
			return nil, err
		}
		slices.Reverse(page)
		for _, s := range page {
			if _, known := f.seen[s.ID]; !known {
				f.seen[s.ID] = s.At
				fresh = append(fresh, s)
			}
			after = s.Cursor()
		}
		if len(page) < followPage {
			break
		}
	}
	if from := after.At.Add(-followLate); from.After(f.since) {
		f.since = from
	}
	maps.DeleteFunc(f.seen, func(_ int64, at time.Time) bool { return at.Before(f.since) })
	return fresh, nil
}
