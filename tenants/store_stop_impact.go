package tenants

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/ostiary/ostiary/app/policy"
	"github.com/ostiary/ostiary/app/scope"
)

const listedTools = 12

// stoppedDocument returns the published policy of the MCP server a stop is about, an empty one when there is none.
func (s *Stops) stoppedDocument(ctx context.Context, sc scope.Scope, stop Stop) (policy.Document, error) {
	var found []struct{ Document []byte }
	err := s.tx(ctx, func(tx *gorm.DB) error {
		return tx.Raw(`select p.document from resources r join policy_revisions p on p.tenant_id = r.tenant_id
			and p.environment_id = r.environment_id and p.resource_id = r.id and p.revision = r.revision
			where r.tenant_id = ? and r.environment_id = ? and r.id = ?`,
			sc.TenantID, sc.EnvironmentID, stop.ResourceID).Scan(&found).Error
	})
	var doc policy.Document
	if err != nil || len(found) == 0 {
		return doc, err
	}
	if err := json.Unmarshal(found[0].Document, &doc); err != nil {
		return doc, fmt.Errorf("read published policy: %w", err)
	}
	return doc, nil
}

// openingScopes returns which sets of scopes that grants of the MCP server have open the tool of a stop, as Postgres writes
// them. There are few sets, however many grants.
func (s *Stops) openingScopes(ctx context.Context, sc scope.Scope, stop Stop, compiled *policy.Compiled) ([]string, error) {
	var sets []struct {
		Text string
		JSON []byte
	}
	err := s.tx(ctx, func(tx *gorm.DB) error {
		return tx.Raw(`select distinct scopes::text as text, to_jsonb(scopes) as json from grants
			where tenant_id = ? and environment_id = ? and resource_id = ? and revoked_at is null`,
			sc.TenantID, sc.EnvironmentID, stop.ResourceID).Scan(&sets).Error
	})
	if err != nil {
		return nil, err
	}
	opening := []string{}
	for _, set := range sets {
		var scopes []string
		if err := json.Unmarshal(set.JSON, &scopes); err != nil {
			return nil, fmt.Errorf("read scopes: %w", err)
		}
		if compiled.Allows(stop.Value, compiled.Granted(scopes)) {
			opening = append(opening, set.Text)
		}
	}
	return opening, nil
}

// countGrants counts the live grants a stop covers, and the people behind them.
func (s *Stops) countGrants(ctx context.Context, sc scope.Scope, stop Stop, opening []string, now time.Time) (
	grants, users int, err error,
) {
	var counted struct{ Grants, Users int }
	err = s.tx(ctx, func(tx *gorm.DB) error {
		tx = tx.Table("grants").Select("count(*) as grants, count(distinct user_id) as users").
			Where("tenant_id = ? and environment_id = ? and revoked_at is null and expires_at > ?", sc.TenantID, sc.EnvironmentID, now)
		switch stop.Kind {
		case policy.StopTool:
			tx = tx.Where("resource_id = ? and scopes::text in ?", stop.ResourceID, append(opening, ""))
		case policy.StopServer:
			tx = tx.Where("resource_id = ?", stop.ResourceID)
		case policy.StopUser:
			tx = tx.Where("user_id = ?", stop.Value)
		case policy.StopOrganization:
			tx = tx.Where("organization_id = ?", stop.Value)
		case policy.StopHost:
			tx = tx.Where("host = ?", recordedHost(stop.Value))
		}
		return tx.Scan(&counted).Error
	})
	return counted.Grants, counted.Users, err
}

// countCalls counts the calls a stop would have held since a moment, and names the tools that were called most.
func (s *Stops) countCalls(ctx context.Context, sc scope.Scope, stop Stop, since time.Time) (calls int, tools []string, err error) {
	covered := func(tx *gorm.DB) *gorm.DB {
		tx = tx.Table("tool_calls").Where("tenant_id = ? and environment_id = ? and at > ? and allowed", sc.TenantID, sc.EnvironmentID, since)
		switch stop.Kind {
		case policy.StopTool:
			return tx.Where("resource_id = ? and kind = 'tool' and tool = ?", stop.ResourceID, stop.Value)
		case policy.StopServer:
			return tx.Where("resource_id = ?", stop.ResourceID)
		case policy.StopUser:
			return tx.Where("user_id = ?", stop.Value)
		case policy.StopOrganization:
			return tx.Where("organization_id = ?", stop.Value)
		case policy.StopHost:
			return tx.Where("host = ?", recordedHost(stop.Value))
		}
		return tx
	}
	err = s.tx(ctx, func(tx *gorm.DB) error {
		if err := covered(tx).Select("count(*)").Scan(&calls).Error; err != nil {
			return err
		}
		return covered(tx).Where("kind = 'tool'").Select("tool").Group("tool").Order("count(*) desc, tool").Limit(listedTools).
			Scan(&tools).Error
	})
	return calls, tools, err
}

// recordedHost is how grants and calls write a host: nothing when none could be checked.
func recordedHost(host string) string {
	if host == policy.HostUnverified {
		return ""
	}
	return host
}

// sameStop returns the stop that holds the same already, nil when there is none.
func (s *Stops) sameStop(ctx context.Context, sc scope.Scope, stop Stop) (*Stop, error) {
	var found []Stop
	err := s.tx(ctx, func(tx *gorm.DB) error {
		return tx.Raw(selectStop+` and s.lifted_at is null and s.kind = ? and coalesce(s.resource_id, '') = ? and s.value = ?`,
			sc.TenantID, sc.EnvironmentID, stop.Kind, stop.ResourceID, stop.Value).Scan(&found).Error
	})
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return &found[0], nil
}
