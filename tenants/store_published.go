package tenants

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/ostiary/ostiary/app/scope"
)

type publishedRow struct {
	Document    []byte
	PublishedAt time.Time
}

func (s *Resources) listPublished(ctx context.Context, sc scope.Scope) ([]Published, error) {
	var rows []publishedRow
	err := s.tx(ctx, func(tx *gorm.DB) error {
		return tx.Raw(`
			select p.document, p.published_at
			from resources r
			join policy_revisions p on p.tenant_id = r.tenant_id and p.environment_id = r.environment_id
				and p.resource_id = r.id and p.revision = r.revision
			where r.tenant_id = ? and r.environment_id = ?
			order by r.position, r.name, r.id`, sc.TenantID, sc.EnvironmentID).Scan(&rows).Error
	})
	if err != nil {
		return nil, err
	}
	published := make([]Published, len(rows))
	for i, row := range rows {
		published[i].PublishedAt = row.PublishedAt.UTC()
		if err := json.Unmarshal(row.Document, &published[i].Document); err != nil {
			return nil, fmt.Errorf("read published policy: %w", err)
		}
	}
	return published, nil
}
