package tenants

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/ostiary/ostiary/app/policy"
	"github.com/ostiary/ostiary/app/scope"
)

// Impact is what a stop would hold, before anybody acts.
type Impact struct {
	Stop   Stop // what would be stopped, with its name
	Grants int  // live ones it covers
	Users  int  // distinct people behind them
	Calls  int  // that were allowed in the last 24 hours
	// Tools are those it covers: the tool, all of a server, else what was called in the last 24 hours, most called first.
	Tools []string
	Live  *Stop // the stop that holds already, if any
}

// impactWindow is what calls are counted over.
const impactWindow = 24 * time.Hour

// Impact says what stopping n would hold. Errors as Create, without the conflict; errs.Forbidden for who may not look.
func (s *Stops) Impact(ctx context.Context, n NewStop) (Impact, error) {
	if err := AuthorizeView(ctx); err != nil {
		return Impact{}, err
	}
	sc, err := environmentScope(ctx)
	if err != nil {
		return Impact{}, err
	}
	var impact Impact
	err = s.inTenant(ctx, func(ctx context.Context) error {
		if impact.Stop, err = s.resolve(ctx, sc, n); err != nil {
			return err
		}
		return s.measure(ctx, sc, &impact)
	})
	return impact, err
}

func (s *Stops) measure(ctx context.Context, sc scope.Scope, impact *Impact) error {
	now, stop := s.now(), impact.Stop
	doc, err := s.stoppedDocument(ctx, sc, stop)
	if err != nil {
		return err
	}
	var opening []string // sets of scopes that open the tool
	if stop.Kind == policy.StopTool {
		if opening, err = s.openingScopes(ctx, sc, stop, policy.Compile(&doc)); err != nil {
			return err
		}
	}
	if impact.Grants, impact.Users, err = s.countGrants(ctx, sc, stop, opening, now); err != nil {
		return err
	}
	if impact.Calls, impact.Tools, err = s.countCalls(ctx, sc, stop, now.Add(-impactWindow)); err != nil {
		return err
	}
	switch stop.Kind {
	case policy.StopTool:
		impact.Tools = []string{stop.Value}
	case policy.StopServer:
		impact.Tools = slices.Sorted(maps.Keys(doc.Tools))
	case policy.StopHost, policy.StopUser, policy.StopOrganization:
	}
	impact.Live, err = s.sameStop(ctx, sc, stop)
	return err
}
