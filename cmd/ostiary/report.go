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
	serving := gate.Serve(ctx, o)
	patience := lastReport
	if r.spool != "" {
		patience = lastReportSpooled
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	return errors.Join(serving, reporter.Close(last))
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
