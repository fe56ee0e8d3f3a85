package tenants

import (
	"context"
	"time"

	"gorm.io/gorm"

	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/scope"
)

// lockResource keeps others from changing the credentials of an MCP server until the transaction ends.
func (s *Resources) lockResource(ctx context.Context, sc scope.Scope, id string) error {
	var found []string
	err := s.tx(ctx, func(tx *gorm.DB) error {
		return tx.Raw(`select id from resources where tenant_id = ? and environment_id = ? and id = ? for update`,
			sc.TenantID, sc.EnvironmentID, id).Scan(&found).Error
	})
	if err == nil && len(found) == 0 {
		return errs.New(errs.NotFound, "There is no such MCP server.")
	}
	return err
}

// listCredentials returns the live credentials of one resource, or of the environment for "".
func (s *Resources) listCredentials(ctx context.Context, sc scope.Scope, resourceID string) ([]Credential, error) {
	var list []Credential
	err := s.tx(ctx, func(tx *gorm.DB) error {
		return tx.Raw(`select id, resource_id, name, secret_hash, created_at from resource_credentials
			where tenant_id = ? and environment_id = ? and (? = '' or resource_id = ?) and revoked_at is null
			order by created_at, id`, sc.TenantID, sc.EnvironmentID, resourceID, resourceID).Scan(&list).Error
	})
	return list, err
}

func (s *Resources) insertCredential(ctx context.Context, sc scope.Scope, c Credential) error {
	return s.tx(ctx, func(tx *gorm.DB) error {
		return tx.Exec(`insert into resource_credentials
			(tenant_id, environment_id, id, resource_id, name, secret_hash, slot, created_at)
			select ?, ?, ?, ?, ?, ?, min(n), ? from generate_series(1, 2) n where not exists (
				select 1 from resource_credentials c where c.tenant_id = ? and c.environment_id = ? and c.resource_id = ?
				and c.slot = n and c.revoked_at is null)`,
			sc.TenantID, sc.EnvironmentID, c.ID, c.ResourceID, c.Name, c.SecretHash, c.CreatedAt,
			sc.TenantID, sc.EnvironmentID, c.ResourceID).Error
	})
}

func (s *Resources) endCredential(ctx context.Context, sc scope.Scope, id string, now time.Time) (Credential, error) {
	var ended []Credential
	err := s.tx(ctx, func(tx *gorm.DB) error {
		return tx.Raw(`update resource_credentials set revoked_at = ?
			where tenant_id = ? and environment_id = ? and id = ? and revoked_at is null
			returning id, resource_id, name, created_at`, now, sc.TenantID, sc.EnvironmentID, id).Scan(&ended).Error
	})
	if err != nil {
		return Credential{}, err
	}
	if len(ended) == 0 {
		return Credential{}, errs.New(errs.NotFound, "There is no such credential.")
	}
	return ended[0], nil
}
