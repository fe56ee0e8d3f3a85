package dashboard

import (
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"

	"github.com/ostiary/ostiary/app/policy"
	"github.com/ostiary/ostiary/app/web"
	"github.com/ostiary/ostiary/templates/pages"
	"github.com/ostiary/ostiary/templates/ui"
	"github.com/ostiary/ostiary/tenants"
)

const stopsPerPage = 25

// showStops lists what is stopped, and what was.
func (d *Dashboard) showStops(c echo.Context) error {
	v := visitOf(c)
	live, lifted, err := d.stops.List(c.Request().Context())
	if err != nil {
		return err
	}
	shown, at := stopsPage(c, live)
	view := pages.StopsView{
		Shell: d.shell(c, "Kill switch", ui.Link{Label: "Kill switch"}), Pager: pager(stopsURL(v.env), "", "stop", at),
		Lead: "What an administrator holds in " + v.env.Name + ". Calls are refused within seconds, at every MCP server; " +
			"sign-ins and connections stay.",
		Empty: ui.Empty{
			Icon: ui.IconStop, Title: "Nothing is stopped",
			Text: "In an incident you can stop one tool, a user, an organization, a host or a whole MCP server, and lift it again.",
		},
	}
	canEdit := tenants.CanEdit(v.member.Role)
	if canEdit {
		view.New = ui.Action{Label: "Stop something", URL: stopsURL(v.env) + "/new"}
	}
	for _, s := range shown {
		row := d.stopRow(s)
		if canEdit {
			row.Lift = ui.Action{Label: "Lift", URL: onPage(stopsURL(v.env)+"/"+s.ID+"/lift", at.page), Post: true}
		}
		view.Live = append(view.Live, row)
	}
	for _, s := range lifted {
		row := d.stopRow(s)
		row.Ended = moment(*s.LiftedAt) + ", " + s.LiftedBy
		view.Lifted = append(view.Lifted, row)
	}
	if len(lifted) == tenants.ListedHistory {
		view.Older = "The latest " + number(len(lifted))
	}
	return web.Render(c, http.StatusOK, pages.Stops(view))
}

// stopsPage is the part of a list that was asked for: the last one, when the list has become shorter than that.
func stopsPage(c echo.Context, list []tenants.Stop) ([]tenants.Stop, span) {
	_, page := listQuery(c)
	last := max((len(list)+stopsPerPage-1)/stopsPerPage, 1)
	at := span{page: min(page, last), size: stopsPerPage, total: len(list)}
	from := (at.page - 1) * at.size
	return list[from:min(from+at.size, at.total)], at
}

func (d *Dashboard) stopRow(s tenants.Stop) pages.StopRow {
	row := pages.StopRow{
		Kind: kindWord(s.Kind), Name: s.Name, Reason: s.Reason, Since: moment(s.CreatedAt), By: s.CreatedBy,
		Mono: s.Kind == policy.StopTool || s.Kind == policy.StopHost,
	}
	switch s.Kind {
	case policy.StopTool:
		row.Detail = s.Server
	case policy.StopHost:
		if row.Name = d.stoppedHost(s.Value); row.Name != s.Value {
			row.Detail, row.Mono = s.Value, false
		}
	case policy.StopUser, policy.StopOrganization:
		if s.Name != s.Value {
			row.ID = s.Value
		}
	case policy.StopServer:
	}
	return row
}

// stoppedHost is what people call a host that is stopped.
func (d *Dashboard) stoppedHost(id string) string {
	if id == policy.HostUnverified {
		return "Apps nobody could check"
	}
	return d.hostName(id)
}

// kindWord is a kind as people say it.
func kindWord(k policy.StopKind) string {
	switch k {
	case policy.StopTool:
		return "Tool"
	case policy.StopUser:
		return "User"
	case policy.StopOrganization:
		return "Organization"
	case policy.StopHost:
		return "Host"
	case policy.StopServer:
		return "MCP server"
	}
	return string(k)
}

func stopsURL(env *tenants.Environment) string { return "/environments/" + env.Slug + "/stops" }

// onPage adds which page of a list is meant, or is to be returned to.
func onPage(url string, page int) string {
	if page <= 1 {
		return url
	}
	return url + "?page=" + strconv.Itoa(page)
}
