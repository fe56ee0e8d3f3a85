package tenants

import (
	"context"
	"time"

	"gorm.io/gorm"

	"github.com/ostiary/ostiary/app/scope"
	"github.com/ostiary/ostiary/tenants/rows"
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

	TokenLifetimeBefore      int
	TokenLifetimeBeforeUntil *time.Time
}

func (environmentRow) TableName() string { return "environments" }

func (r environmentRow) environment(tenantName string) *Environment {
	return &Environment{
		TenantID: r.TenantID, TenantName: tenantName, ID: r.ID, Slug: r.Slug, Name: r.Name, Kind: Kind(r.Kind),
		Issuer: r.Issuer, Choices: r.Settings, Settings: r.Settings.WithDefaults(), Branding: r.Branding,
		CreatedAt: r.CreatedAt.UTC(), UpdatedAt: r.UpdatedAt.UTC(),
		longer: longerTokens{lifetime: time.Duration(r.TokenLifetimeBefore) * time.Second, until: r.TokenLifetimeBeforeUntil},
	}
}

// findIssuer reads the routing table before a tenant is known.
func (s *Environments) findIssuer(ctx context.Context, url string) (scope.Scope, error) {
	var found scope.Scope
	err := s.deps.DB.Platform(ctx, func(tx *gorm.DB) error {
		return tx.Table("issuers").Select("tenant_id, environment_id").Where("url = ?", url).Take(&found).Error
	})
	return found, rows.NotFound(err, "There is no authorization server at this address.")
}

func (s *Environments) loadEnvironment(ctx context.Context, sc scope.Scope) (*Environment, []byte, error) {
	var row struct {
		Row        environmentRow `gorm:"embedded"`
		TenantName string
	}
	err := s.tx(ctx, func(tx *gorm.DB) error {
		return tx.Table("environments e").Select("e.*, t.name as tenant_name").
			Joins("join tenants t on t.id = e.tenant_id").
			Where("e.tenant_id = ? and e.id = ?", sc.TenantID, sc.EnvironmentID).Take(&row).Error
	})
	if err != nil {
		return nil, nil, rows.NotFound(err, "There is no such environment.")
	}
	return row.Row.environment(row.TenantName), row.Row.SecretSealed, nil
}

func (s *Environments) insertEnvironment(ctx context.Context, env *Environment, sealed []byte) error {
	return s.tx(ctx, func(tx *gorm.DB) error {
		err := tx.Create(&environmentRow{
			TenantID: env.TenantID, ID: env.ID, Slug: env.Slug, Name: env.Name, Kind: string(env.Kind), Issuer: env.Issuer,
			SecretSealed: sealed, Settings: env.Choices, Branding: env.Branding,
			CreatedAt: env.CreatedAt, UpdatedAt: env.UpdatedAt,
		}).Error
		if err != nil {
			return err
		}
		return s.insertIssuer(tx, env.Scope(), env.Issuer)
	})
}

func (s *Environments) insertIssuer(tx *gorm.DB, sc scope.Scope, issuer string) error {
	return tx.Exec(`insert into issuers (url, tenant_id, environment_id) values (?, ?, ?)`,
		issuer, sc.TenantID, sc.EnvironmentID).Error
}

func (s *Environments) listEnvironments(ctx context.Context, sc scope.Scope) ([]*Environment, error) {
	var rows []struct {
		Row        environmentRow `gorm:"embedded"`
		TenantName string
	}
	err := s.tx(ctx, func(tx *gorm.DB) error {
		return tx.Table("environments e").Omit("secret_sealed").
			Select(`e.tenant_id, e.id, e.slug, e.name, e.kind, e.issuer, e.settings, e.branding, e.created_at, e.updated_at,
				t.name as tenant_name`).
			Joins("join tenants t on t.id = e.tenant_id").
			Where("e.tenant_id = ?", sc.TenantID).Order("e.created_at, e.id").Scan(&rows).Error
	})
	list := make([]*Environment, 0, len(rows))
	for _, row := range rows {
		list = append(list, row.Row.environment(row.TenantName))
	}
	return list, err
}

func (s *Environments) updateEnvironment(
	ctx context.Context, sc scope.Scope, was *Environment, u EnvironmentUpdate, at time.Time,
) error {
	longer := was.after(u.Settings.WithDefaults().AccessTokenLifetime, at)
	return s.tx(ctx, func(tx *gorm.DB) error {
		row := environmentRow{
			Name: u.Name, Kind: string(u.Kind), Issuer: u.Issuer, Settings: u.Settings, Branding: u.Branding, UpdatedAt: at,
			TokenLifetimeBefore: int(longer.lifetime / time.Second), TokenLifetimeBeforeUntil: longer.until,
		}
		err := tx.Model(&environmentRow{}).Where("tenant_id = ? and id = ?", sc.TenantID, sc.EnvironmentID).
			Select("name", "kind", "issuer", "settings", "branding", "updated_at", "token_lifetime_before", "token_lifetime_before_until").
			Updates(&row).Error
		if err != nil || was.Issuer == u.Issuer {
			return err
		}
		err = tx.Exec(`delete from issuers where tenant_id = ? and environment_id = ?`, sc.TenantID, sc.EnvironmentID).Error
		if err != nil {
			return err
		}
		return s.insertIssuer(tx, sc, u.Issuer)
	})
}
