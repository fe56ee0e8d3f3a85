package tenants

import (
	"context"
	"time"

	"gorm.io/gorm"

	"github.com/ostiary/ostiary/app/scope"
)

type environmentRow struct {
	TenantID     string
	ID           string
	Slug         string
	Name         string
	Kind         string
	Issuer       string
	SecretSealed []byte
	Settings     SettingChoices `gorm:"serializer:json"`
	Branding     Branding       `gorm:"serializer:json"`
	CreatedAt    time.Time
	UpdatedAt    time.Time
}

func (environmentRow) TableName() string { return "environments" }

func (r environmentRow) environment(tenantName string) *Environment {
	return &Environment{
		TenantID: r.TenantID, TenantName: tenantName, ID: r.ID, Slug: r.Slug, Name: r.Name, Kind: Kind(r.Kind),
		Issuer: r.Issuer, Choices: r.Settings, Settings: r.Settings.WithDefaults(), Branding: r.Branding,
		CreatedAt: r.CreatedAt.UTC(), UpdatedAt: r.UpdatedAt.UTC(),
	}
}

// findIssuer reads the routing table before a tenant is known.
func (s *Environments) findIssuer(ctx context.Context, url string) (scope.Scope, error) {
	var found scope.Scope
	err := s.DB.Platform(ctx, func(tx *gorm.DB) error {
		return tx.Table("issuers").Select("tenant_id, environment_id").Where("url = ?", url).Take(&found).Error
	})
	return found, notFound(err, "There is no authorization server at this address.")
}

func (s *Environments) loadEnvironment(ctx context.Context, sc scope.Scope) (*Environment, []byte, error) {
	var row struct {
		environmentRow
		TenantName string
	}
	err := s.tx(ctx, func(tx *gorm.DB) error {
		return tx.Table("environments e").Select("e.*, t.name as tenant_name").
			Joins("join tenants t on t.id = e.tenant_id").
			Where("e.tenant_id = ? and e.id = ?", sc.TenantID, sc.EnvironmentID).Take(&row).Error
	})
	if err != nil {
		return nil, nil, notFound(err, "There is no such environment.")
	}
	return row.environment(row.TenantName), row.SecretSealed, nil
}
