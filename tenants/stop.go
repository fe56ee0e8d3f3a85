package tenants

import (
	"context"
	"time"

	"github.com/ostiary/ostiary/app/audit"
	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/policy"
	"github.com/ostiary/ostiary/app/scope"
	"github.com/ostiary/ostiary/app/secret"
	"github.com/ostiary/ostiary/tenants/check"
	"github.com/ostiary/ostiary/tenants/rows"
)

// Stop is one thing that the kill switch holds until somebody lifts it. Nothing is deleted by it: grants, refresh tokens and
// sign-ins are as before afterwards.
type Stop struct {
	ID         string
	Kind       policy.StopKind
	ResourceID string // of a tool or server
	Value      string // name of the tool, host, or id of the user, organization or server
	Reason     string // for the people who read the list
	CreatedAt  time.Time
	CreatedBy  string
	LiftedAt   *time.Time // nil while it holds
	LiftedBy   string

	Name   string // what people call Value: an e-mail address, a name; Value itself when there is none
	Server string // name of the MCP server of a tool
}

// NewStop is what somebody wants to stop. Value may also be an e-mail address for a user and a slug for an organization.
type NewStop struct {
	Kind       policy.StopKind
	ResourceID string // for a tool or server
	Value      string // for anything but a server
	Reason     string
}

const (
	maxReason    = 200
	maxStopValue = 256
	maxLiveStops = 1000 // every feed carries them
)

// ListedHistory is how many of the latest lifted stops List returns.
const ListedHistory = 100

// StopKinds returns what can be stopped, from the smallest to the largest.
func StopKinds() []policy.StopKind {
	return []policy.StopKind{policy.StopTool, policy.StopUser, policy.StopOrganization, policy.StopHost, policy.StopServer}
}

// Stops is the kill switch of an environment.
type Stops struct{ base }

// NewStops returns the service.
func NewStops(d Deps) *Stops { return &Stops{newBase(d)} }

// Create stops something, at once and at every MCP server of the environment. Errors: errs.Invalid by the names of NewStop's
// fields (kind, server, value, reason), errs.Conflict when it is stopped already, errs.Forbidden.
func (s *Stops) Create(ctx context.Context, n NewStop) (Stop, error) {
	if err := AuthorizeEdit(ctx); err != nil {
		return Stop{}, err
	}
	sc, err := environmentScope(ctx)
	if err != nil {
		return Stop{}, err
	}
	var made Stop
	err = s.inTenant(ctx, func(ctx context.Context) error {
		if made, err = s.resolve(ctx, sc, n); err != nil {
			return err
		}
		made.ID, made.CreatedAt, made.CreatedBy = secret.NewID("stp"), s.now(), actorName(ctx)
		if err := s.insertStop(ctx, sc, made); err != nil {
			return err
		}
		return s.changed(ctx, sc, "stop.created", made)
	})
	if rows.Violates(err, "stops_live") {
		return Stop{}, &errs.Error{Kind: errs.Conflict, Code: "stopped_already", Msg: "This is stopped already."}
	}
	return made, err
}

// Lift ends a stop: what it held works again at once. Errors: errs.NotFound when none with this id holds, errs.Forbidden.
func (s *Stops) Lift(ctx context.Context, id string) (Stop, error) {
	if err := AuthorizeEdit(ctx); err != nil {
		return Stop{}, err
	}
	sc, err := environmentScope(ctx)
	if err != nil {
		return Stop{}, err
	}
	var lifted Stop
	err = s.inTenant(ctx, func(ctx context.Context) error {
		if lifted, err = s.endStop(ctx, sc, id, s.now()); err != nil {
			return err
		}
		return s.changed(ctx, sc, "stop.lifted", lifted)
	})
	return lifted, err
}

// List returns the stops that hold, newest first, and those that were lifted last. Errors: errs.Forbidden.
func (s *Stops) List(ctx context.Context) (live, lifted []Stop, err error) {
	if err := AuthorizeView(ctx); err != nil {
		return nil, nil, err
	}
	sc, err := environmentScope(ctx)
	if err != nil {
		return nil, nil, err
	}
	return s.listStops(ctx, sc)
}

// Get returns a stop. Errors: errs.NotFound, errs.Forbidden.
func (s *Stops) Get(ctx context.Context, id string) (Stop, error) {
	if err := AuthorizeView(ctx); err != nil {
		return Stop{}, err
	}
	sc, err := environmentScope(ctx)
	if err != nil {
		return Stop{}, err
	}
	return s.loadStop(ctx, sc, id)
}

// Live returns the stops that hold in the environment of ctx. The issuer calls it and keeps the answer until the environment
// is notified.
func (s *Stops) Live(ctx context.Context) ([]Stop, error) {
	sc, err := environmentScope(ctx)
	if err != nil {
		return nil, err
	}
	return s.liveStops(ctx, sc)
}

// changed records what happened and tells every node. MCP servers are told by the schema's trigger.
func (s *Stops) changed(ctx context.Context, sc scope.Scope, action string, stop Stop) error {
	detail := map[string]any{"kind": string(stop.Kind), "value": stop.Value, "reason": stop.Reason}
	if stop.ResourceID != "" {
		detail["resource"] = stop.ResourceID
	}
	if err := s.audit.Record(ctx, audit.Event{Action: action, TargetKind: "stop", TargetID: stop.ID, Detail: detail}); err != nil {
		return err
	}
	return s.deps.DB.Notify(ctx, sc.EnvironmentID)
}

func actorName(ctx context.Context) string {
	actor := scope.ActorFrom(ctx)
	if actor.ID != "" {
		return actor.ID
	}
	return string(actor.Kind)
}

// resolve checks n and finds what it names.
func (s *Stops) resolve(ctx context.Context, sc scope.Scope, n NewStop) (Stop, error) {
	stop := Stop{Kind: n.Kind, ResourceID: n.ResourceID, Value: n.Value, Reason: n.Reason, Name: n.Value}
	var p check.Problems
	p.Add("reason", check.OptionalText(n.Reason, maxReason))
	switch n.Kind {
	case policy.StopServer:
		stop.Value = n.ResourceID
	case policy.StopTool, policy.StopHost, policy.StopUser, policy.StopOrganization:
		p.Add("value", check.Text(n.Value, maxStopValue))
	default:
		p.Add("kind", "Choose a tool, host, user, organization or server.")
	}
	if n.Kind != policy.StopTool && n.Kind != policy.StopServer {
		stop.ResourceID = ""
	}
	if err := p.Err(); err != nil {
		return Stop{}, err
	}
	found, err := s.findStopped(ctx, sc, &stop)
	if err != nil {
		return Stop{}, err
	}
	p.Add(found.field, found.missing)
	return stop, p.Err()
}

// absence says what was not found, by the name of NewStop's field.
type absence struct{ field, missing string }
