package tenants

import (
	"context"

	"github.com/ostiary/ostiary/app/audit"
	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/scope"
	"github.com/ostiary/ostiary/tenants/attempts"
	"github.com/ostiary/ostiary/tenants/check"
)

// maxLogins bounds how many tenants one e-mail address is tried in: each costs one password computation.
const maxLogins = 8

// Authenticate returns the member whose e-mail address and password these are. The tenant is not known before: somebody
// who is a member of several with one password signs in to the first.
//
// Errors: errs.Unauthenticated, the same after the same work whether the member is unknown, disabled, without a password or
// mistyped it; errs.RateLimited, see attempts.RetryAfter.
func (s *Members) Authenticate(ctx context.Context, c Credentials) (Member, error) {
	try := attempts.Attempt{Space: "members", Email: check.NormalEmail(c.Email), Address: c.Address}
	if err := s.attempts.Count(try, s.now()); err != nil {
		return Member{}, err
	}
	if len(c.Password) > check.MaxPassword || check.Email(try.Email) != "" {
		c.Password, try.Email = "", "" // still does the work below, and cannot match
	}
	logins, err := s.findLogins(ctx, try.Email)
	if err != nil {
		return Member{}, err
	}
	for _, login := range logins {
		m, ok, err := s.verify(ctx, login, c.Password)
		if err != nil {
			return Member{}, err
		}
		if ok {
			s.attempts.Succeeded(try)
			return m, nil
		}
	}
	if len(logins) == 0 {
		if _, err := s.deps.Passwords.Verify(ctx, c.Password, ""); err != nil {
			return Member{}, err
		}
	}
	return Member{}, badCredentials()
}

func badCredentials() error {
	return errs.New(errs.Unauthenticated, "That e-mail and password do not match.")
}

// verify checks the password of one membership and records the outcome in its tenant.
func (s *Members) verify(ctx context.Context, login login, password string) (Member, bool, error) {
	ctx = scope.With(ctx, scope.Scope{TenantID: login.TenantID})
	m, hash, err := s.loadMember(ctx, login)
	if err != nil && !errs.Is(err, errs.NotFound) {
		return Member{}, false, err
	}
	matches, err := s.deps.Passwords.Verify(ctx, password, hash)
	if err != nil {
		return Member{}, false, err
	}
	ok := matches && m.ID != "" && m.DisabledAt == nil
	event := audit.Event{Action: "member.sign_in_failed", TargetKind: "member", TargetID: login.MemberID}
	if ok {
		event.Action = "member.signed_in"
		ctx = scope.WithActor(ctx, scope.Actor{Kind: scope.ActorMember, ID: m.ID})
	}
	return m, ok, s.audit.Record(ctx, event)
}
