package scope

import (
	"context"

	"github.com/ostiary/ostiary/app/errs"
)

// Scope names the tenant, and where known the environment, that everything below this context belongs to.
type Scope struct {
	TenantID      string
	EnvironmentID string // empty for tenant-wide work
}

// ActorKind says what sort of party acts.
type ActorKind string

const (
	ActorMember   ActorKind = "member"
	ActorUser     ActorKind = "user"
	ActorClient   ActorKind = "client"
	ActorOperator ActorKind = "operator" // the command line: apply, migrate, dev
	ActorSystem   ActorKind = "system"
)

// Actor is who does what is done under this context; audit events record it.
type Actor struct {
	Kind ActorKind
	ID   string
}

type (
	scopeKey   struct{}
	actorKey   struct{}
	requestKey struct{}
)

// With returns a context under tenant scope s.
func With(ctx context.Context, s Scope) context.Context { return carry[scopeKey](ctx, s) }

// From returns the scope of ctx, or an Internal error when there is none: code below a missing scope must not run.
func From(ctx context.Context) (Scope, error) {
	s, ok := carried[scopeKey, Scope](ctx)
	if !ok || s.TenantID == "" {
		return Scope{}, errs.New(errs.Internal, "no tenant scope in context")
	}
	return s, nil
}

// WithActor returns a context in which a acts.
func WithActor(ctx context.Context, a Actor) context.Context {
	return carry[actorKey](ctx, a)
}

// ActorFrom returns who acts under ctx, ActorSystem when nobody was named.
func ActorFrom(ctx context.Context) Actor {
	if a, ok := carried[actorKey, Actor](ctx); ok {
		return a
	}
	return Actor{Kind: ActorSystem}
}

// WithRequestID returns a context carrying the id that logs and error pages show.
func WithRequestID(ctx context.Context, id string) context.Context {
	return carry[requestKey](ctx, id)
}

// RequestID returns the request id of ctx, empty outside a request.
func RequestID(ctx context.Context) string {
	id, _ := carried[requestKey, string](ctx)
	return id
}
