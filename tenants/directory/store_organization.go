package directory

import (
	"context"
	"time"

	"gorm.io/gorm"

	"github.com/ostiary/ostiary/app/scope"
	"github.com/ostiary/ostiary/tenants/rows"
)

type organizationRow struct {
	TenantID      string
	EnvironmentID string
	ID            string
	Slug          string
	Name          string
	CreatedAt     time.Time
	DisabledAt    *time.Time
}

func (organizationRow) TableName() string { return "organizations" }

func (r organizationRow) organization() Organization {
	return Organization{ID: r.ID, Slug: r.Slug, Name: r.Name, CreatedAt: r.CreatedAt.UTC(), DisabledAt: r.DisabledAt}
}

func (b base) loadOrganization(ctx context.Context, sc scope.Scope, id string) (Organization, error) {
	var row organizationRow
	err := b.tx(ctx, func(tx *gorm.DB) error { return tx.Scopes(rows.Within(sc)).Where("id = ?", id).Take(&row).Error })
	return row.organization(), rows.NotFound(err, "There is no such organization.")
}

// organizationName returns the name of a user's organization, "" for none.
func (b base) organizationName(ctx context.Context, sc scope.Scope, id string) (string, error) {
	if id == "" {
		return "", nil
	}
	org, err := b.loadOrganization(ctx, sc, id)
	return org.Name, err
}

func (o *Organizations) insertOrganization(ctx context.Context, sc scope.Scope, org Organization) error {
	return o.tx(ctx, func(tx *gorm.DB) error {
		return tx.Create(&organizationRow{
			TenantID: sc.TenantID, EnvironmentID: sc.EnvironmentID, ID: org.ID, Slug: org.Slug, Name: org.Name,
			CreatedAt: org.CreatedAt,
		}).Error
	})
}

func (o *Organizations) renameOrganization(ctx context.Context, sc scope.Scope, id, name string) error {
	return o.tx(ctx, func(tx *gorm.DB) error {
		return tx.Model(&organizationRow{}).Scopes(rows.Within(sc)).Where("id = ?", id).Update("name", name).Error
	})
}

func (o *Organizations) listOrganizations(ctx context.Context, sc scope.Scope, f Filter) ([]Organization, int, error) {
	var found []struct {
		Row   organizationRow `gorm:"embedded"`
		Total int
	}
	err := o.tx(ctx, func(tx *gorm.DB) error {
		q := tx.Table("organizations").Select("*, count(*) over () as total").Scopes(rows.Within(sc))
		if f.Search != "" {
			like := rows.Like(f.Search)
			q = q.Where("(name ilike ? or slug ilike ?)", like, like)
		}
		return q.Order("slug").Limit(f.Limit).Offset(f.Offset).Scan(&found).Error
	})
	if err != nil || len(found) == 0 {
		return nil, 0, err
	}
	list := make([]Organization, len(found))
	for i, row := range found {
		list[i] = row.Row.organization()
	}
	return list, found[0].Total, nil
}

func (o *Organizations) organizationsBySlug(
	ctx context.Context, sc scope.Scope, slugs []string,
) (map[string]Organization, error) {
	var found []organizationRow
	err := o.tx(ctx, func(tx *gorm.DB) error {
		return tx.Scopes(rows.Within(sc)).Where("slug in ?", slugs).Find(&found).Error
	})
	bySlug := make(map[string]Organization, len(found))
	for _, row := range found {
		bySlug[row.Slug] = row.organization()
	}
	return bySlug, err
}

func (o *Organizations) organizationSlugs(
	ctx context.Context, sc scope.Scope, ids []string,
) (map[string]string, error) {
	var found []organizationRow
	err := o.tx(ctx, func(tx *gorm.DB) error {
		return tx.Scopes(rows.Within(sc)).Select("id", "slug").Where("id in ?", ids).Find(&found).Error
	})
	slugs := make(map[string]string, len(found))
	for _, row := range found {
		slugs[row.ID] = row.Slug
	}
	return slugs, err
}
