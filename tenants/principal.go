package tenants

import (
	"context"

	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/scope"
)

// Role says what a member may do.
type Role string

// The roles, from all to least.
const (
	RoleOwner  Role = "owner"
	RoleAdmin  Role = "admin"
	RoleEditor Role = "editor"
	RoleViewer Role = "viewer"
)

// Valid reports whether r is one of the roles.
func (r Role) Valid() bool { return r == RoleOwner || r == RoleAdmin || CanView(r) }

// CanView reports whether a member with this role may look at the tenant's servers.
func CanView(r Role) bool { return r == RoleViewer || CanEdit(r) }

// CanEdit reports whether a member with this role may change and publish servers, permissions and wording.
func CanEdit(r Role) bool { return r == RoleEditor || CanManage(r) }

// CanManage reports whether a member with this role may change environments, users and members.
func CanManage(r Role) bool { return r == RoleOwner || r == RoleAdmin }

// Principal is the signed-in member that acts.
type Principal struct {
	TenantID string
	MemberID string
	Role     Role
}

type principalKey struct{}

// WithMember returns a context in which m acts, under the scope of m's tenant.
func WithMember(ctx context.Context, m Member) context.Context {
	ctx = context.WithValue(ctx, principalKey{}, Principal{TenantID: m.TenantID, MemberID: m.ID, Role: m.Role})
	ctx = scope.WithActor(ctx, scope.Actor{Kind: scope.ActorMember, ID: m.ID})
	return scope.With(ctx, scope.Scope{TenantID: m.TenantID})
}

// AuthorizeView returns an error unless the actor of ctx may look at the tenant of ctx.
// Errors: errs.Forbidden, errs.Unauthenticated when nobody acts.
func AuthorizeView(ctx context.Context) error { return authorize(ctx, CanView) }

// AuthorizeEdit returns an error unless the actor of ctx may change servers of the tenant of ctx. Errors as AuthorizeView.
func AuthorizeEdit(ctx context.Context) error { return authorize(ctx, CanEdit) }

// AuthorizeManage returns an error unless the actor of ctx may change environments, users and members of the tenant of
// ctx. Errors as AuthorizeView.
func AuthorizeManage(ctx context.Context) error { return authorize(ctx, CanManage) }

// AuthorizeOperator returns an error unless the command line acts. Errors: errs.Forbidden.
func AuthorizeOperator(ctx context.Context) error {
	if scope.ActorFrom(ctx).Kind != scope.ActorOperator {
		return errs.New(errs.Forbidden, "Only the operator may do this.")
	}
	return nil
}

func authorize(ctx context.Context, can func(Role) bool) error {
	s, err := scope.From(ctx)
	if err != nil {
		return err
	}
	actor := scope.ActorFrom(ctx)
	switch actor.Kind {
	case scope.ActorOperator:
		return nil
	case scope.ActorMember:
		p, ok := ctx.Value(principalKey{}).(Principal)
		if ok && p.MemberID == actor.ID && p.TenantID == s.TenantID && can(p.Role) {
			return nil
		}
		return errs.New(errs.Forbidden, "Your role does not allow this. An owner or admin can change your role.")
	case scope.ActorUser, scope.ActorClient, scope.ActorSystem:
	}
	return errs.New(errs.Forbidden, "This is for members of the workspace.")
}
