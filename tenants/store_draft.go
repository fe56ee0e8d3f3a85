package tenants

import (
	"context"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/ostiary/ostiary/app/policy"
	"github.com/ostiary/ostiary/app/scope"
	"github.com/ostiary/ostiary/tenants/rows"
)

type resourceRow struct {
	TenantID         string
	EnvironmentID    string
	ID               string
	Identifier       string
	Name             string
	DocumentationURL string
	Mode             string
	Position         int
	Revision         int
	DraftChangedAt   *time.Time
	CreatedAt        time.Time
	UpdatedAt        time.Time
}

func (resourceRow) TableName() string { return "resources" }

func (r resourceRow) resource() Resource {
	res := Resource{
		ID: r.ID, Identifier: r.Identifier, Name: r.Name, DocumentationURL: r.DocumentationURL, Mode: policy.Mode(r.Mode),
		Position: r.Position, Revision: r.Revision, CreatedAt: r.CreatedAt.UTC(), UpdatedAt: r.UpdatedAt.UTC(),
	}
	if r.DraftChangedAt != nil {
		at := r.DraftChangedAt.UTC()
		res.DraftChangedAt = &at
	}
	return res
}

type aliasRow struct {
	TenantID      string
	EnvironmentID string
	Identifier    string
	ResourceID    string
}

func (aliasRow) TableName() string { return "resource_aliases" }

type scopeRow struct {
	TenantID      string `gorm:"primaryKey"`
	EnvironmentID string `gorm:"primaryKey"`
	ResourceID    string
	ID            string `gorm:"primaryKey"`
	Name          string
	Risk          string
	Title         string
	Description   string
	Warning       string
	Baseline      bool
	Required      bool
	NeverTicked   bool
	Implies       textArray
	Position      int
	CreatedAt     time.Time
	UpdatedAt     time.Time
}

func (scopeRow) TableName() string { return "scopes" }

func (r scopeRow) scope() Scope {
	return Scope{
		ID: r.ID, Name: r.Name, Risk: policy.Risk(r.Risk), Title: r.Title, Description: r.Description, Warning: r.Warning,
		Baseline: r.Baseline, Required: r.Required, NeverTicked: r.NeverTicked, Implies: r.Implies, Position: r.Position,
	}
}

type toolRow struct {
	TenantID      string `gorm:"primaryKey"`
	EnvironmentID string `gorm:"primaryKey"`
	ResourceID    string
	ID            string `gorm:"primaryKey"`
	Name          string
	Description   string
	Wording       string
	Match         string
	Fingerprint   string
	Position      int
	CreatedAt     time.Time
	UpdatedAt     time.Time
}

func (toolRow) TableName() string { return "tools" }

func (r toolRow) tool() Tool {
	return Tool{
		ID: r.ID, Name: r.Name, Description: r.Description, Wording: r.Wording, Match: policy.Match(r.Match),
		Fingerprint: r.Fingerprint, Position: r.Position,
	}
}

type toolScopeRow struct {
	TenantID      string
	EnvironmentID string
	ResourceID    string
	ToolID        string
	ScopeID       string
}

func (toolScopeRow) TableName() string { return "tool_scopes" }

// lockEnvironment makes edits in one environment wait for each other, in one order. Rows that refer to the environment can
// still be inserted meanwhile: sign-ins and token requests do not wait.
func (b base) lockEnvironment(ctx context.Context, sc scope.Scope) (Kind, error) {
	var row environmentRow
	err := b.tx(ctx, func(tx *gorm.DB) error {
		return tx.Select("id", "kind").Clauses(clause.Locking{Strength: "NO KEY UPDATE"}).
			Where("tenant_id = ? and id = ?", sc.TenantID, sc.EnvironmentID).Take(&row).Error
	})
	return Kind(row.Kind), rows.NotFound(err, "There is no such environment.")
}

// loadDraft reads a resource with everything that can be edited about it: five queries, whatever its size.
func (s *Resources) loadDraft(ctx context.Context, sc scope.Scope, id string) (Draft, error) {
	var (
		row     resourceRow
		aliases []aliasRow
		scopes  []scopeRow
		tools   []toolRow
		needs   []toolScopeRow
	)
	err := s.tx(ctx, func(tx *gorm.DB) error {
		if err := tx.Scopes(rows.Within(sc)).Where("id = ?", id).Take(&row).Error; err != nil {
			return rows.NotFound(err, "There is no such MCP server.")
		}
		for _, part := range []struct {
			rows  any
			order string
		}{{&aliases, "identifier"}, {&scopes, "position, id"}, {&tools, "position, id"}, {&needs, "scope_id"}} {
			if err := tx.Scopes(rows.Within(sc)).Where("resource_id = ?", id).Order(part.order).Find(part.rows).Error; err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return Draft{}, err
	}
	return assembleDraft(row, aliases, scopes, tools, needs), nil
}

func assembleDraft(row resourceRow, aliases []aliasRow, scopes []scopeRow, tools []toolRow, needs []toolScopeRow) Draft {
	d := Draft{Resource: row.resource()}
	for _, a := range aliases {
		d.Aliases = append(d.Aliases, a.Identifier)
	}
	scopeNames := make(map[string]string, len(scopes))
	for _, r := range scopes {
		d.Scopes = append(d.Scopes, r.scope())
		scopeNames[r.ID] = r.Name
	}
	needed := make(map[string][]string, len(tools))
	for _, n := range needs {
		needed[n.ToolID] = append(needed[n.ToolID], scopeNames[n.ScopeID])
	}
	for _, r := range tools {
		t := r.tool()
		t.Scopes = needed[r.ID]
		d.Tools = append(d.Tools, t)
	}
	d.normalize()
	return d
}
