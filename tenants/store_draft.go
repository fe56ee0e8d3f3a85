package tenants

import (
	"context"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/policy"
	"github.com/ostiary/ostiary/app/scope"
	"github.com/ostiary/ostiary/tenants/rows"
)

type resourceRow struct {
	TenantID           string
	EnvironmentID      string
	ID                 string
	Identifier         string
	Name               string
	DocumentationURL   string
	Mode               string
	OfflineRead        int64 // seconds
	OfflineWrite       int64
	OfflineDestructive int64
	Position           int
	Revision           int
	DraftChangedAt     *time.Time
	CreatedAt          time.Time
	UpdatedAt          time.Time
}

func (resourceRow) TableName() string { return "resources" }

func (r resourceRow) resource() Resource {
	res := Resource{
		ID: r.ID, Identifier: r.Identifier, Name: r.Name, DocumentationURL: r.DocumentationURL, Mode: policy.Mode(r.Mode),
		Position: r.Position, Revision: r.Revision, CreatedAt: r.CreatedAt.UTC(), UpdatedAt: r.UpdatedAt.UTC(),
		Offline: policy.Offline{Read: r.OfflineRead, Write: r.OfflineWrite, Destructive: r.OfflineDestructive},
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
	Kind          string
	Name          string
	Description   string
	Wording       string
	Match         string
	Fingerprint   string
	Audited       textArray
	Position      int
	CreatedAt     time.Time
	UpdatedAt     time.Time
}

func (toolRow) TableName() string { return "tools" }

func (r toolRow) tool() Tool {
	return Tool{
		ID: r.ID, Kind: policy.TargetKind(r.Kind), Name: r.Name, Description: r.Description, Wording: r.Wording,
		Match: policy.Match(r.Match), Fingerprint: r.Fingerprint, Audited: r.Audited, Position: r.Position,
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

// loadDraft reads a resource with everything that can be edited about it.
func (s *Resources) loadDraft(ctx context.Context, sc scope.Scope, id string) (Draft, error) {
	drafts, err := s.loadDrafts(ctx, sc, "id", []string{id})
	if err != nil {
		return Draft{}, err
	}
	if len(drafts) == 0 {
		return Draft{}, errs.New(errs.NotFound, "There is no such MCP server.")
	}
	return drafts[0], nil
}

// loadDrafts reads the resources whose column has one of values: five queries, however many there are.
func (s *Resources) loadDrafts(ctx context.Context, sc scope.Scope, column string, values []string) ([]Draft, error) {
	var (
		resources []resourceRow
		parts     draftParts
	)
	err := s.tx(ctx, func(tx *gorm.DB) error {
		err := tx.Scopes(rows.Within(sc)).Where(map[string]any{column: values}).Order("position, id").Find(&resources).Error
		if err != nil || len(resources) == 0 {
			return err
		}
		ids := make([]string, len(resources))
		for i, r := range resources {
			ids[i] = r.ID
		}
		for _, part := range parts.lists() {
			err := tx.Scopes(rows.Within(sc)).Where("resource_id in ?", ids).Order(part.order).Find(part.rows).Error
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	drafts := make([]Draft, len(resources))
	for i, r := range resources {
		drafts[i] = parts.assemble(r)
	}
	return drafts, nil
}

// draftParts are the rows below some resources.
type draftParts struct {
	aliases []aliasRow
	scopes  []scopeRow
	tools   []toolRow
	needs   []toolScopeRow
}

type partList struct {
	rows  any
	order string
}

func (p *draftParts) lists() []partList {
	return []partList{
		{&p.aliases, "identifier"}, {&p.scopes, "position, id"}, {&p.tools, "position, id"}, {&p.needs, "scope_id"},
	}
}

func (p *draftParts) assemble(row resourceRow) Draft {
	d := Draft{Resource: row.resource()}
	for _, a := range p.aliases {
		if a.ResourceID == row.ID {
			d.Aliases = append(d.Aliases, a.Identifier)
		}
	}
	scopeNames := map[string]string{}
	for _, r := range p.scopes {
		if r.ResourceID == row.ID {
			d.Scopes = append(d.Scopes, r.scope())
			scopeNames[r.ID] = r.Name
		}
	}
	needed := map[string][]string{}
	for _, n := range p.needs {
		if n.ResourceID == row.ID {
			needed[n.ToolID] = append(needed[n.ToolID], scopeNames[n.ScopeID])
		}
	}
	for _, r := range p.tools {
		if r.ResourceID == row.ID {
			t := r.tool()
			t.Scopes = needed[r.ID]
			d.Tools = append(d.Tools, t)
		}
	}
	d.normalize()
	return d
}
