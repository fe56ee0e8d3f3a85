package dashboard

import (
	"net/http"
	"slices"

	"github.com/labstack/echo/v4"

	"github.com/ostiary/ostiary/app/web"
	"github.com/ostiary/ostiary/templates/pages"
	"github.com/ostiary/ostiary/templates/ui"
	"github.com/ostiary/ostiary/tenants"
)

// showPermissions shows which permission each tool needs, and where the draft differs from what is published.
func (d *Dashboard) showPermissions(c echo.Context) error {
	p, err := d.loadServer(c, tabPermissions)
	if err != nil {
		return err
	}
	query, _ := listQuery(c)
	view := &pages.PermissionsView{
		Matrix: ui.Matrix{ReadOnly: true},
		Search: ui.Search{URL: p.url(tabPermissions), Value: query, Label: "Find a tool", Placeholder: "Find a tool"},
		Note:   unmappedNote(p.status.Draft.Unmapped()),
		Empty: ui.Empty{
			Icon: ui.IconTool, Title: "Nothing to map yet",
			Text: "Name the server's tools and permissions in the tenant file, and apply it.",
		},
	}
	if query != "" {
		view.Empty = ui.Empty{
			Icon: ui.IconSearch, Title: "No tool found", Text: "No name or wording contains what you searched for.",
			Action: ui.Action{Label: "Show all tools", URL: p.url(tabPermissions)},
		}
	}
	for _, s := range p.status.Draft.Scopes {
		view.Matrix.Columns = append(view.Matrix.Columns, ui.MatrixColumn{
			Title: s.Title, Scope: s.Name, Risk: ui.Risk(s.Risk), URL: p.url(tabWording, s.ID),
		})
	}
	for _, t := range findTools(p.status.Draft.Tools, query) {
		view.Matrix.Rows = append(view.Matrix.Rows, p.matrixRow(t))
	}
	return web.Render(c, http.StatusOK, pages.Server(pages.ServerView{
		Shell: d.serverShell(c, p, "Permissions"), Head: p.head(), Alerts: p.alerts(), Permissions: view,
	}))
}

func (p serverPage) matrixRow(t tenants.Tool) ui.MatrixRow {
	row := ui.MatrixRow{Tool: t.Name, Text: t.Wording, Unmapped: len(t.Scopes) == 0, Badges: kindBadges(t)}
	for _, s := range p.status.Draft.Scopes {
		cell := ui.MatrixCell{On: slices.Contains(t.Scopes, s.Name), Was: p.wasNeeded(t, s.Name)}
		row.Changed = row.Changed || cell.On != cell.Was
		row.Cells = append(row.Cells, cell)
	}
	if len(t.Scopes) > 1 && t.Match == "any" {
		row.Badges = append(row.Badges, ui.Badge{Text: "any of them"})
	}
	if p.status.Published == nil { // everything is new then: nothing was anywhere else
		row.Changed = false
	}
	return row
}

func unmappedNote(n int) string {
	switch n {
	case 0:
		return ""
	case 1:
		return "1 unmapped tool. Hosts do not see it and every call is refused until it has a permission."
	}
	return count(n, "unmapped tool") + ". Hosts do not see them and every call is refused until they have a permission."
}
