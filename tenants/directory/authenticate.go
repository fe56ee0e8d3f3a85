package directory

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ostiary/ostiary/app/audit"
	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/scope"
	"github.com/ostiary/ostiary/tenants"
	"github.com/ostiary/ostiary/tenants/attempts"
	"github.com/ostiary/ostiary/tenants/check"
)

// recordTimeout bounds recording a failure, which goes on when whoever failed hangs up: else hanging up would be a way not to be
// counted.
const recordTimeout = 5 * time.Second

// Record puts on a batch what begins with a sign-in, and the audit event of it.
type Record func(ctx context.Context, b *pgx.Batch, user User, event audit.Event) error

// Authenticate returns the user whose e-mail address and password these are. The issuer calls it. What record queues is written
// in the transaction that records the sign-in; without one that is the event alone. Reading is one round trip, recording another.
//
// Errors: errs.Unauthenticated, the same after the same work whether the user is unknown, disabled, without a password or
// mistyped it; errs.RateLimited, see attempts.RetryAfter; errors of record. Do not call it in an open transaction: it counts
// failures and must keep the count.
func (u *Users) Authenticate(ctx context.Context, c tenants.Credentials, record Record) (User, error) {
	sc, err := environmentScope(ctx)
	if err != nil {
		return User{}, err
	}
	email := check.NormalEmail(c.Email)
	try := u.guard.Try(sc.TenantID, attempts.Attempt{Space: sc.EnvironmentID, Email: email, Address: c.Address}, u.now())
	defer try.End()
	user, hash, err := u.selectCandidate(ctx, sc, email, try)
	if err != nil {
		return User{}, err
	}
	if err := try.Admit(ctx); err != nil {
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
	if !matches || user.ID == "" || user.DisabledAt != nil {
		return User{}, u.signInFailed(ctx, user.ID, try)
	}
	ctx = scope.WithActor(ctx, scope.Actor{Kind: scope.ActorUser, ID: user.ID})
	// A crash can lose a sign-in, and its record with it, but none that led to something: that is committed later, and durably.
	err = u.deps.DB.SendSoon(ctx, func(b *pgx.Batch) error {
		try.QueueSucceeded(b)
		event := audit.Event{Action: "user.signed_in", TargetKind: "user", TargetID: user.ID}
		if record != nil {
			return record(ctx, b, user, event)
		}
		return audit.Queue(ctx, b, u.now(), event)
	})
	if err != nil {
		return User{}, err
	}
	return user, nil
}

// signInFailed counts and records a failure, and returns what everybody hears who fails.
func (u *Users) signInFailed(ctx context.Context, userID string, try *attempts.Try) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	err := u.deps.DB.Send(ctx, func(b *pgx.Batch) error {
		try.QueueFailed(b)
		return audit.Queue(ctx, b, u.now(), audit.Event{Action: "user.sign_in_failed", TargetKind: "user", TargetID: userID})
	})
	if err != nil {
		return err
	}
	return errs.New(errs.Unauthenticated, "That e-mail and password do not match.")
}
