package directory

import (
	"context"
	"time"

	"gorm.io/gorm"

	"github.com/ostiary/ostiary/app/scope"
	"github.com/ostiary/ostiary/tenants/rows"
)

func (b base) inTenant(ctx context.Context, fn func(ctx context.Context) error) error {
	return rows.InTenant(ctx, b.deps.DB, fn)
}

func (b base) tx(ctx context.Context, fn func(tx *gorm.DB) error) error {
	return rows.Tx(ctx, b.deps.DB, fn)
}

type userRow struct {
	TenantID       string
	EnvironmentID  string
	ID             string
	Email          string
	EmailVerified  bool
	Name           string
	PasswordHash   *string
	OrganizationID *string
	CreatedAt      time.Time
	DisabledAt     *time.Time
}

func (userRow) TableName() string { return "users" }

// joinedUser is a user with the name of the organization.
type joinedUser struct {
	Row              userRow `gorm:"embedded"`
	OrganizationName string
	Total            int
}

func (r joinedUser) user() User {
	u := User{
		ID: r.Row.ID, Email: r.Row.Email, EmailVerified: r.Row.EmailVerified, Name: r.Row.Name,
		OrganizationName: r.OrganizationName,
		HasPassword:      r.Row.PasswordHash != nil, CreatedAt: r.Row.CreatedAt.UTC(), DisabledAt: r.Row.DisabledAt,
	}
	if r.Row.OrganizationID != nil {
		u.OrganizationID = *r.Row.OrganizationID
	}
	return u
}

func users(tx *gorm.DB, sc scope.Scope, columns string) *gorm.DB {
	return tx.Table("users u").Select(columns+", coalesce(o.name, '') as organization_name").
		Joins(`left join organizations o on o.tenant_id = u.tenant_id and o.environment_id = u.environment_id
			and o.id = u.organization_id`).
		Where("u.tenant_id = ? and u.environment_id = ?", sc.TenantID, sc.EnvironmentID)
}

// loadUser returns the user with this id.
func (u *Users) loadUser(ctx context.Context, sc scope.Scope, id string) (User, error) {
	var row joinedUser
	err := u.tx(ctx, func(tx *gorm.DB) error { return users(tx, sc, "u.*").Where("u.id = ?", id).Take(&row).Error })
	if err != nil {
		return User{}, rows.NotFound(err, "There is no such user.")
	}
	return row.user(), nil
}

func (u *Users) insertUser(ctx context.Context, sc scope.Scope, user User, hash string) error {
	return u.tx(ctx, func(tx *gorm.DB) error {
		return tx.Create(&userRow{
			TenantID: sc.TenantID, EnvironmentID: sc.EnvironmentID, ID: user.ID, Email: user.Email,
			EmailVerified: user.EmailVerified, Name: user.Name, PasswordHash: rows.Optional(hash),
			OrganizationID: rows.Optional(user.OrganizationID), CreatedAt: user.CreatedAt,
		}).Error
	})
}

// updateUser also revokes what the user allowed as a member of an organization they are not in any more: tokens name it.
func (u *Users) updateUser(ctx context.Context, sc scope.Scope, user User, hash string) error {
	set := map[string]any{
		"name": user.Name, "email_verified": user.EmailVerified, "organization_id": rows.Optional(user.OrganizationID),
	}
	if hash != "" {
		set["password_hash"] = hash
	}
	return u.tx(ctx, func(tx *gorm.DB) error {
		err := tx.Model(&userRow{}).Scopes(rows.Within(sc)).Where("id = ?", user.ID).Updates(set).Error
		if err != nil {
			return err
		}
		return tx.Exec(`update grants set revoked_at = ?, revoked_reason = 'organization_changed'
			where tenant_id = ? and environment_id = ? and user_id = ? and revoked_at is null and organization_id is distinct from ?`,
			u.now(), sc.TenantID, sc.EnvironmentID, user.ID, rows.Optional(user.OrganizationID)).Error
	})
}

// disableUser also ends the user's sessions at the issuer: signing in again is what enabling allows.
func (u *Users) disableUser(ctx context.Context, sc scope.Scope, id string, at *time.Time) error {
	return u.tx(ctx, func(tx *gorm.DB) error {
		err := tx.Model(&userRow{}).Scopes(rows.Within(sc)).Where("id = ?", id).Update("disabled_at", at).Error
		if err != nil || at == nil {
			return err
		}
		return tx.Exec(`delete from sessions where tenant_id = ? and environment_id = ? and user_id = ?`,
			sc.TenantID, sc.EnvironmentID, id).Error
	})
}

func (u *Users) listUsers(ctx context.Context, sc scope.Scope, f Filter) ([]User, int, error) {
	var found []joinedUser
	err := u.tx(ctx, func(tx *gorm.DB) error {
		q := users(tx, sc, "u.*, count(*) over () as total")
		if f.Search != "" {
			like := rows.Like(f.Search)
			q = q.Where("(u.name ilike ? or u.email ilike ?)", like, like)
		}
		return q.Order("u.email").Limit(f.Limit).Offset(f.Offset).Scan(&found).Error
	})
	if err != nil || len(found) == 0 {
		return nil, 0, err
	}
	list := make([]User, len(found))
	for i, row := range found {
		list[i] = row.user()
	}
	return list, found[0].Total, nil
}

func (u *Users) listAccounts(ctx context.Context, sc scope.Scope, emails []string) (map[string]Account, error) {
	var found []joinedUser
	err := u.tx(ctx, func(tx *gorm.DB) error {
		return users(tx, sc, "u.*").Where("u.email in ?", emails).Scan(&found).Error
	})
	accounts := make(map[string]Account, len(found))
	for _, row := range found {
		a := Account{User: row.user()}
		if row.Row.PasswordHash != nil {
			a.hash = *row.Row.PasswordHash
		}
		accounts[row.Row.Email] = a
	}
	return accounts, err
}
