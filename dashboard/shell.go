package dashboard

import (
	"strings"
	"time"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"github.com/ostiary/ostiary/templates/layout"
	"github.com/ostiary/ostiary/templates/ui"
	"github.com/ostiary/ostiary/tenants"
)

// shell is everything around a page of an environment.
func (d *Dashboard) shell(c echo.Context, title string, crumbs ...ui.Link) layout.DashboardView {
	view := shellOf(visitOf(c), title)
	view.Crumbs = crumbs
	markCurrent(view.Nav, c.Request().URL.Path)
	view.Flash = d.takeFlash(c)
	return view
}

func shellOf(v *visit, title string) layout.DashboardView {
	view := layout.DashboardView{
		Title: title,
		Member: layout.MemberView{
			Name: v.member.Name, Detail: v.member.TenantName + " · " + string(v.member.Role), Initials: initials(v.member.Name),
			SignOutURL: "/sign-out",
		},
	}
	for _, env := range v.environments {
		view.Environments = append(view.Environments, layout.EnvironmentItem{
			Name: env.Name, URL: serversURL(env), Production: env.Kind == tenants.KindProduction, Current: env == v.env,
		})
	}
	if v.env != nil {
		view.HomeURL, view.Issuer = serversURL(v.env), v.env.Issuer
		view.Nav = []layout.NavItem{
			{Label: "MCP servers", URL: serversURL(v.env), Icon: ui.IconServer},
			{Label: "Activity", URL: activityURL(v.env), Icon: ui.IconPulse},
			{Label: "Kill switch", URL: stopsURL(v.env), Icon: ui.IconStop},
		}
	}
	return view
}

// markCurrent marks the entry of the navigation that a page belongs to.
func markCurrent(nav []layout.NavItem, path string) {
	for n := range nav {
		nav[n].Current = path == nav[n].URL || strings.HasPrefix(path, nav[n].URL+"/")
	}
}

// initials returns the first letters of the first and the last word.
func initials(name string) string {
	words := strings.Fields(name)
	if len(words) == 0 {
		return ""
	}
	first, _ := utf8.DecodeRuneInString(words[0])
	if len(words) == 1 {
		return strings.ToUpper(string(first))
	}
	last, _ := utf8.DecodeRuneInString(words[len(words)-1])
	return strings.ToUpper(string(first) + string(last))
}

func serversURL(env *tenants.Environment) string { return "/environments/" + env.Slug + "/servers" }

// Ids and slugs consist of letters, digits and hyphens: they need no escaping in paths.
func serverURL(env *tenants.Environment, serverID string) string {
	return serversURL(env) + "/" + serverID
}

func day(t time.Time) string { return t.UTC().Format("2 Jan 2006") }

func moment(t time.Time) string { return t.UTC().Format("2 Jan 2006, 15:04 UTC") }
