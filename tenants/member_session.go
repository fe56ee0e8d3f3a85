package tenants

import (
	"context"
	"strings"
	"time"

	"github.com/ostiary/ostiary/app/audit"
	"github.com/ostiary/ostiary/app/db"
	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/scope"
	"github.com/ostiary/ostiary/app/secret"
)

// MemberSessionLifetime is how long a dashboard sign-in lasts.
const MemberSessionLifetime = 12 * time.Hour

// MemberSessions serves dashboard sign-ins. A session is named by an opaque value, the tenant's id and a random token; only
// the token's hash is kept.
type MemberSessions struct{ base }

// NewMemberSessions returns the service.
func NewMemberSessions(d Deps) *MemberSessions { return &MemberSessions{newBase(d)} }

// Create signs m in and returns the value for the cookie and when it ends.
func (s *MemberSessions) Create(ctx context.Context, m Member) (value string, expires time.Time, err error) {
	token, now := secret.NewToken(), s.now()
	expires = now.Add(MemberSessionLifetime)
	ctx = WithMember(ctx, m)
	err = s.inTenant(ctx, func(ctx context.Context) error {
		return s.insertMemberSession(ctx, m, secret.Hash(token), now, expires)
	})
	return m.TenantID + "." + token, expires, err
}

// Get returns the member whose session this is. Errors: errs.Unauthenticated for every value that is not a live session of
// an enabled member.
func (s *MemberSessions) Get(ctx context.Context, value string) (Member, error) {
	ctx, hash, err := sessionScope(ctx, value)
	if err != nil {
		return Member{}, err
	}
	m, err := s.loadSessionMember(ctx, hash, s.now())
	if errs.Is(err, errs.NotFound) {
		return Member{}, signedOut()
	}
	return m, err
}

// End signs a session out. Ending what is not a session is no error.
func (s *MemberSessions) End(ctx context.Context, value string) error {
	ctx, hash, err := sessionScope(ctx, value)
	if err != nil {
		return nil //nolint:nilerr // a value that names no session has nothing to end
	}
	return s.inTenant(ctx, func(ctx context.Context) error {
		memberID, err := s.deleteMemberSession(ctx, hash)
		if err != nil || memberID == "" {
			return err
		}
		ctx = scope.WithActor(ctx, scope.Actor{Kind: scope.ActorMember, ID: memberID})
		return s.audit.Record(ctx, audit.Event{Action: "member.signed_out", TargetKind: "member", TargetID: memberID})
	})
}

// Sweep deletes the ended sessions of the tenant in ctx and returns how many. A job calls it. Errors: errs.Unavailable.
func (s *MemberSessions) Sweep(ctx context.Context) (int, error) {
	return s.deps.DB.Sweep(ctx, db.Expired{Table: "member_sessions", Column: "expires_at", Before: s.now()})
}

func signedOut() error { return errs.New(errs.Unauthenticated, "Sign in to continue.") }

// sessionScope reads a cookie's value. The tenant it names is only a place to look: without the token's hash there, no row
// is found, and row-level security shows no other tenant's.
func sessionScope(ctx context.Context, value string) (context.Context, []byte, error) {
	tenantID, token, ok := strings.Cut(value, ".")
	if !ok || !strings.HasPrefix(tenantID, "ten_") || len(tenantID) != 30 || len(token) != 43 {
		return nil, nil, signedOut()
	}
	return scope.With(ctx, scope.Scope{TenantID: tenantID}), secret.Hash(token), nil
}
