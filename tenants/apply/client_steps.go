package apply

import (
	"context"
	"fmt"
	"strings"

	"github.com/ostiary/ostiary/app/errs"
)

func (w *work) clientSteps(ctx context.Context, e *Environment) ([]step, error) {
	if len(e.Clients) == 0 {
		return nil, nil
	}
	if w.deps.Clients == nil {
		return nil, errs.New(errs.Internal, "nothing here stores clients")
	}
	diffs := make([]ClientDiff, len(e.Clients))
	for i := range diffs {
		diffs[i].Missing = true
	}
	if w.env != nil {
		var err error
		if diffs, err = w.deps.Clients.Diff(ctx, e.Clients); err != nil {
			return nil, err
		}
	}
	var steps []step
	for i, c := range e.Clients {
		switch {
		case diffs[i].Missing:
			steps = append(steps, step{Change{Op: OpCreate, What: fmt.Sprintf("client %s (%s)", c.ID, c.Name)},
				w.upsertClient(e.Slug, c)})
		case len(diffs[i].Changed) > 0:
			what := fmt.Sprintf("client %s: %s", c.ID, strings.Join(diffs[i].Changed, ", "))
			steps = append(steps, step{Change{Op: OpUpdate, What: what}, w.upsertClient(e.Slug, c)})
		}
	}
	return steps, nil
}

func (w *work) upsertClient(environment string, c Client) func(context.Context) error {
	return func(ctx context.Context) error {
		made, err := w.deps.Clients.Upsert(w.inEnvironment(ctx), c)
		if err == nil && made != "" {
			w.secrets = append(w.secrets, ClientSecret{Environment: environment, ClientID: c.ID, Secret: made})
		}
		return err
	}
}
