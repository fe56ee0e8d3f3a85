package oauth

import (
	"slices"
	"strings"
	"sync"

	"github.com/ostiary/ostiary/app/policy"
	"github.com/ostiary/ostiary/templates/flow"
	"github.com/ostiary/ostiary/templates/ui"
	"github.com/ostiary/ostiary/tenants"
)

// permission is a scope as the consent page asks for it.
type permission struct {
	risk policy.Risk
	page flow.Permission
}

func newResource(p tenants.Published) *Resource {
	r := &Resource{Document: p.Document, offered: offeredScopes(p)}
	r.permissions = sync.OnceValue(r.drawPermissions)
	return r
}

// drawPermissions returns everything the resource can be asked for, by scope. A published policy does not change.
func (r *Resource) drawPermissions() map[string]permission {
	all := make(map[string]permission, len(r.Scopes)+2)
	add := func(name string) {
		s, _ := r.scope(name)
		tools := toolsOf(r, name)
		page := flow.Permission{
			Scope: name, Title: s.Title, Description: s.Description, Warning: s.Warning,
			Ticked: !s.NeverTicked && s.Risk != policy.RiskDestructive, Required: s.Required,
			Tools: tools, ToolsLabel: flow.ToolsLabel(len(tools)),
		}
		all[name] = permission{risk: s.Risk, page: page.Drawn(ui.Risk(s.Risk))}
	}
	for name := range r.Scopes {
		add(name)
	}
	add(scopeProfile)
	add(scopeEmail)
	return all
}

// groups returns the permissions by risk, the gentlest first, each with the tools it allows.
func (r *Resource) groups(names []string, isNew bool) []flow.Group {
	var groups []flow.Group
	all := r.permissions()
	for _, risk := range [...]policy.Risk{policy.RiskRead, policy.RiskWrite, policy.RiskDestructive} {
		var permissions []flow.Permission
		for _, name := range names {
			if p, ok := all[name]; ok && p.risk == risk {
				p.page.New = isNew
				permissions = append(permissions, p.page)
			}
		}
		if len(permissions) > 0 {
			groups = append(groups, flow.GroupOf(ui.Risk(risk), permissions...))
		}
	}
	return groups
}

func toolsOf(r *Resource, scope string) []flow.Tool {
	var tools []flow.Tool
	for name, t := range r.Tools {
		if slices.Contains(t.Scopes, scope) {
			tools = append(tools, flow.Tool{Name: name, Wording: t.Wording})
		}
	}
	slices.SortFunc(tools, func(a, b flow.Tool) int { return strings.Compare(a.Name, b.Name) })
	return tools
}
