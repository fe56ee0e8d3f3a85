package dashboard

import (
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/ostiary/ostiary/app/policy"
	"github.com/ostiary/ostiary/app/web"
	"github.com/ostiary/ostiary/templates/pages"
	"github.com/ostiary/ostiary/templates/ui"
	"github.com/ostiary/ostiary/tenants"
	"github.com/ostiary/ostiary/tenants/calllog"
)

const callsPerPage = 25

// showCalls shows which app called which tool for whom, and how it was decided.
func (d *Dashboard) showCalls(c echo.Context) error {
	ctx, env := c.Request().Context(), visitOf(c).env
	q := readCallQuery(c)
	page, err := d.calls.List(ctx, q.filter(d.now()))
	if err != nil {
		return err
	}
	lost, err := d.calls.Lost(ctx, "", d.now().Add(-7*24*time.Hour))
	if err != nil {
		return err
	}
	view := pages.CallsView{
		Shell: d.shell(c, "Calls", ui.Link{Label: "Activity", URL: activityURL(env)}, ui.Link{Label: "Calls"}),
		Lead:  "Which app called which tool for whom in " + env.Name + ", and how it was decided.",
		Tabs:  activityTabs(env, true), Empty: callsEmpty(env, q), Pager: callsPager(env, q, page), Lost: lostNotice(lost),
	}
	if len(page.Calls) > 0 || q.isFiltered() || page.Newer || page.Older {
		if view.Filters, err = d.callFilters(ctx, env, q); err != nil {
			return err
		}
	}
	for _, call := range page.Calls {
		view.Rows = append(view.Rows, d.callRow(env, call))
	}
	return web.Render(c, http.StatusOK, pages.Calls(view))
}

func activityTabs(env *tenants.Environment, calls bool) []ui.Tab {
	return []ui.Tab{
		{Label: "Connections", URL: activityURL(env), Current: !calls}, {Label: "Calls", URL: callsURL(env), Current: calls},
	}
}

func lostNotice(lost int64) *ui.Notice {
	if lost == 0 {
		return nil
	}
	return &ui.Notice{
		Tone: ui.ToneWarn, What: "This list has gaps: " + count(int(lost), "call") + " of the last week were lost before they could be reported.",
		Then: "Gates drop the oldest when the issuer is out of reach for long.",
	}
}

func callsEmpty(env *tenants.Environment, q callQuery) ui.Empty {
	if q.isFiltered() || q.before != (calllog.Cursor{}) || q.after != (calllog.Cursor{}) {
		return ui.Empty{
			Icon: ui.IconSearch, Title: "No call found", Text: "No call that is kept fits all of these filters.",
			Action: ui.Action{Label: "Show all calls", URL: callsURL(env)},
		}
	}
	return ui.Empty{
		Icon: ui.IconPulse, Title: "No call has been reported yet",
		Text: "Gates and SDKs report their calls once they have the credential of their MCP server: name one under its resource in the " +
			"tenant file, then start the gate with it.",
		Command: "ostiary gate --credential-file FILE …",
	}
}

func callsPager(env *tenants.Environment, q callQuery, page calllog.Page) ui.Pager {
	n := len(page.Calls)
	if n == 0 || (!page.Newer && !page.Older) {
		return ui.Pager{Summary: count(n, "call")}
	}
	link := func(name string, at calllog.Call) string {
		v := q.values()
		v.Set(name, cursorText(at.Cursor()))
		return callsURL(env) + "?" + v.Encode()
	}
	p := ui.Pager{Summary: clockTime(page.Calls[n-1].At) + " to " + clockTime(page.Calls[0].At)}
	if page.Newer {
		p.Prev = link("after", page.Calls[0])
	}
	if page.Older {
		p.Next = link("before", page.Calls[n-1])
	}
	return p
}

func (d *Dashboard) callRow(env *tenants.Environment, c calllog.Call) pages.CallRow {
	row := pages.CallRow{
		Tool: calllog.Shown(c.Tool), Server: c.ResourceName, URL: callURL(env, c.ID), Decision: decisionWords(c.Decision()),
		User: callUser(c), Organization: c.OrganizationName, Host: d.hostName(c.Host), Took: took(c.LatencyUS), When: clockTime(c.At),
	}
	if c.Decision() != calllog.Allowed {
		row.Reason = reasonWords(c.Reason)
	}
	return row
}

func callUser(c calllog.Call) string {
	if c.UserName != "" {
		return c.UserName
	}
	return calllog.Shown(c.User)
}

// hostName is what people call a host.
func (d *Dashboard) hostName(id string) string {
	if id == "" {
		return "Not verified"
	}
	for _, h := range d.hosts {
		if h.ID == id {
			return h.Name
		}
	}
	return calllog.Shown(id)
}

func decisionWords(d calllog.Decision) ui.Health {
	switch d {
	case calllog.Allowed:
		return ui.Health{Tone: ui.ToneSuccess, Text: "Allowed"}
	case calllog.Shadowed:
		return ui.Health{Tone: ui.ToneWarn, Text: "Let through"}
	case calllog.Denied:
	}
	return ui.Health{Tone: ui.ToneDanger, Text: "Denied"}
}

func reasonWords(r policy.Reason) string {
	switch r {
	case policy.ReasonInsufficientScope:
		return "Permission missing"
	case policy.ReasonUnknownTool:
		return "Unknown tool"
	case policy.ReasonUnmappedTool:
		return "Tool not mapped"
	case policy.ReasonRevoked:
		return "Revoked"
	case policy.ReasonStopped:
		return "Stopped"
	case policy.ReasonOutOfContact:
		return "Issuer out of reach"
	case policy.ReasonAllowed:
		return "Allowed"
	}
	return string(r)
}

// took writes a latency in the unit that fits.
func took(us int64) string {
	switch {
	case us < 1000:
		return strconv.FormatInt(us, 10) + " µs"
	case us < 1_000_000:
		return strconv.FormatFloat(float64(us)/1000, 'f', 1, 64) + " ms"
	}
	return strconv.FormatFloat(float64(us)/1_000_000, 'f', 1, 64) + " s"
}

func callsURL(env *tenants.Environment) string { return activityURL(env) + "/calls" }

func callURL(env *tenants.Environment, id string) string { return callsURL(env) + "/" + id }
