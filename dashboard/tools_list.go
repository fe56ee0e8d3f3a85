package dashboard

import (
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/ostiary/ostiary/app/web"
	"github.com/ostiary/ostiary/templates/pages"
	"github.com/ostiary/ostiary/templates/ui"
	"github.com/ostiary/ostiary/tenants"
)

const toolsPerPage = 50

// showTools shows the tools of an MCP server, their wording and what allows them.
func (d *Dashboard) showTools(c echo.Context) error {
	p, err := d.loadServer(c, tabTools)
	if err != nil {
		return err
	}
	query, page := listQuery(c)
	found := findTools(p.status.Draft.Tools, query)
	view := &pages.ToolsView{
		Search: ui.Search{URL: p.url(tabTools), Value: query, Label: "Find a tool", Placeholder: "Name or wording"},
		Pager:  pager(p.url(tabTools), query, "tool", span{page: page, size: toolsPerPage, total: len(found)}),
		Empty: ui.Empty{
			Icon: ui.IconTool, Title: "No tools", Text: "Name them in the tenant file: a tool that is not listed is refused.",
		},
	}
	if query != "" {
		view.Empty = ui.Empty{
			Icon: ui.IconSearch, Title: "No tool found", Text: "No name or wording contains what you searched for.",
			Action: ui.Action{Label: "Show all tools", URL: p.url(tabTools)},
		}
	}
	from := min((page-1)*toolsPerPage, len(found))
	for _, t := range found[from:min(from+toolsPerPage, len(found))] {
		view.Rows = append(view.Rows, p.toolRow(t))
	}
	return web.Render(c, http.StatusOK, pages.Server(pages.ServerView{
		Shell: d.serverShell(c, p, "Tools"), Head: p.head(), Alerts: p.alerts(), Tools: view,
	}))
}

func findTools(tools []tenants.Tool, query string) []tenants.Tool {
	query = strings.ToLower(query)
	var found []tenants.Tool
	for _, t := range tools {
		if strings.Contains(strings.ToLower(t.Name+"\n"+t.Wording), query) {
			found = append(found, t)
		}
	}
	return found
}

func (p serverPage) toolRow(t tenants.Tool) pages.ToolRow {
	row := pages.ToolRow{Name: t.Name, Wording: t.Wording, Unmapped: len(t.Scopes) == 0, Badges: kindBadges(t)}
	for _, s := range p.status.Draft.Scopes {
		for _, name := range t.Scopes {
			if name == s.Name {
				row.Permissions = append(row.Permissions, pages.ToolPermission{
					Title: s.Title, Scope: s.Name, Risk: ui.Risk(s.Risk), URL: p.url(tabWording, s.ID),
				})
			}
		}
	}
	if len(t.Scopes) > 1 && t.Match == "any" {
		row.Badges = append(row.Badges, ui.Badge{Text: "any of them"})
	}
	return row
}
