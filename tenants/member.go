package tenants

import (
	"context"
	"time"

	"github.com/ostiary/ostiary/app/audit"
	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/scope"
	"github.com/ostiary/ostiary/app/secret"
	"github.com/ostiary/ostiary/tenants/attempts"
	"github.com/ostiary/ostiary/tenants/check"
	"github.com/ostiary/ostiary/tenants/rows"
)

// Member is a person who may use a tenant's dashboard.
type Member struct {
	TenantID   string
	TenantName string
	ID         string
	Email      string
	Name       string
	Role       Role
	CreatedAt  time.Time
	DisabledAt *time.Time
}

// Credentials are what somebody typed into a sign-in page, and where from.
type Credentials struct {
	Email    string
	Password string
	Address  string // remote IP address, as the web edge sees it
}

// Members serves the members of tenants and their sign-in.
type Members struct {
	base
	attempts *attempts.Memory
}

// NewMembers returns the service. Make one per process: it counts sign-in attempts.
func NewMembers(d Deps) *Members { return &Members{base: newBase(d), attempts: attempts.NewMemory()} }

// NewMember is a member to be created.
type NewMember struct {
	Email    string
	Name     string
	Role     Role
	Password string // may be empty: the member cannot sign in with a password then
}

// Validate returns what is wrong with the member.
func (n NewMember) Validate() check.Problems {
	var p check.Problems
	p.Add("email", check.Email(check.NormalEmail(n.Email)))
	p.Add("name", check.Text(n.Name, 120))
	if !n.Role.Valid() {
		p.Add("role", "Choose owner, admin, editor or viewer.")
	}
	if n.Password != "" {
		p.Add("password", check.Password(n.Password))
	}
	return p
}

// Create adds a member to the tenant in ctx. Only owners make owners. Errors: errs.Invalid, errs.Conflict when the e-mail
// address is a member already, errs.Forbidden.
func (s *Members) Create(ctx context.Context, n NewMember) (Member, error) {
	if err := authorizeRole(ctx, n.Role); err != nil {
		return Member{}, err
	}
	sc, err := scope.From(ctx)
	if err != nil {
		return Member{}, err
	}
	if err := n.Validate().Err(); err != nil {
		return Member{}, err
	}
	hash, err := s.hash(ctx, n.Password)
	if err != nil {
		return Member{}, err
	}
	m := Member{
		TenantID: sc.TenantID, ID: secret.NewID("mem"), Email: check.NormalEmail(n.Email), Name: n.Name, Role: n.Role,
		CreatedAt: s.now(),
	}
	err = s.inTenant(ctx, func(ctx context.Context) error {
		if err := s.insertMember(ctx, m, hash); err != nil {
			return err
		}
		return s.audit.Record(ctx, memberEvent("member.created", m))
	})
	if rows.Violates(err, "members_tenant_id_email_key") {
		return Member{}, &errs.Error{
			Kind: errs.Conflict, Code: "email_taken", Msg: "This person is a member already.",
			Fields: map[string]string{"email": "This person is a member already."},
		}
	}
	return m, err
}

func authorizeRole(ctx context.Context, r Role) error {
	if r == RoleOwner {
		return authorize(ctx, func(actor Role) bool { return actor == RoleOwner })
	}
	return AuthorizeManage(ctx)
}

func (s *Members) hash(ctx context.Context, password string) (string, error) {
	if password == "" {
		return "", nil
	}
	return s.deps.Passwords.Hash(ctx, password)
}

func memberEvent(action string, m Member) audit.Event {
	return audit.Event{
		Action: action, TargetKind: "member", TargetID: m.ID,
		Detail: map[string]any{"email": m.Email, "role": string(m.Role)},
	}
}

// MemberUpdate is what can be changed about a member.
type MemberUpdate struct {
	Name     string
	Role     Role
	Password string // kept when empty
	Disabled bool
}

// Update changes a member. A new password or disabling ends the member's sessions. Only owners change owners, and the last
// enabled owner stays one. Errors: errs.Invalid, errs.Conflict for the last owner, errs.NotFound, errs.Forbidden.
func (s *Members) Update(ctx context.Context, id string, u MemberUpdate) (Member, error) {
	if err := authorizeRole(ctx, u.Role); err != nil {
		return Member{}, err
	}
	sc, err := scope.From(ctx)
	if err != nil {
		return Member{}, err
	}
	valid := NewMember{Email: "checked@when.created", Name: u.Name, Role: u.Role, Password: u.Password}
	if err := valid.Validate().Err(); err != nil {
		return Member{}, err
	}
	hash, err := s.hash(ctx, u.Password)
	if err != nil {
		return Member{}, err
	}
	var m Member
	err = s.inTenant(ctx, func(ctx context.Context) error {
		m, err = s.updateLocked(ctx, sc, id, u, hash)
		return err
	})
	return m, err
}

func (s *Members) updateLocked(
	ctx context.Context, sc scope.Scope, id string, u MemberUpdate, hash string,
) (Member, error) {
	owners, m, err := s.lockMembers(ctx, sc, id)
	if err != nil {
		return Member{}, err
	}
	if err := authorizeRole(ctx, m.Role); err != nil {
		return Member{}, err
	}
	if m.Role == RoleOwner && m.DisabledAt == nil && owners == 1 && (u.Role != RoleOwner || u.Disabled) {
		return Member{}, errs.New(errs.Conflict, "This is the only owner. Make somebody else an owner first.")
	}
	m.Name, m.Role = u.Name, u.Role
	switch {
	case !u.Disabled:
		m.DisabledAt = nil
	case m.DisabledAt == nil:
		now := s.now()
		m.DisabledAt = &now
	}
	if err := s.updateMember(ctx, sc, m, hash); err != nil {
		return Member{}, err
	}
	if hash != "" || u.Disabled {
		if err := s.endMemberSessions(ctx, sc, id); err != nil {
			return Member{}, err
		}
	}
	return m, s.audit.Record(ctx, memberEvent("member.updated", m))
}

// List returns the members of the tenant in ctx by e-mail address. Errors: errs.Forbidden.
func (s *Members) List(ctx context.Context) ([]Member, error) {
	if err := AuthorizeView(ctx); err != nil {
		return nil, err
	}
	sc, err := scope.From(ctx)
	if err != nil {
		return nil, err
	}
	return s.listMembers(ctx, sc)
}

// MemberAccount is a member and what the sign-in is checked against.
type MemberAccount struct {
	Member
	hash string
}

// Hash returns the hash of the account's password, "" when it has none.
func (a MemberAccount) Hash() string { return a.hash }

// PasswordIs reports whether the account's password is password.
func (s *Members) PasswordIs(ctx context.Context, a MemberAccount, password string) (bool, error) {
	return s.deps.Passwords.Verify(ctx, password, a.hash)
}

// Accounts returns all members of the tenant in ctx by e-mail address. Only the operator may ask. Errors: errs.Forbidden.
func (s *Members) Accounts(ctx context.Context) (map[string]MemberAccount, error) {
	if err := AuthorizeOperator(ctx); err != nil {
		return nil, err
	}
	sc, err := scope.From(ctx)
	if err != nil {
		return nil, err
	}
	return s.listAccounts(ctx, sc)
}
