package main

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/ostiary/ostiary/gate"
	"github.com/ostiary/ostiary/gate/report"
)

// reporting says how a gate reports its calls.
type reporting struct {
	credentialFile string
	spool          string
}

func (r *reporting) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&r.credentialFile, "credential-file", "",
		"file with the credential of the MCP server, rcr_…:secret, to report calls with (or OSTIARY_CREDENTIAL, OSTIARY_CREDENTIAL_FILE)")
	f.StringVar(&r.spool, "spool", "", "directory where calls that are not reported yet outlive a crash; memory only when empty")
}

// How long a gate that stops tries to report what is left: with a spool it can wait for the next start.
const (
	lastReport        = 10 * time.Second
	lastReportSpooled = 2 * time.Second
)

// serveGate serves a gate that reports its calls when there is a credential.
func serveGate(ctx context.Context, o gate.ServeOptions, r reporting) error {
	credential, err := r.credential()
	if err != nil {
		return err
	}
	if credential == nil {
		return gate.Serve(ctx, o)
	}
	reporter, err := report.New(report.Options{
		Issuer: o.Issuer, ResourceID: o.ResourceID, Credential: credential, HTTPClient: o.HTTPClient, Logger: o.Logger,
		SpoolDir: r.spool,
	})
	if err != nil {
		return err
	}
	o.Observe = reporter.Observe
	if o.Reload != nil {
		life, end := context.WithCancel(ctx)
		defer end()
		o.Reload = reportedReloads(life, o)
	}
	serving := gate.Serve(ctx, o)
	patience := lastReport
	if r.spool != "" {
		patience = lastReportSpooled
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	return errors.Join(serving, reporter.Close(last))
}

// reportedReloads passes configurations on, so that the calls under them are reported too. A reporter is of one MCP server: a
// configuration of another one is refused.
func reportedReloads(ctx context.Context, first gate.ServeOptions) <-chan gate.ServeOptions {
	out := make(chan gate.ServeOptions)
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case next := <-first.Reload:
				if next.Issuer != first.Issuer || next.ResourceID != first.ResourceID {
					first.Logger.ErrorContext(ctx, "the MCP server cannot change while its calls are reported: start the gate anew")
					continue
				}
				next.Observe = first.Observe
				select {
				case out <- next:
				case <-ctx.Done():
					return
				}
			}
		}
	}()
	return out
}

// fill adds what the configuration file says. What a flag says already is not overwritten.
func (r *reporting) fill(file gateFile) {
	r.credentialFile = firstOf(r.credentialFile, file.Report.CredentialFile)
	r.spool = firstOf(r.spool, file.Report.Spool)
}

// credential returns how to get the credential, nil when nobody named one.
func (r *reporting) credential() (func() (report.Credential, error), error) {
	path, text := os.Getenv("OSTIARY_CREDENTIAL_FILE"), os.Getenv("OSTIARY_CREDENTIAL")
	switch {
	case r.credentialFile != "":
		return report.FromFile(r.credentialFile), nil
	case path != "" && text != "":
		return nil, errors.New("the credential is given twice, in OSTIARY_CREDENTIAL and OSTIARY_CREDENTIAL_FILE")
	case path != "":
		return report.FromFile(path), nil
	case text != "":
		c, err := report.ParseCredential(text)
		if err != nil {
			return nil, err
		}
		return report.Fixed(c), nil
	case r.spool != "":
		return nil, errors.New("--spool is of no use without a credential to report with")
	}
	return nil, nil //nolint:nilnil // no reporting is a choice
}
