package dashboard

import (
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/ostiary/ostiary/app/policy"
	"github.com/ostiary/ostiary/app/web"
	"github.com/ostiary/ostiary/templates/pages"
	"github.com/ostiary/ostiary/templates/ui"
	"github.com/ostiary/ostiary/tenants"
	"github.com/ostiary/ostiary/tenants/calllog"
)

// showStopConfirm says what a stop would hold, before anybody acts.
func (d *Dashboard) showStopConfirm(c echo.Context) error {
	n := tenants.NewStop{
		Kind: policy.StopKind(c.QueryParam(fieldKind)), ResourceID: c.QueryParam(fieldServer),
		Value: c.QueryParam(fieldValue), Reason: c.QueryParam(fieldReason),
	}
	impact, err := d.stops.Impact(c.Request().Context(), n)
	if err != nil {
		return err
	}
	v := visitOf(c)
	base, stop := stopsURL(v.env), impact.Stop
	title := "Stop " + stop.Name + "?"
	switch stop.Kind {
	case policy.StopTool:
		title = "Stop " + stop.Name + " of " + stop.Server + "?"
	case policy.StopHost:
		title = "Stop " + d.stoppedHost(stop.Value) + "?"
	case policy.StopUser, policy.StopOrganization, policy.StopServer:
	}
	view := pages.StopConfirmView{
		Shell: d.shell(c, title, ui.Link{Label: "Kill switch", URL: base}, ui.Link{Label: "Confirm"}),
		Title: title, Lead: "It takes effect within 5 seconds, at every MCP server and in every host. The next call is refused and says " +
			"why. Sign-ins and connections stay, and you can lift it at any time.",
		Numbers: []ui.Fact{
			{Label: "Live connections", Value: number(impact.Grants)}, {Label: "People", Value: number(impact.Users)},
			{Label: "Calls in the last 24 hours", Value: number(impact.Calls)},
			{Label: "Tools", Value: toolsText(impact)},
		},
		Action: base, Cancel: ui.Link{Label: "Keep it on", URL: base},
		Hidden: []ui.Hidden{
			{Name: fieldKind, Value: string(stop.Kind)}, {Name: fieldServer, Value: stop.ResourceID},
			{Name: fieldValue, Value: stop.Value}, {Name: fieldReason, Value: n.Reason},
		},
	}
	if n.Reason != "" {
		view.Numbers = append(view.Numbers, ui.Fact{Label: "Why", Value: n.Reason})
	}
	switch {
	case impact.Live != nil:
		view.Notice = &ui.Notice{
			Tone: ui.ToneWarn, What: "It is stopped already, since " + moment(impact.Live.CreatedAt) + ".",
			Then: "Lift it in the list to let it work again.",
		}
		view.Cancel.Label = "Back to the list"
	case tenants.CanEdit(v.member.Role):
		view.Stop = stopVerb(impact)
	}
	return web.Render(c, http.StatusOK, pages.StopConfirm(view))
}

// stopVerb is the button: it says for how many.
func stopVerb(i tenants.Impact) string {
	if i.Users == 0 {
		return "Stop " + strings.ToLower(kindWord(i.Stop.Kind)[:1]) + kindWord(i.Stop.Kind)[1:]
	}
	return "Stop it for " + people(i.Users)
}

func people(n int) string {
	if n == 1 {
		return "1 person"
	}
	return number(n) + " people"
}

func toolsText(i tenants.Impact) string {
	if len(i.Tools) == 0 {
		return "None was called in the last 24 hours"
	}
	return calllog.Shown(strings.Join(i.Tools, ", "))
}
