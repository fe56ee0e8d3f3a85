package tenants

import (
	"context"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/ostiary/ostiary/app/scope"
	"github.com/ostiary/ostiary/tenants/rows"
)

type memberRow struct {
	TenantID     string
	ID           string
	Email        string
	Name         string
	Role         string
	PasswordHash *string
	CreatedAt    time.Time
	DisabledAt   *time.Time
}

func (memberRow) TableName() string { return "members" }

func (r memberRow) member(tenantName string) Member {
	return Member{
		TenantID: r.TenantID, TenantName: tenantName, ID: r.ID, Email: r.Email, Name: r.Name, Role: Role(r.Role),
		CreatedAt: r.CreatedAt.UTC(), DisabledAt: r.DisabledAt,
	}
}

// login says in which tenant an e-mail address is a member.
type login struct {
	TenantID string
	MemberID string
}

// findLogins reads the routing table before a tenant is known.
func (s *Members) findLogins(ctx context.Context, email string) ([]login, error) {
	var logins []login
	err := s.deps.DB.Platform(ctx, func(tx *gorm.DB) error {
		return tx.Table("member_logins").Select("tenant_id, member_id").Where("email = ?", email).
			Order("tenant_id").Limit(maxLogins).Scan(&logins).Error
	})
	return logins, err
}

func (s *Members) insertMember(ctx context.Context, m Member, hash string) error {
	return s.tx(ctx, func(tx *gorm.DB) error {
		err := tx.Create(&memberRow{
			TenantID: m.TenantID, ID: m.ID, Email: m.Email, Name: m.Name, Role: string(m.Role),
			PasswordHash: rows.Optional(hash), CreatedAt: m.CreatedAt,
		}).Error
		if err != nil {
			return err
		}
		return tx.Exec(`insert into member_logins (email, tenant_id, member_id) values (?, ?, ?)`,
			m.Email, m.TenantID, m.ID).Error
	})
}

// loadMember returns the member of a login and the hash of the password, "" when there is none.
func (s *Members) loadMember(ctx context.Context, l login) (Member, string, error) {
	var row struct {
		Row        memberRow `gorm:"embedded"`
		TenantName string
	}
	err := s.tx(ctx, func(tx *gorm.DB) error {
		return tx.Table("members m").Select("m.*, t.name as tenant_name").Joins("join tenants t on t.id = m.tenant_id").
			Where("m.tenant_id = ? and m.id = ?", l.TenantID, l.MemberID).Take(&row).Error
	})
	if err != nil {
		return Member{}, "", rows.NotFound(err, "There is no such member.")
	}
	hash := ""
	if row.Row.PasswordHash != nil {
		hash = *row.Row.PasswordHash
	}
	return row.Row.member(row.TenantName), hash, nil
}

// lockMembers locks the owners and the member with this id, and returns how many owners are enabled.
func (s *Members) lockMembers(ctx context.Context, sc scope.Scope, id string) (int, Member, error) {
	var found []memberRow
	err := s.tx(ctx, func(tx *gorm.DB) error {
		return tx.Clauses(clause.Locking{Strength: "UPDATE"}).Where("tenant_id = ? and (role = ? or id = ?)",
			sc.TenantID, string(RoleOwner), id).Order("id").Find(&found).Error
	})
	owners, m := 0, Member{}
	for _, row := range found {
		if Role(row.Role) == RoleOwner && row.DisabledAt == nil {
			owners++
		}
		if row.ID == id {
			m = row.member("")
		}
	}
	if err == nil && m.ID == "" {
		err = rows.NotFound(gorm.ErrRecordNotFound, "There is no such member.")
	}
	return owners, m, err
}

func (s *Members) updateMember(ctx context.Context, sc scope.Scope, m Member, hash string) error {
	set := map[string]any{"name": m.Name, "role": string(m.Role), "disabled_at": m.DisabledAt}
	if hash != "" {
		set["password_hash"] = hash
	}
	return s.tx(ctx, func(tx *gorm.DB) error {
		return tx.Model(&memberRow{}).Where("tenant_id = ? and id = ?", sc.TenantID, m.ID).Updates(set).Error
	})
}

func (s *Members) endMemberSessions(ctx context.Context, sc scope.Scope, id string) error {
	return s.tx(ctx, func(tx *gorm.DB) error {
		return tx.Exec(`delete from member_sessions where tenant_id = ? and member_id = ?`, sc.TenantID, id).Error
	})
}

func (s *Members) listMembers(ctx context.Context, sc scope.Scope) ([]Member, error) {
	var rows []memberRow
	err := s.tx(ctx, func(tx *gorm.DB) error {
		return tx.Where("tenant_id = ?", sc.TenantID).Order("email").Find(&rows).Error
	})
	list := make([]Member, 0, len(rows))
	for _, row := range rows {
		list = append(list, row.member(""))
	}
	return list, err
}

func (s *Members) listAccounts(ctx context.Context, sc scope.Scope) (map[string]MemberAccount, error) {
	var found []memberRow
	err := s.tx(ctx, func(tx *gorm.DB) error { return tx.Where("tenant_id = ?", sc.TenantID).Find(&found).Error })
	accounts := make(map[string]MemberAccount, len(found))
	for _, row := range found {
		a := MemberAccount{Member: row.member("")}
		if row.PasswordHash != nil {
			a.hash = *row.PasswordHash
		}
		accounts[row.Email] = a
	}
	return accounts, err
}
