package dashboard

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"github.com/ostiary/ostiary/app/web"
	"github.com/ostiary/ostiary/templates/pages"
	"github.com/ostiary/ostiary/templates/ui"
	"github.com/ostiary/ostiary/tenants"
)

const serversPerPage = 20

// showServers shows the MCP servers of an environment.
func (d *Dashboard) showServers(c echo.Context) error {
	env := visitOf(c).env
	query, page := listQuery(c)
	list, total, err := d.resources.List(c.Request().Context(), tenants.ResourceFilter{
		Search: query, Limit: serversPerPage, Offset: (page - 1) * serversPerPage,
	})
	if err != nil {
		return err
	}
	view := pages.ServersView{
		Shell: d.shell(c, "MCP servers", ui.Link{Label: "MCP servers"}),
		Lead:  "The servers Ostiary guards in " + env.Name + ".",
	}
	if total == 0 && query == "" && page == 1 {
		view.Start = serversStart(env)
		return web.Render(c, http.StatusOK, pages.Servers(view))
	}
	for _, s := range list {
		view.Rows = append(view.Rows, serverRow(env, s))
	}
	view.Search = ui.Search{URL: serversURL(env), Value: query, Label: "Search servers", Placeholder: "Name or address"}
	view.Found = &ui.Empty{
		Icon: ui.IconSearch, Title: "No server found", Text: "No name or address contains what you searched for.",
		Action: ui.Action{Label: "Show all servers", URL: serversURL(env)},
	}
	view.Pager = pager(serversURL(env), query, "server", span{page: page, size: serversPerPage, total: total})
	return web.Render(c, http.StatusOK, pages.Servers(view))
}

// listQuery reads a list's search and page from its URL. What makes no sense is the first page of everything.
func listQuery(c echo.Context) (query string, page int) {
	page, err := strconv.Atoi(c.QueryParam("page"))
	if err != nil || page < 1 || page > 1_000_000 {
		page = 1
	}
	query = c.QueryParam("q")
	if len(query) > 200 || !utf8.ValidString(query) || strings.ContainsRune(query, 0) {
		query = ""
	}
	return query, page
}

func serverRow(env *tenants.Environment, s tenants.ResourceSummary) pages.ServerRow {
	row := pages.ServerRow{
		Name: s.Name, URL: serverURL(env, s.ID), Address: s.Identifier, Health: stateOf(s.Resource),
		Tools: strconv.Itoa(s.Tools), Permissions: strconv.Itoa(s.Scopes),
	}
	if s.Unmapped > 0 {
		row.Badges = append(row.Badges, ui.Badge{Tone: ui.ToneWarn, Text: count(s.Unmapped, "unmapped tool")})
	}
	return row
}

func stateOf(r tenants.Resource) ui.Health {
	switch {
	case r.Revision == 0:
		return ui.Health{Text: "Not published"}
	case r.DraftChangedAt != nil:
		return ui.Health{Tone: ui.ToneWarn, Text: "Draft changes"}
	}
	return ui.Health{Tone: ui.ToneSuccess, Text: "Published"}
}

func serversStart(env *tenants.Environment) *pages.ServersStart {
	return &pages.ServersStart{
		Title: "Add your first MCP server",
		Text: "Describe it in a tenant file: its address, its tools, and which permission each tool needs. " +
			"Your server does not change.",
		Command: ui.Snippet{Title: "On the machine that runs Ostiary", Code: "ostiary apply tenant.yaml"},
		Steps: []ui.Fix{
			{Title: "Review the plan", Text: "The command prints what it would change in " + env.Name + " before it does."},
			{Title: "Read it as your customer", Text: "Edit the wording here, beside the real consent page."},
			{Title: "Put the gate in front", Text: "One command, no change to your server."},
			{Title: "Connect a host", Text: "A ready command for Claude, VS Code and Cursor."},
		},
	}
}

// span is which part of a list a page shows.
type span struct{ page, size, total int }

// pager keeps the search in the links, so that every page of a result has an address of its own.
func pager(base, query, noun string, s span) ui.Pager {
	p := ui.Pager{Summary: count(s.total, noun)}
	link := func(page int) string {
		values := url.Values{"page": {strconv.Itoa(page)}}
		if query != "" {
			values.Set("q", query)
		}
		return base + "?" + values.Encode()
	}
	first, last := (s.page-1)*s.size+1, min(s.page*s.size, s.total)
	if s.total > s.size && first <= s.total {
		p.Summary = fmt.Sprintf("%d to %d of %s", first, last, count(s.total, noun))
	}
	if s.page > 1 {
		p.Prev = link(s.page - 1)
	}
	if last < s.total && first <= s.total {
		p.Next = link(s.page + 1)
	}
	return p
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return number(n) + " " + noun + "s"
}

// number writes a count as people read it: 12,300.
func number(n int) string {
	digits := strconv.Itoa(n)
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return digits
}
