package tenants

import (
	"context"
	"slices"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/ostiary/ostiary/app/scope"
	"github.com/ostiary/ostiary/tenants/rows"
)

// draftWrite is the difference between two drafts of one resource, as rows. Statements are per table, not per row.
type draftWrite struct {
	sc       scope.Scope
	resource string
	at       time.Time
}

func (s *Resources) writeDraft(ctx context.Context, w draftWrite, from, to Draft) error {
	return s.tx(ctx, func(tx *gorm.DB) error {
		steps := [...]func(*gorm.DB, Draft, Draft) error{w.server, w.aliases, w.dropped, w.scopes, w.tools, w.needs}
		for _, step := range steps {
			if err := step(tx, from, to); err != nil {
				return err
			}
		}
		return nil
	})
}

func (w draftWrite) server(tx *gorm.DB, _, to Draft) error {
	r := to.Resource
	return tx.Model(&resourceRow{}).Scopes(rows.Within(w.sc)).Where("id = ?", r.ID).Updates(map[string]any{
		"identifier": r.Identifier, "name": r.Name, "documentation_url": r.DocumentationURL, "mode": string(r.Mode),
		"offline_read": r.Offline.Read, "offline_write": r.Offline.Write, "offline_destructive": r.Offline.Destructive,
		"position": r.Position, "draft_changed_at": r.DraftChangedAt, "updated_at": w.at,
	}).Error
}

func (w draftWrite) aliases(tx *gorm.DB, from, to Draft) error {
	if gone := missingFrom(from.Aliases, to.Aliases); len(gone) > 0 {
		err := tx.Scopes(rows.Within(w.sc)).Where("resource_id = ? and identifier in ?", w.resource, gone).
			Delete(&aliasRow{}).Error
		if err != nil {
			return err
		}
	}
	var written []aliasRow
	for _, alias := range missingFrom(to.Aliases, from.Aliases) {
		written = append(written, aliasRow{w.sc.TenantID, w.sc.EnvironmentID, alias, w.resource})
	}
	if len(written) == 0 {
		return nil
	}
	return tx.Create(&written).Error
}

// dropped deletes scopes and tools that are gone; what maps them goes with them.
func (w draftWrite) dropped(tx *gorm.DB, from, to Draft) error {
	var scopes, tools []string
	for _, s := range from.Scopes {
		if to.ScopeByID(s.ID) == nil {
			scopes = append(scopes, s.ID)
		}
	}
	for _, t := range from.Tools {
		if to.ToolByID(t.ID) == nil {
			tools = append(tools, t.ID)
		}
	}
	if len(scopes) > 0 {
		if err := w.byID(tx, scopes).Delete(&scopeRow{}).Error; err != nil {
			return err
		}
	}
	if len(tools) == 0 {
		return nil
	}
	return w.byID(tx, tools).Delete(&toolRow{}).Error
}

func (w draftWrite) byID(tx *gorm.DB, ids []string) *gorm.DB {
	return tx.Scopes(rows.Within(w.sc)).Where("resource_id = ? and id in ?", w.resource, ids)
}

func (w draftWrite) scopes(tx *gorm.DB, from, to Draft) error {
	var written []scopeRow
	for _, s := range to.Scopes {
		if was := from.ScopeByID(s.ID); was != nil && sameScope(*was, s) {
			continue
		}
		written = append(written, scopeRow{
			TenantID: w.sc.TenantID, EnvironmentID: w.sc.EnvironmentID, ResourceID: w.resource, ID: s.ID, Name: s.Name,
			Risk: string(s.Risk), Title: s.Title, Description: s.Description, Warning: s.Warning, Baseline: s.Baseline,
			Required: s.Required, NeverTicked: s.NeverTicked, Implies: textArray(s.Implies), Position: s.Position,
			CreatedAt: w.at, UpdatedAt: w.at,
		})
	}
	if len(written) == 0 {
		return nil
	}
	return tx.Clauses(w.upsert("risk", "title", "description", "warning", "baseline", "required", "never_ticked",
		"implies", "position", "updated_at")).Create(&written).Error
}

func sameScope(a, b Scope) bool {
	same := slices.Equal(a.Implies, b.Implies)
	a.Implies, b.Implies = nil, nil
	return same && a.ID == b.ID && a.Name == b.Name && a.Risk == b.Risk && a.Title == b.Title &&
		a.Description == b.Description && a.Warning == b.Warning && a.Baseline == b.Baseline && a.Required == b.Required &&
		a.NeverTicked == b.NeverTicked && a.Position == b.Position
}

func (w draftWrite) tools(tx *gorm.DB, from, to Draft) error {
	var written []toolRow
	for _, t := range to.Tools {
		if was := from.ToolByID(t.ID); was != nil && sameTool(*was, t) {
			continue
		}
		written = append(written, toolRow{
			TenantID: w.sc.TenantID, EnvironmentID: w.sc.EnvironmentID, ResourceID: w.resource, ID: t.ID, Kind: string(t.Kind),
			Name: t.Name, Description: t.Description, Wording: t.Wording, Match: string(t.Match), Fingerprint: t.Fingerprint,
			Audited: textArray(t.Audited), Position: t.Position, CreatedAt: w.at, UpdatedAt: w.at,
		})
	}
	if len(written) == 0 {
		return nil
	}
	columns := w.upsert("description", "wording", "match", "fingerprint", "audited", "position", "updated_at")
	return tx.Clauses(columns).Create(&written).Error
}

func sameTool(a, b Tool) bool {
	return a.ID == b.ID && a.Kind == b.Kind && a.Name == b.Name && a.Description == b.Description && a.Wording == b.Wording &&
		a.Match == b.Match && a.Fingerprint == b.Fingerprint && a.Position == b.Position && slices.Equal(a.Audited, b.Audited)
}

func (w draftWrite) upsert(columns ...string) clause.OnConflict {
	return clause.OnConflict{
		Columns:   []clause.Column{{Name: "tenant_id"}, {Name: "environment_id"}, {Name: "id"}},
		DoUpdates: clause.AssignmentColumns(columns),
	}
}

// needs makes the map of tools to scopes equal to the draft: rows of scopes and tools that are gone went with them.
func (w draftWrite) needs(tx *gorm.DB, from, to Draft) error {
	was, is := w.pairs(from), w.pairs(to)
	var gone [][]any
	for pair := range was {
		if !is[pair] {
			gone = append(gone, []any{pair.ToolID, pair.ScopeID})
		}
	}
	for chunk := range slices.Chunk(gone, pairsAtOnce) {
		err := tx.Scopes(rows.Within(w.sc)).Where("(tool_id, scope_id) in ?", chunk).Delete(&toolScopeRow{}).Error
		if err != nil {
			return err
		}
	}
	var written []toolScopeRow
	for pair := range is {
		if !was[pair] {
			written = append(written, pair)
		}
	}
	if len(written) == 0 {
		return nil
	}
	return tx.CreateInBatches(&written, pairsAtOnce).Error
}

// pairsAtOnce keeps a statement below the 65,535 parameters that Postgres takes.
const pairsAtOnce = 10_000

func (w draftWrite) pairs(d Draft) map[toolScopeRow]bool {
	ids := make(map[string]string, len(d.Scopes))
	for _, s := range d.Scopes {
		ids[s.Name] = s.ID
	}
	pairs := map[toolScopeRow]bool{}
	for _, t := range d.Tools {
		for _, name := range t.Scopes {
			pairs[toolScopeRow{w.sc.TenantID, w.sc.EnvironmentID, w.resource, t.ID, ids[name]}] = true
		}
	}
	return pairs
}
