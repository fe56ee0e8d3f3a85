package tenants

import (
	"context"
	"time"

	"gorm.io/gorm"

	"github.com/ostiary/ostiary/app/scope"
	"github.com/ostiary/ostiary/tenants/rows"
)

type memberSessionRow struct {
	TenantID  string
	TokenHash []byte
	MemberID  string
	CreatedAt time.Time
	ExpiresAt time.Time
}

func (memberSessionRow) TableName() string { return "member_sessions" }

// insertMemberSession also clears away the member's ended sessions; Sweep does it for those who never come back.
func (s *MemberSessions) insertMemberSession(ctx context.Context, m Member, hash []byte, now, expires time.Time) error {
	return s.tx(ctx, func(tx *gorm.DB) error {
		err := tx.Exec(`delete from member_sessions where tenant_id = ? and member_id = ? and expires_at <= ?`,
			m.TenantID, m.ID, now).Error
		if err != nil {
			return err
		}
		return tx.Create(&memberSessionRow{m.TenantID, hash, m.ID, now, expires}).Error
	})
}

func (s *MemberSessions) loadSessionMember(ctx context.Context, hash []byte, now time.Time) (Member, error) {
	sc, err := scope.From(ctx)
	if err != nil {
		return Member{}, err
	}
	var row struct {
		Row        memberRow `gorm:"embedded"`
		TenantName string
	}
	err = s.tx(ctx, func(tx *gorm.DB) error {
		return tx.Table("member_sessions x").Select("m.*, t.name as tenant_name").
			Joins("join members m on m.tenant_id = x.tenant_id and m.id = x.member_id").
			Joins("join tenants t on t.id = x.tenant_id").
			Where("x.tenant_id = ? and x.token_hash = ? and x.expires_at > ? and m.disabled_at is null",
				sc.TenantID, hash, now).Take(&row).Error
	})
	if err != nil {
		return Member{}, rows.NotFound(err, "There is no such session.")
	}
	return row.Row.member(row.TenantName), nil
}

// deleteMemberSession returns whose session it was, "" when there was none.
func (s *MemberSessions) deleteMemberSession(ctx context.Context, hash []byte) (string, error) {
	sc, err := scope.From(ctx)
	if err != nil {
		return "", err
	}
	var memberID string
	err = s.tx(ctx, func(tx *gorm.DB) error {
		return tx.Raw(`delete from member_sessions where tenant_id = ? and token_hash = ? returning member_id`,
			sc.TenantID, hash).Scan(&memberID).Error
	})
	return memberID, err
}
