package directory

import (
	"context"
	"time"

	"github.com/ostiary/ostiary/app/audit"
	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/scope"
	"github.com/ostiary/ostiary/app/secret"
	"github.com/ostiary/ostiary/tenants"
	"github.com/ostiary/ostiary/tenants/attempts"
	"github.com/ostiary/ostiary/tenants/check"
	"github.com/ostiary/ostiary/tenants/rows"
)

const maxName = 120

// User is a person who signs in during an authorization.
type User struct {
	ID               string
	Email            string
	EmailVerified    bool
	Name             string
	OrganizationID   string // empty for a user without organization
	OrganizationName string
	HasPassword      bool
	CreatedAt        time.Time
	DisabledAt       *time.Time
}

// base is what both services have.
type base struct {
	deps  tenants.Deps
	audit *audit.Recorder
}

func newBase(d tenants.Deps) base {
	return base{deps: d, audit: audit.NewRecorder(audit.Deps{DB: d.DB, Now: d.Now})}
}

// now is the time of one use case, in the resolution that Postgres keeps.
func (b base) now() time.Time { return b.deps.Now().UTC().Truncate(time.Microsecond) }

// environmentScope returns the scope of ctx, which must name an environment.
func environmentScope(ctx context.Context) (scope.Scope, error) {
	s, err := scope.From(ctx)
	if err == nil && s.EnvironmentID == "" {
		err = errs.New(errs.Internal, "no environment in scope")
	}
	return s, err
}

// Users serves the users of the environment in the context.
type Users struct {
	base
	guard *attempts.Guard
}

// NewUsers returns the service.
func NewUsers(d tenants.Deps) *Users {
	return &Users{base: newBase(d), guard: attempts.NewGuard(d.DB)}
}

// NewUser is a user to be created.
type NewUser struct {
	Email          string
	EmailVerified  bool
	Name           string
	OrganizationID string
	Password       string // may be empty: the user cannot sign in with a password then
	PasswordHash   string // argon2id PHC string, in place of Password
}

// Validate returns what is wrong with the user.
func (n NewUser) Validate() check.Problems {
	var p check.Problems
	p.Add("email", check.Email(check.NormalEmail(n.Email)))
	p.Add("name", check.Text(n.Name, maxName))
	if n.Password != "" {
		p.Add("password", check.Password(n.Password))
	}
	if n.PasswordHash != "" {
		p.Add("password_hash", check.PasswordHash(n.PasswordHash))
		if n.Password != "" {
			p.Add("password_hash", "Give a password or its hash, not both.")
		}
	}
	return p
}

// Create adds a user. Errors: errs.Invalid, errs.Conflict when the e-mail address is taken, errs.NotFound for the
// organization, errs.Forbidden.
func (u *Users) Create(ctx context.Context, n NewUser) (User, error) {
	if err := tenants.AuthorizeManage(ctx); err != nil {
		return User{}, err
	}
	sc, err := environmentScope(ctx)
	if err != nil {
		return User{}, err
	}
	if err := n.Validate().Err(); err != nil {
		return User{}, err
	}
	hash, err := u.hash(ctx, n.Password, n.PasswordHash)
	if err != nil {
		return User{}, err
	}
	created := User{
		ID: secret.NewID("usr"), Email: check.NormalEmail(n.Email), EmailVerified: n.EmailVerified, Name: n.Name,
		OrganizationID: n.OrganizationID, HasPassword: hash != "", CreatedAt: u.now(),
	}
	err = u.inTenant(ctx, func(ctx context.Context) error {
		if created.OrganizationName, err = u.organizationName(ctx, sc, n.OrganizationID); err != nil {
			return err
		}
		if err := u.insertUser(ctx, sc, created, hash); err != nil {
			return err
		}
		return u.audit.Record(ctx, userEvent("user.created", created))
	})
	if rows.Violates(err, "users_tenant_id_environment_id_email_key") {
		return User{}, &errs.Error{
			Kind: errs.Conflict, Code: "email_taken", Msg: "There is a user with this e-mail address already.",
			Fields: map[string]string{"email": "There is a user with this address already."},
		}
	}
	return created, err
}

func (u *Users) hash(ctx context.Context, password, hash string) (string, error) {
	if password == "" {
		return hash, nil
	}
	return u.deps.Passwords.Hash(ctx, password)
}

func userEvent(action string, user User) audit.Event {
	return audit.Event{Action: action, TargetKind: "user", TargetID: user.ID, Detail: map[string]any{"email": user.Email}}
}

// Get returns the user with this id. The issuer calls it. Errors: errs.NotFound.
func (u *Users) Get(ctx context.Context, id string) (User, error) {
	sc, err := environmentScope(ctx)
	if err != nil {
		return User{}, err
	}
	return u.loadUser(ctx, sc, id)
}

// UserUpdate is what can be changed about a user.
type UserUpdate struct {
	Name           string
	EmailVerified  bool
	OrganizationID string
	Password       string // kept when empty
	PasswordHash   string // in place of Password
}

// Update changes a user. Errors: errs.Invalid, errs.NotFound, errs.Forbidden.
func (u *Users) Update(ctx context.Context, id string, c UserUpdate) (User, error) {
	if err := tenants.AuthorizeManage(ctx); err != nil {
		return User{}, err
	}
	sc, err := environmentScope(ctx)
	if err != nil {
		return User{}, err
	}
	valid := NewUser{Email: "checked@when.created", Name: c.Name, Password: c.Password, PasswordHash: c.PasswordHash}
	if err := valid.Validate().Err(); err != nil {
		return User{}, err
	}
	hash, err := u.hash(ctx, c.Password, c.PasswordHash)
	if err != nil {
		return User{}, err
	}
	var user User
	err = u.inTenant(ctx, func(ctx context.Context) error {
		if user, err = u.loadUser(ctx, sc, id); err != nil {
			return err
		}
		user.Name, user.EmailVerified, user.OrganizationID = c.Name, c.EmailVerified, c.OrganizationID
		user.HasPassword = user.HasPassword || hash != ""
		if user.OrganizationName, err = u.organizationName(ctx, sc, c.OrganizationID); err != nil {
			return err
		}
		if err := u.updateUser(ctx, sc, user, hash); err != nil {
			return err
		}
		return u.audit.Record(ctx, userEvent("user.updated", user))
	})
	return user, err
}

// Disable keeps a user from signing in and ends the user's sessions; with disabled false it lets the user in again.
// Errors: errs.NotFound, errs.Forbidden.
func (u *Users) Disable(ctx context.Context, id string, disabled bool) error {
	if err := tenants.AuthorizeManage(ctx); err != nil {
		return err
	}
	sc, err := environmentScope(ctx)
	if err != nil {
		return err
	}
	return u.inTenant(ctx, func(ctx context.Context) error {
		user, err := u.loadUser(ctx, sc, id)
		if err != nil || (user.DisabledAt != nil) == disabled {
			return err
		}
		action, at := "user.enabled", (*time.Time)(nil)
		if disabled {
			now := u.now()
			action, at = "user.disabled", &now
		}
		if err := u.disableUser(ctx, sc, id, at); err != nil {
			return err
		}
		return u.audit.Record(ctx, userEvent(action, user))
	})
}

// Filter narrows and pages a list.
type Filter struct {
	Search string // in name or e-mail address
	Limit  int    // 20 when zero, at most 100
	Offset int
}

// List returns users by e-mail address, and how many there are in all. Errors: errs.Forbidden.
func (u *Users) List(ctx context.Context, f Filter) ([]User, int, error) {
	if err := tenants.AuthorizeView(ctx); err != nil {
		return nil, 0, err
	}
	sc, err := environmentScope(ctx)
	if err != nil {
		return nil, 0, err
	}
	if f.Limit <= 0 {
		f.Limit = 20
	}
	f.Limit, f.Offset = min(f.Limit, 100), max(f.Offset, 0)
	return u.listUsers(ctx, sc, f)
}

// Account is a user and what the sign-in is checked against.
type Account struct {
	User
	hash string
}

// Hash returns the hash of the account's password, "" when it has none.
func (a Account) Hash() string { return a.hash }

// PasswordIs reports whether the account's password is password.
func (u *Users) PasswordIs(ctx context.Context, a Account, password string) (bool, error) {
	return u.deps.Passwords.Verify(ctx, password, a.hash)
}

// Accounts returns the users with these e-mail addresses, by address. Only the operator may ask. Errors: errs.Forbidden.
func (u *Users) Accounts(ctx context.Context, emails []string) (map[string]Account, error) {
	if err := tenants.AuthorizeOperator(ctx); err != nil {
		return nil, err
	}
	sc, err := environmentScope(ctx)
	if err != nil {
		return nil, err
	}
	return u.listAccounts(ctx, sc, emails)
}
