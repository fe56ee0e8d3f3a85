package tenants

import (
	"context"

	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/tenants/check"
)

// WordingUpdate is what people read about one permission and the tools it allows.
type WordingUpdate struct {
	Version     string // WordingVersion of the draft that was edited; "" to overwrite whatever is there
	Title       string
	Description string
	Warning     string
	Tools       map[string]string // tool id -> wording; tools that are absent keep theirs
}

// WordingVersion names the present wording of a permission and its tools, so that a save over somebody else's can be told.
func (d *Draft) WordingVersion(scopeID string) string {
	s := d.ScopeByID(scopeID)
	if s == nil {
		return ""
	}
	parts := []string{s.Title, s.Description, s.Warning}
	for _, t := range d.ToolsOf(s.Name) {
		parts = append(parts, t.ID, t.Wording)
	}
	return contentVersion(parts...)
}

// Reword returns the draft with another wording of one permission. It is what UpdateWording would save, for previews: it
// checks nothing but that permission and tools exist. Errors: errs.NotFound.
func (d *Draft) Reword(scopeID string, u WordingUpdate) (Draft, error) {
	to := d.clone()
	s := to.ScopeByID(scopeID)
	if s == nil {
		return Draft{}, noPermission()
	}
	s.Title, s.Description, s.Warning = u.Title, u.Description, u.Warning
	allowed := map[string]bool{}
	for _, t := range to.ToolsOf(s.Name) {
		allowed[t.ID] = true
	}
	for id, wording := range u.Tools {
		if !allowed[id] {
			return Draft{}, noTool()
		}
		to.ToolByID(id).Wording = wording
	}
	return to, nil
}

// Validate returns what is wrong with the wording, by form field: title, description, warning, "tool." and the tool's id.
func (u WordingUpdate) Validate() check.Problems {
	var p check.Problems
	p.Add("title", check.Text(u.Title, maxTitle))
	p.Add("description", check.OptionalText(u.Description, maxDescription))
	p.Add("warning", check.OptionalText(u.Warning, maxWarning))
	for id, wording := range u.Tools {
		p.Add("tool."+id, check.OptionalText(wording, maxWording))
	}
	return p
}

// UpdateWording saves another wording of one permission to the draft. Errors: errs.Invalid with the form's fields,
// errs.Conflict when the wording changed since Version, errs.NotFound, errs.Forbidden.
func (s *Resources) UpdateWording(ctx context.Context, resourceID, scopeID string, u WordingUpdate) (Draft, error) {
	if err := AuthorizeEdit(ctx); err != nil {
		return Draft{}, err
	}
	if err := u.Validate().Err(); err != nil {
		return Draft{}, err
	}
	return s.edit(ctx, resourceID, scopeEvent("wording.updated", scopeID), func(d *Draft) error {
		now := d.WordingVersion(scopeID)
		if now == "" {
			return noPermission()
		}
		if u.Version != "" && u.Version != now {
			return &errs.Error{
				Kind: errs.Conflict, Code: "wording_changed",
				Msg: "Somebody else changed this wording after you opened it. Your text is still below; compare, then save again.",
			}
		}
		to, err := d.Reword(scopeID, u)
		if err != nil {
			return err
		}
		*d = to
		return nil
	})
}
