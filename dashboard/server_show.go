package dashboard

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/ostiary/ostiary/app/web"
	"github.com/ostiary/ostiary/templates/pages"
	"github.com/ostiary/ostiary/templates/ui"
)

// showServer shows what an MCP server is and how to connect to it.
func (d *Dashboard) showServer(c echo.Context) error {
	p, err := d.loadServer(c, tabOverview)
	if err != nil {
		return err
	}
	return web.Render(c, http.StatusOK, pages.Server(pages.ServerView{
		Shell: d.serverShell(c, p, ""), Head: p.head(), Alerts: p.alerts(), Overview: p.overview(),
	}))
}

func (p serverPage) overview() *pages.OverviewView {
	r := p.server()
	view := &pages.OverviewView{Facts: []ui.Fact{
		{Label: "Address", Value: r.Identifier, Copy: true},
		{Label: "Server id", Value: r.ID, Copy: true},
		{Label: "Issuer", Value: p.visit.env.Issuer, Copy: true},
		{Label: "Mode", Value: modeWords(string(r.Mode))},
		{Label: "Permissions", Value: strconv.Itoa(len(p.status.Draft.Scopes)), URL: p.url(tabPermissions)},
		{Label: "Tools", Value: strconv.Itoa(len(p.status.Draft.Tools)), URL: p.url(tabTools)},
		{Label: "Published", Value: p.publishedWords()},
	}}
	for _, alias := range p.status.Draft.Aliases {
		view.Facts = append(view.Facts, ui.Fact{Label: "Also known as", Value: alias, Copy: true})
	}
	if r.DocumentationURL != "" {
		view.Facts = append(view.Facts, ui.Fact{Label: "Documentation", Value: r.DocumentationURL, URL: r.DocumentationURL})
	}
	if r.Revision > 0 {
		view.Connect, view.ConnectLead = p.snippets(), "Each host signs people in and asks for consent by itself."
	}
	return view
}

func modeWords(mode string) string {
	if mode == "shadow" {
		return "Shadow: calls that lack a permission are noted, not refused"
	}
	return "Enforce: calls that lack a permission are refused"
}

func (p serverPage) publishedWords() string {
	if p.status.Published == nil {
		return "Not yet"
	}
	return "Revision " + strconv.Itoa(p.status.Published.Number) + ", " + moment(p.status.Published.PublishedAt)
}

// snippets are ready to paste. Addresses and names were checked when they were saved; quoting keeps a shell from reading
// anything into them all the same.
func (p serverPage) snippets() []ui.Snippet {
	r := p.server()
	name := commandName(r.Name)
	return []ui.Snippet{
		{Title: "Claude Code", Code: "claude mcp add --transport http " + name + " " + shellQuote(r.Identifier)},
		{Title: "VS Code", Code: `code --add-mcp '{"name":"` + name + `","type":"http","url":"` + r.Identifier + `"}'`},
		{
			Title: "Cursor", Hint: "In .cursor/mcp.json",
			Code: `{"mcpServers":{"` + name + `":{"url":"` + r.Identifier + `"}}}`,
		},
		{
			Title: "Gate", Hint: "In front of the server, when it does not check tokens itself",
			Code: "ostiary gate --issuer " + shellQuote(p.visit.env.Issuer) + " --server " + r.ID + " --upstream URL",
		},
	}
}

// commandName turns a name into a word that every host takes.
func commandName(name string) string {
	word := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r == ' ', r == '-', r == '_':
			return '-'
		}
		return -1
	}, strings.ToLower(name))
	word = strings.Trim(word, "-")
	if word == "" {
		return "mcp-server"
	}
	return word
}

// shellQuote leaves plain addresses as they are and puts others in quotes.
func shellQuote(s string) string {
	plain := !strings.ContainsFunc(s, func(r rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:/.-_~", r)
	})
	if plain {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
