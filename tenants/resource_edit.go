package tenants

import (
	"cmp"
	"context"
	"slices"

	"github.com/ostiary/ostiary/app/audit"
	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/policy"
	"github.com/ostiary/ostiary/app/secret"
)

// ResourceUpdate is what can be changed about the server itself.
type ResourceUpdate struct {
	Identifier       string // canonicalised by Update
	Name             string
	DocumentationURL string
	Mode             policy.Mode
	Offline          *policy.Offline // left as it is when nil
	Aliases          []string
}

// Update changes the server itself in its draft. Errors: errs.Invalid, errs.Conflict when an address is taken,
// errs.NotFound, errs.Forbidden.
func (s *Resources) Update(ctx context.Context, id string, u ResourceUpdate) (Draft, error) {
	identifier, err := CanonicalIdentifier(u.Identifier)
	if err != nil {
		return Draft{}, fieldError("identifier", err)
	}
	event := audit.Event{Action: "resource.updated", Detail: map[string]any{"identifier": identifier, "name": u.Name}}
	return s.edit(ctx, id, event, func(d *Draft) error {
		d.Resource.Identifier, d.Resource.Name, d.Resource.DocumentationURL = identifier, u.Name, u.DocumentationURL
		d.Resource.Mode, d.Aliases = u.Mode, u.Aliases
		if u.Offline != nil {
			d.Resource.Offline = *u.Offline
		}
		return nil
	})
}

// CreateScope adds a permission at the end of the list. Errors as Update.
func (s *Resources) CreateScope(ctx context.Context, resourceID string, n Scope) (Scope, error) {
	n.ID = secret.NewID("scp")
	d, err := s.edit(ctx, resourceID, scopeEvent("scope.created", n.Name), func(d *Draft) error {
		d.Scopes = append(d.Scopes, n)
		return nil
	})
	if err != nil {
		return Scope{}, err
	}
	return *d.ScopeByID(n.ID), nil
}

// UpdateScope replaces a permission, all but its id and its name: grants name it. Errors as Update.
func (s *Resources) UpdateScope(ctx context.Context, resourceID string, u Scope) (Scope, error) {
	d, err := s.edit(ctx, resourceID, scopeEvent("scope.updated", u.ID), func(d *Draft) error {
		was := d.ScopeByID(u.ID)
		if was == nil {
			return noPermission()
		}
		u.Name = was.Name
		*was = u
		return nil
	})
	if err != nil {
		return Scope{}, err
	}
	return *d.ScopeByID(u.ID), nil
}

// DeleteScope removes a permission; tools that needed only it become unmapped. Errors as Update; errs.Invalid when another
// permission implies it.
func (s *Resources) DeleteScope(ctx context.Context, resourceID, scopeID string) error {
	_, err := s.edit(ctx, resourceID, scopeEvent("scope.deleted", scopeID), func(d *Draft) error {
		gone := d.ScopeByID(scopeID)
		if gone == nil {
			return noPermission()
		}
		name := gone.Name
		d.Scopes = slices.DeleteFunc(d.Scopes, func(s Scope) bool { return s.ID == scopeID })
		for i := range d.Tools {
			d.Tools[i].Scopes = slices.DeleteFunc(d.Tools[i].Scopes, func(s string) bool { return s == name })
		}
		return nil
	})
	return err
}

func scopeEvent(action, scope string) audit.Event {
	return audit.Event{Action: action, Detail: map[string]any{"scope": scope}}
}

func noPermission() error { return errs.New(errs.NotFound, "There is no such permission.") }

// CreateTool adds a tool at the end of the list. Errors as Update.
func (s *Resources) CreateTool(ctx context.Context, resourceID string, n Tool) (Tool, error) {
	n.ID = secret.NewID("tool")
	d, err := s.edit(ctx, resourceID, toolEvent("tool.created", n.Name), func(d *Draft) error {
		d.Tools = append(d.Tools, n)
		return nil
	})
	if err != nil {
		return Tool{}, err
	}
	return *d.ToolByID(n.ID), nil
}

// UpdateTool replaces a tool and what it needs, all but its id, its kind and its name. Errors as Update.
func (s *Resources) UpdateTool(ctx context.Context, resourceID string, u Tool) (Tool, error) {
	d, err := s.edit(ctx, resourceID, toolEvent("tool.updated", u.ID), func(d *Draft) error {
		was := d.ToolByID(u.ID)
		if was == nil {
			return noTool()
		}
		u.Kind, u.Name = was.Kind, was.Name
		*was = u
		return nil
	})
	if err != nil {
		return Tool{}, err
	}
	return *d.ToolByID(u.ID), nil
}

// DeleteTool removes a tool: calls to it are refused once that is published. Errors as Update.
func (s *Resources) DeleteTool(ctx context.Context, resourceID, toolID string) error {
	_, err := s.edit(ctx, resourceID, toolEvent("tool.deleted", toolID), func(d *Draft) error {
		if d.ToolByID(toolID) == nil {
			return noTool()
		}
		d.Tools = slices.DeleteFunc(d.Tools, func(t Tool) bool { return t.ID == toolID })
		return nil
	})
	return err
}

// MapTool sets which permissions a tool needs, by name. Errors as Update.
func (s *Resources) MapTool(
	ctx context.Context, resourceID, toolID string, match policy.Match, scopes []string,
) (Tool, error) {
	event := audit.Event{Action: "tool.mapped", Detail: map[string]any{"tool": toolID, "scopes": scopes}}
	d, err := s.edit(ctx, resourceID, event, func(d *Draft) error {
		t := d.ToolByID(toolID)
		if t == nil {
			return noTool()
		}
		t.Match, t.Scopes = match, scopes
		return nil
	})
	if err != nil {
		return Tool{}, err
	}
	return *d.ToolByID(toolID), nil
}

func toolEvent(action, tool string) audit.Event {
	return audit.Event{Action: action, Detail: map[string]any{"tool": tool}}
}

func noTool() error { return errs.New(errs.NotFound, "There is no such tool.") }

// Replace makes the draft equal to d: its server, aliases, permissions, tools and map, in this order. Permissions and
// tools are matched by name and keep their ids. Errors as Update.
func (s *Resources) Replace(ctx context.Context, id string, d Draft) (Draft, error) {
	return s.edit(ctx, id, audit.Event{Action: "resource.replaced"}, func(current *Draft) error {
		*current = current.Adopt(d)
		return nil
	})
}

// Adopt returns next with the identities of d: ids of what has the same name, and what only d knows about the server and
// its tools.
func (d *Draft) Adopt(next Draft) Draft {
	to := next.clone()
	r := d.Resource
	r.Identifier, r.Name, r.DocumentationURL, r.Mode = next.Resource.Identifier, next.Resource.Name,
		next.Resource.DocumentationURL, next.Resource.Mode
	r.Offline = next.Resource.Offline
	to.Resource = r
	scopes, tools := map[string]string{}, map[toolKey]Tool{}
	for _, s := range d.Scopes {
		scopes[s.Name] = s.ID
	}
	for _, t := range d.Tools {
		tools[t.key()] = t
	}
	for i := range to.Scopes {
		if to.Scopes[i].ID = scopes[to.Scopes[i].Name]; to.Scopes[i].ID == "" {
			to.Scopes[i].ID = secret.NewID("scp")
		}
	}
	for i := range to.Tools {
		t, known := tools[to.Tools[i].key()]
		if !known {
			t.ID = secret.NewID("tool")
		}
		to.Tools[i].ID = t.ID
		// Imported from the server, which a description of the draft need not repeat.
		to.Tools[i].Description = cmp.Or(to.Tools[i].Description, t.Description)
		to.Tools[i].Fingerprint = cmp.Or(to.Tools[i].Fingerprint, t.Fingerprint)
	}
	return to
}
