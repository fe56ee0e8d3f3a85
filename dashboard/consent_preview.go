package dashboard

import (
	"slices"

	"github.com/ostiary/ostiary/app/policy"
	"github.com/ostiary/ostiary/templates/flow"
	"github.com/ostiary/ostiary/templates/layout"
	"github.com/ostiary/ostiary/templates/ui"
	"github.com/ostiary/ostiary/tenants"
)

// preview is the consent page as the issuer would draw it for the draft with another wording, for an invented user and a
// well-known host. It is the production template; only the people are samples.
func (p wordingPage) preview(typed tenants.WordingUpdate) flow.ConsentView {
	draft := p.status.Draft
	known := map[string]string{}
	for _, t := range draft.ToolsOf(p.permission.Name) {
		if wording, ok := typed.Tools[t.ID]; ok {
			known[t.ID] = wording
		}
	}
	typed.Tools = known // a form may name tools that went in the meantime; the preview goes on without them
	if reworded, err := draft.Reword(p.permission.ID, typed); err == nil {
		draft = reworded
	}
	const host = "claude.ai"
	return flow.ConsentView{
		Branding: layout.Branding{Name: p.visit.env.ProductName()},
		Title:    host + " wants to use " + draft.Resource.Name,
		Lead:     "It will act as you, and only within what you allow here.",
		Asker:    flow.Asker{Host: host, Name: "Claude"},
		Server:   flow.Party{Name: draft.Resource.Name, Address: hostOf(draft.Resource.Identifier)},
		User:     flow.Party{Name: "Sample User", Address: "user@example.com"}, Organization: "Sample Company",
		Question: "What may it do?", Notes: flow.NotesFor("it"), NoPreset: len(draft.Scopes) < 3,
		Groups: previewGroups(draft, p.permission.ID), NoGroups: "Nothing to allow yet.",
		Durations: flow.DurationsFor(false), Return: flow.Return{Words: host},
		Footnote: flow.Footnote, Preview: true,
	}
}

// previewGroups returns all permissions of the draft by risk, the gentlest first, the edited one open.
func previewGroups(d tenants.Draft, edited string) []flow.Group {
	var groups []flow.Group
	for _, risk := range [...]policy.Risk{policy.RiskRead, policy.RiskWrite, policy.RiskDestructive} {
		var permissions []flow.Permission
		for _, s := range d.Scopes {
			if s.Risk == risk {
				permissions = append(permissions, previewPermission(d, s, s.ID == edited))
			}
		}
		if len(permissions) > 0 {
			groups = append(groups, flow.GroupOf(ui.Risk(risk), permissions...))
		}
	}
	return groups
}

func previewPermission(d tenants.Draft, s tenants.Scope, edited bool) flow.Permission {
	permission := flow.Permission{
		Scope: s.Name, Title: s.Title, Description: s.Description, Warning: s.Warning,
		Ticked: !s.NeverTicked, Required: s.Required, Edited: edited,
	}
	for _, t := range d.ToolsOf(s.Name) {
		permission.Tools = append(permission.Tools, flow.Tool{Name: t.Name, Wording: t.Wording})
	}
	slices.SortFunc(permission.Tools, func(a, b flow.Tool) int { // as the issuer does
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	permission.ToolsLabel = flow.ToolsLabel(len(permission.Tools))
	return permission
}
