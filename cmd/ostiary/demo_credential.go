package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/ostiary/ostiary/app"
	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/gate/report"
	"github.com/ostiary/ostiary/tenants"
)

const demoCredential = "demo gate" // the name of its credential

// gateCredential makes sure that the demo gate can report its calls: with the credential of earlier starts as long as that is
// live, else with a new one. Whoever gave the server two of their own gets no third, and no reports.
func gateCredential(ctx context.Context, s app.Services, home *dataDir, resourceID string) (reporting, error) {
	r := reporting{credentialFile: filepath.Join(home.path, "gate-credential"), spool: filepath.Join(home.path, "spool")}
	live, err := s.Resources.ListCredentials(ctx, resourceID)
	if err != nil {
		return r, err
	}
	have, _ := report.FromFile(r.credentialFile)() // none yet, or a damaged one: a new one is made
	for _, c := range live {
		if c.ID == have.ID {
			return r, nil
		}
		if c.Name != demoCredential { // left from a data directory that is gone
			continue
		}
		if err := s.Resources.RevokeCredential(ctx, c.ID); err != nil {
			return r, err
		}
	}
	made, secret, err := s.Resources.CreateCredential(ctx, tenants.NewCredential{ResourceID: resourceID, Name: demoCredential})
	if errs.Is(err, errs.Conflict) {
		return reporting{}, nil
	}
	if err != nil {
		return r, err
	}
	if err := os.WriteFile(r.credentialFile, []byte(made.ID+":"+secret+"\n"), 0o600); err != nil {
		return r, fmt.Errorf("credential of the gate: %w", err)
	}
	return r, nil
}
