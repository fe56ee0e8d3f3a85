package tenants

import (
	"context"
	"fmt"

	"gorm.io/gorm"

	"github.com/ostiary/ostiary/app/scope"
	"github.com/ostiary/ostiary/app/secret"
)

// listSlugs reads the routing table: jobs look after every tenant, one after the other.
func (s *Tenants) listSlugs(ctx context.Context, after string, limit int) ([]Tenant, error) {
	var page []struct{ Slug, TenantID string }
	err := s.deps.DB.Platform(ctx, func(tx *gorm.DB) error {
		return tx.Table("tenant_slugs").Select("slug, tenant_id").Where("slug > ?", after).Order("slug").Limit(limit).
			Scan(&page).Error
	})
	list := make([]Tenant, 0, len(page))
	for _, row := range page {
		list = append(list, Tenant{ID: row.TenantID, Slug: row.Slug})
	}
	return list, err
}

// resealEnvironments wraps what an older key-encryption key wraps. Environments are few: a tenant has a handful.
func (s *Environments) resealEnvironments(ctx context.Context, sc scope.Scope) (int, error) {
	changed := 0
	err := s.tx(ctx, func(tx *gorm.DB) error {
		var rows []struct {
			ID           string
			SecretSealed []byte
		}
		err := tx.Raw(`select id, secret_sealed from environments
			where tenant_id = ? and substr(secret_sealed, ?, ?) <> ?::bytea for no key update`,
			sc.TenantID, secret.KeyIDOffset+1, secret.KeyIDLen, s.deps.Keyring.KeyID()).Scan(&rows).Error
		if err != nil {
			return err
		}
		for _, row := range rows {
			sealed, _, err := s.deps.Keyring.Rewrap(row.SecretSealed, secretAAD(row.ID))
			if err != nil {
				return fmt.Errorf("root secret of environment %s opens under no master key at hand: %w", row.ID, err)
			}
			err = tx.Exec(`update environments set secret_sealed = ?::bytea where tenant_id = ? and id = ?`,
				sealed, sc.TenantID, row.ID).Error
			if err != nil {
				return err
			}
		}
		changed = len(rows)
		return nil
	})
	return changed, err
}
