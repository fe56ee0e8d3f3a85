package dashboard

import (
	"context"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/ostiary/ostiary/app/policy"
	"github.com/ostiary/ostiary/oauth/clients"
	"github.com/ostiary/ostiary/templates/pages"
	"github.com/ostiary/ostiary/templates/ui"
	"github.com/ostiary/ostiary/tenants"
	"github.com/ostiary/ostiary/tenants/calllog"
)

const serversToPick = 100 // in the filter; more are reached from the server's page

// callQuery is what the address of a list of calls says. Names are those of the form.
type callQuery struct {
	tool, user, server, organization, host, decision, proof, back string
	before, after                                                 calllog.Cursor
}

// windows are how far a list looks back.
var windows = []struct {
	name, label string
	back        time.Duration
}{
	{"", "Any time", 0}, {"1h", "The last hour", time.Hour}, {"1d", "The last day", 24 * time.Hour},
	{"7d", "The last week", 7 * 24 * time.Hour}, {"30d", "The last 30 days", 30 * 24 * time.Hour},
}

func readCallQuery(c echo.Context) callQuery {
	text := func(name string) string {
		v := strings.TrimSpace(c.QueryParam(name))
		if len(v) > 1024 {
			return ""
		}
		return v
	}
	return callQuery{
		tool: text("tool"), user: text("user"), server: text("server"), organization: text("organization"), host: text("host"),
		decision: text("decision"), proof: text("proof"), back: text("back"),
		before: parseCursor(text("before")), after: parseCursor(text("after")),
	}
}

// filter turns the query into one for the service. What makes no sense filters nothing.
func (q callQuery) filter(now time.Time) calllog.Filter {
	f := calllog.Filter{
		Server: q.server, Tool: q.tool, User: q.user, Organization: q.organization, Host: q.host, Legacy: q.proof == "legacy",
		Before: q.before, After: q.after, Limit: callsPerPage,
	}
	if d := calllog.Decision(q.decision); slices.Contains([]calllog.Decision{calllog.Allowed, calllog.Denied, calllog.Shadowed}, d) {
		f.Decision = d
	}
	for _, w := range windows {
		if w.name == q.back && w.back > 0 {
			f.Since = now.Add(-w.back)
		}
	}
	return f
}

func (q callQuery) isFiltered() bool {
	return q.tool+q.user+q.server+q.organization+q.host+q.decision+q.proof+q.back != ""
}

// values are the filters as parameters, without the place in the list.
func (q callQuery) values() url.Values {
	v := url.Values{}
	for name, value := range map[string]string{
		"tool": q.tool, "user": q.user, "server": q.server, "organization": q.organization, "host": q.host, "decision": q.decision,
		"proof": q.proof, "back": q.back,
	} {
		if value != "" {
			v.Set(name, value)
		}
	}
	return v
}

// parseCursor reads a place in the list; what is none is the beginning.
func parseCursor(s string) calllog.Cursor {
	micros, id, _ := strings.Cut(s, "-")
	n, err := strconv.ParseInt(micros, 10, 64)
	if err != nil || n <= 0 || n >= 1<<53 || len(id) > 40 {
		return calllog.Cursor{}
	}
	return calllog.Cursor{At: time.UnixMicro(n).UTC(), ID: id}
}

func cursorText(c calllog.Cursor) string { return strconv.FormatInt(c.At.UnixMicro(), 10) + "-" + c.ID }

func (d *Dashboard) callFilters(ctx context.Context, env *tenants.Environment, q callQuery) (*pages.CallFilters, error) {
	servers, _, err := d.resources.List(ctx, tenants.ResourceFilter{Limit: serversToPick})
	if err != nil {
		return nil, err
	}
	server := pages.CallSelect{Name: "server", Label: "MCP server", Options: []ui.Option{{Label: "Any"}}}
	for _, s := range servers {
		server.Options = append(server.Options, ui.Option{Value: s.ID, Label: s.Name, Selected: q.server == s.ID})
	}
	decision := pages.CallSelect{Name: "decision", Label: "Decision", Options: []ui.Option{{Label: "Any"}}}
	for _, o := range [...]struct{ value, label string }{
		{"allowed", "Allowed"}, {"denied", "Denied"}, {"shadowed", "Let through in shadow mode"},
	} {
		decision.Options = append(decision.Options, ui.Option{Value: o.value, Label: o.label, Selected: q.decision == o.value})
	}
	back := pages.CallSelect{Name: "back", Label: "When"}
	for _, w := range windows {
		back.Options = append(back.Options, ui.Option{Value: w.name, Label: w.label, Selected: q.back == w.name})
	}
	selects := []pages.CallSelect{server, d.hostSelect(q.host), decision, back}
	if q.proof != "" {
		selects = append(selects, pages.CallSelect{Name: "proof", Label: "Known by", Options: []ui.Option{
			{Label: "Anything"}, {Value: "legacy", Label: "A legacy key", Selected: true},
		}})
	}
	if q.organization != "" {
		selects = append(selects, pages.CallSelect{Name: "organization", Label: "Organization", Options: []ui.Option{
			{Label: "Any"}, {Value: q.organization, Label: q.organization, Selected: true},
		}})
	}
	return &pages.CallFilters{
		URL:  callsURL(env),
		Tool: ui.Field{Name: "tool", ID: "filter-tool", Label: "Tool", Value: q.tool, Placeholder: "run_query", Off: true},
		User: ui.Field{
			Name: "user", ID: "filter-user", Label: "User", Value: q.user, Placeholder: "E-mail or id", Off: true,
		},
		Selects: selects, Filtered: q.isFiltered(),
	}, nil
}

// hostSelect offers the known hosts, and what is chosen when it is none of them.
func (d *Dashboard) hostSelect(chosen string) pages.CallSelect {
	s := pages.CallSelect{Name: "host", Label: "Host", Options: []ui.Option{{Label: "Any"}}}
	known := chosen == ""
	byName := func(a, b clients.Host) int { return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)) }
	for _, h := range slices.SortedFunc(slices.Values(d.hosts), byName) {
		s.Options = append(s.Options, ui.Option{Value: h.ID, Label: h.Name, Selected: chosen == h.ID})
		known = known || chosen == h.ID
	}
	s.Options = append(s.Options, ui.Option{
		Value: policy.HostUnverified, Label: "Not verified", Selected: chosen == policy.HostUnverified,
	})
	if !known && chosen != policy.HostUnverified {
		s.Options = append(s.Options, ui.Option{Value: chosen, Label: chosen, Selected: true})
	}
	return s
}
