package dashboard

import (
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/ostiary/ostiary/app/web"
	"github.com/ostiary/ostiary/oauth/attemptlog"
	"github.com/ostiary/ostiary/templates/pages"
	"github.com/ostiary/ostiary/templates/ui"
	"github.com/ostiary/ostiary/tenants"
)

const attemptsPerPage = 20

// showActivity shows who tried to connect, and how it went.
func (d *Dashboard) showActivity(c echo.Context) error {
	env := visitOf(c).env
	query, page := listQuery(c)
	until := d.untilOf(c)
	list, total, err := d.attempts.List(c.Request().Context(), attemptlog.AttemptFilter{
		Search: query, Until: until, Limit: attemptsPerPage, Offset: (page - 1) * attemptsPerPage,
	})
	if err != nil {
		return err
	}
	base := activityURL(env)
	view := pages.ActivityView{
		Shell: d.shell(c, "Activity", ui.Link{Label: "Activity"}),
		Lead:  "Who tried to connect to " + env.Name + " in the last seven days, and how it went.",
		Tabs:  activityTabs(env, false),
		Pager: activityPager(base, query, until, span{page: page, size: attemptsPerPage, total: total}),
		Empty: ui.Empty{
			Icon: ui.IconPulse, Title: "Nobody has tried to connect yet",
			Text:   "Connect a host to one of your MCP servers. Each attempt appears here, step by step, also when it fails.",
			Action: ui.Action{Label: "See how to connect", URL: serversURL(env)},
		},
	}
	if total > 0 || query != "" || page > 1 {
		view.Search = ui.Search{URL: base, Value: query, Label: "Find an attempt", Placeholder: "Case id, app, host or user"}
		view.Empty = ui.Empty{
			Icon: ui.IconSearch, Title: "No attempt found",
			Text:   "No case id, app, host or user contains what you searched for. Attempts are kept for seven days.",
			Action: ui.Action{Label: "Show all attempts", URL: base},
		}
	}
	for _, a := range list {
		view.Rows = append(view.Rows, attemptRow(env, a, d.now()))
	}
	return web.Render(c, http.StatusOK, pages.Activity(view))
}

// untilOf is the time up to which attempts are listed: that of the first page, so that later pages fit to it.
func (d *Dashboard) untilOf(c echo.Context) time.Time {
	if micros, err := strconv.ParseInt(c.QueryParam("until"), 10, 64); err == nil && micros > 0 && micros < 1<<53 {
		return time.UnixMicro(micros).UTC()
	}
	return d.now()
}

func activityPager(base, query string, until time.Time, s span) ui.Pager {
	p := pager(base, query, "attempt", s)
	for _, link := range []*string{&p.Prev, &p.Next} {
		if *link != "" {
			*link += "&" + url.Values{"until": {strconv.FormatInt(until.UnixMicro(), 10)}}.Encode()
		}
	}
	return p
}

func attemptRow(env *tenants.Environment, a attemptlog.Attempt, now time.Time) pages.AttemptRow {
	row := pages.AttemptRow{
		Host: a.Host, Client: a.ClientName, CaseID: a.CaseID, URL: attemptURL(env, a.CaseID), User: a.UserName,
		Outcome: outcomeWords(a.Last, now), When: clockTime(a.StartedAt),
	}
	if row.Host == "" {
		row.Host = "Unknown app"
	}
	if row.User == "" {
		row.User = "–"
	}
	if stopped(a.Last) {
		row.Reason = attemptlog.Explain(a.Last).What
	}
	return row
}

func activityURL(env *tenants.Environment) string { return "/environments/" + env.Slug + "/activity" }

func attemptURL(env *tenants.Environment, caseID string) string {
	return activityURL(env) + "/" + caseID
}

func clockTime(t time.Time) string { return t.UTC().Format("2 Jan, 15:04:05 UTC") }
