package directory

import (
	"context"
	"time"

	"github.com/ostiary/ostiary/tenants"
)

// User is a person who signs in during an authorization.
type User struct {
	ID               string
	Email            string
	EmailVerified    bool
	Name             string
	OrganizationID   string // empty for a user without organization
	OrganizationName string
	CreatedAt        time.Time
	DisabledAt       *time.Time
}

// Users serves the users of the environment in the context.
type Users struct{ tenants.Deps }

// NewUsers returns the service.
func NewUsers(d tenants.Deps) *Users { return &Users{Deps: d} }

// Attempt is what somebody typed into a sign-in page, and where from.
type Attempt struct {
	Email    string
	Password string
	Address  string // remote IP address, as the web edge sees it
}

// Authenticate returns the user whose e-mail address and password these are. The issuer calls it.
//
// Errors: errs.Unauthenticated, the same after the same work whether the user is unknown, disabled, without a password or
// mistyped it; errs.RateLimited, see attempts.RetryAfter. Do not call it in an open transaction: it counts first and
// must keep the count.
func (u *Users) Authenticate(ctx context.Context, a Attempt) (User, error) {
	panic("not written yet")
}

// Get returns the user with this id. The issuer calls it. Errors: errs.NotFound.
func (u *Users) Get(ctx context.Context, id string) (User, error) {
	panic("not written yet")
}
