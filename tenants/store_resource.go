package tenants

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/ostiary/ostiary/app/policy"
	"github.com/ostiary/ostiary/app/scope"
	"github.com/ostiary/ostiary/tenants/rows"
)

func (s *Resources) insertResource(ctx context.Context, sc scope.Scope, r *Resource) error {
	return s.tx(ctx, func(tx *gorm.DB) error {
		err := tx.Raw(`select coalesce(max(position) + 1, 0) from resources where tenant_id = ? and environment_id = ?`,
			sc.TenantID, sc.EnvironmentID).Scan(&r.Position).Error
		if err != nil {
			return err
		}
		return tx.Create(&resourceRow{
			TenantID: sc.TenantID, EnvironmentID: sc.EnvironmentID, ID: r.ID, Identifier: r.Identifier, Name: r.Name,
			DocumentationURL: r.DocumentationURL, Mode: string(r.Mode), Position: r.Position,
			OfflineRead: r.Offline.Read, OfflineWrite: r.Offline.Write, OfflineDestructive: r.Offline.Destructive,
			DraftChangedAt: r.DraftChangedAt, CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt,
		}).Error
	})
}

func (s *Resources) deleteResource(ctx context.Context, sc scope.Scope, id string) error {
	return s.tx(ctx, func(tx *gorm.DB) error {
		return tx.Scopes(rows.Within(sc)).Where("id = ?", id).Delete(&resourceRow{}).Error
	})
}

// addressOwner returns the first of addresses that another resource of the environment has as identifier or alias, or "".
// The environment's lock keeps the answer true until the transaction ends.
func (s *Resources) addressOwner(
	ctx context.Context, sc scope.Scope, except string, addresses []string,
) (string, error) {
	var taken []string
	err := s.tx(ctx, func(tx *gorm.DB) error {
		return tx.Raw(`
			select identifier from resources
			where tenant_id = ? and environment_id = ? and identifier in ? and id <> ?
			union all
			select identifier from resource_aliases
			where tenant_id = ? and environment_id = ? and identifier in ? and resource_id <> ?`,
			sc.TenantID, sc.EnvironmentID, addresses, except,
			sc.TenantID, sc.EnvironmentID, addresses, except).Scan(&taken).Error
	})
	if err != nil || len(taken) == 0 {
		return "", err
	}
	return taken[0], nil
}

// ResourceSummary is one line of the list of MCP servers.
type ResourceSummary struct {
	Resource
	Scopes   int
	Tools    int
	Unmapped int // tools without a permission
}

type summaryRow struct {
	Row      resourceRow `gorm:"embedded"`
	Scopes   int
	Tools    int
	Unmapped int
	Total    int
}

func (s *Resources) listResources(
	ctx context.Context, sc scope.Scope, f ResourceFilter,
) ([]ResourceSummary, int, error) {
	var found []summaryRow
	err := s.tx(ctx, func(tx *gorm.DB) error {
		q := tx.Table("resources r").Select(`r.*, count(*) over () as total,
			(select count(*) from scopes s where s.tenant_id = r.tenant_id and s.environment_id = r.environment_id
				and s.resource_id = r.id) as scopes,
			(select count(*) from tools t where t.tenant_id = r.tenant_id and t.environment_id = r.environment_id
				and t.resource_id = r.id and t.kind = 'tool') as tools,
			(select count(*) from tools t where t.tenant_id = r.tenant_id and t.environment_id = r.environment_id
				and t.resource_id = r.id and not exists (select 1 from tool_scopes n where n.tenant_id = t.tenant_id
				and n.environment_id = t.environment_id and n.tool_id = t.id)) as unmapped`).
			Where("r.tenant_id = ? and r.environment_id = ?", sc.TenantID, sc.EnvironmentID)
		if f.Search != "" {
			like := rows.Like(f.Search)
			q = q.Where("(r.name ilike ? or r.identifier ilike ?)", like, like)
		}
		return q.Order("r.position, r.name, r.id").Limit(f.Limit).Offset(f.Offset).Scan(&found).Error
	})
	if err != nil || len(found) == 0 {
		return nil, 0, err
	}
	list := make([]ResourceSummary, len(found))
	for i, row := range found {
		list[i] = ResourceSummary{Resource: row.Row.resource(), Scopes: row.Scopes, Tools: row.Tools, Unmapped: row.Unmapped}
	}
	return list, found[0].Total, nil
}

type revisionRow struct {
	TenantID      string
	EnvironmentID string
	ResourceID    string
	Revision      int
	Document      []byte `gorm:"type:jsonb"`
	PublishedAt   time.Time
	PublishedBy   string
}

func (revisionRow) TableName() string { return "policy_revisions" }

func (s *Resources) loadRevision(ctx context.Context, sc scope.Scope, id string, revision int) (Revision, error) {
	var row revisionRow
	err := s.tx(ctx, func(tx *gorm.DB) error {
		return tx.Scopes(rows.Within(sc)).Where("resource_id = ? and revision = ?", id, revision).Take(&row).Error
	})
	if err != nil {
		return Revision{}, rows.NotFound(err, "There is no such published revision.")
	}
	r := Revision{Number: row.Revision, PublishedAt: row.PublishedAt.UTC(), PublishedBy: row.PublishedBy}
	if err := json.Unmarshal(row.Document, &r.Document); err != nil {
		return Revision{}, fmt.Errorf("read revision %d of %s: %w", revision, id, err)
	}
	return r, nil
}

func (s *Resources) publishedDocument(
	ctx context.Context, sc scope.Scope, id string, revision int,
) (policy.Document, error) {
	r, err := s.loadRevision(ctx, sc, id, revision)
	return r.Document, err
}

func (s *Resources) insertRevision(ctx context.Context, sc scope.Scope, r Revision) error {
	document, err := json.Marshal(r.Document)
	if err != nil {
		return fmt.Errorf("write policy document: %w", err)
	}
	id := r.Document.Resource.ID
	return s.tx(ctx, func(tx *gorm.DB) error {
		err := tx.Create(&revisionRow{
			TenantID: sc.TenantID, EnvironmentID: sc.EnvironmentID, ResourceID: id, Revision: r.Number,
			Document: document, PublishedAt: r.PublishedAt, PublishedBy: r.PublishedBy,
		}).Error
		if err != nil {
			return err
		}
		return tx.Model(&resourceRow{}).Scopes(rows.Within(sc)).Where("id = ?", id).Updates(map[string]any{
			"revision": r.Number, "draft_changed_at": nil, "updated_at": r.PublishedAt,
		}).Error
	})
}
