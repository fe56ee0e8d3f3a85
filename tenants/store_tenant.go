package tenants

import (
	"context"
	"time"

	"gorm.io/gorm"

	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/scope"
	"github.com/ostiary/ostiary/tenants/rows"
)

type tenantRow struct {
	ID        string
	Slug      string
	Name      string
	CreatedAt time.Time
}

func (tenantRow) TableName() string { return "tenants" }

// findSlug reads the routing table before a tenant is known.
func (s *Tenants) findSlug(ctx context.Context, slug string) (string, error) {
	var row struct{ TenantID string }
	err := s.deps.DB.Platform(ctx, func(tx *gorm.DB) error {
		return tx.Table("tenant_slugs").Select("tenant_id").Where("slug = ?", slug).Take(&row).Error
	})
	return row.TenantID, rows.NotFound(err, "There is no such workspace.")
}

func (s *Tenants) insertTenant(ctx context.Context, t Tenant) error {
	return s.tx(ctx, func(tx *gorm.DB) error {
		if err := tx.Create(&tenantRow{ID: t.ID, Slug: t.Slug, Name: t.Name, CreatedAt: t.CreatedAt}).Error; err != nil {
			return err
		}
		return tx.Exec(`insert into tenant_slugs (slug, tenant_id) values (?, ?)`, t.Slug, t.ID).Error
	})
}

func (s *Tenants) loadTenant(ctx context.Context, sc scope.Scope) (Tenant, error) {
	var row tenantRow
	err := s.tx(ctx, func(tx *gorm.DB) error { return tx.Where("id = ?", sc.TenantID).Take(&row).Error })
	if err != nil {
		return Tenant{}, rows.NotFound(err, "There is no such workspace.")
	}
	return Tenant{ID: row.ID, Slug: row.Slug, Name: row.Name, CreatedAt: row.CreatedAt.UTC()}, nil
}

// renameTenant returns the ids of the tenant's environments, which show its name.
func (s *Tenants) renameTenant(ctx context.Context, sc scope.Scope, name string) ([]string, error) {
	var ids []string
	err := s.tx(ctx, func(tx *gorm.DB) error {
		done := tx.Exec(`update tenants set name = ? where id = ?`, name, sc.TenantID)
		if done.Error != nil {
			return done.Error
		}
		if done.RowsAffected == 0 {
			return errs.New(errs.NotFound, "There is no such workspace.")
		}
		return tx.Raw(`select id from environments where tenant_id = ?`, sc.TenantID).Scan(&ids).Error
	})
	return ids, err
}
