package directory

import (
	"context"

	"github.com/ostiary/ostiary/app/audit"
	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/scope"
	"github.com/ostiary/ostiary/tenants"
	"github.com/ostiary/ostiary/tenants/attempts"
	"github.com/ostiary/ostiary/tenants/check"
)

// Authenticate returns the user whose e-mail address and password these are. The issuer calls it.
//
// Errors: errs.Unauthenticated, the same after the same work whether the user is unknown, disabled, without a password or
// mistyped it; errs.RateLimited, see attempts.RetryAfter. Do not call it in an open transaction: it counts first and must
// keep the count.
func (u *Users) Authenticate(ctx context.Context, c tenants.Credentials) (User, error) {
	sc, err := environmentScope(ctx)
	if err != nil {
		return User{}, err
	}
	try := attempts.Attempt{Space: sc.EnvironmentID, Email: check.NormalEmail(c.Email), Address: c.Address}
	if err := u.attempts.Count(ctx, try, u.now()); err != nil {
		return User{}, err
	}
	user, hash, err := u.loadUser(ctx, sc, "u.email = ?", try.Email)
	if err != nil && !errs.Is(err, errs.NotFound) {
		return User{}, err
	}
	if len(c.Password) > check.MaxPassword {
		c.Password, hash = "", "" // as much work as for anybody, and no match
	}
	// An empty hash is compared with a decoy: the answer takes as long for nobody as for somebody.
	matches, err := u.deps.Passwords.Verify(ctx, c.Password, hash)
	if err != nil {
		return User{}, err
	}
	ok := matches && user.ID != "" && user.DisabledAt == nil
	if err := u.signedIn(ctx, ok, user.ID, try); err != nil {
		return User{}, err
	}
	return user, nil
}

// signedIn records the outcome of an attempt, in one transaction either way.
func (u *Users) signedIn(ctx context.Context, ok bool, userID string, try attempts.Attempt) error {
	if !ok {
		err := u.audit.Record(ctx, audit.Event{Action: "user.sign_in_failed", TargetKind: "user", TargetID: userID})
		if err != nil {
			return err
		}
		return errs.New(errs.Unauthenticated, "That e-mail and password do not match.")
	}
	ctx = scope.WithActor(ctx, scope.Actor{Kind: scope.ActorUser, ID: userID})
	return u.inTenant(ctx, func(ctx context.Context) error {
		if err := u.attempts.Succeeded(ctx, try, u.now()); err != nil {
			return err
		}
		return u.audit.Record(ctx, audit.Event{Action: "user.signed_in", TargetKind: "user", TargetID: userID})
	})
}
