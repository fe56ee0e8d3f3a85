package dashboard

import (
	"errors"
	"net/http"
	"net/url"
	"slices"

	"github.com/labstack/echo/v4"

	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/policy"
	"github.com/ostiary/ostiary/app/web"
	"github.com/ostiary/ostiary/templates/pages"
	"github.com/ostiary/ostiary/templates/ui"
	"github.com/ostiary/ostiary/tenants"
)

// Fields of the form and of the page that confirms it.
const (
	fieldKind   = "kind"
	fieldServer = "server"
	fieldValue  = "value"
	fieldReason = "reason"

	maxReason     = 200
	listedServers = 100
)

// showStopForm asks what to stop.
func (d *Dashboard) showStopForm(c echo.Context) error {
	n := tenants.NewStop{
		Kind: policy.StopKind(c.QueryParam(fieldKind)), ResourceID: c.QueryParam(fieldServer), Value: c.QueryParam(fieldValue),
	}
	if !slices.Contains(tenants.StopKinds(), n.Kind) {
		n.Kind = tenants.StopKinds()[0]
	}
	return d.renderStopForm(c, http.StatusOK, n, nil)
}

// checkStop leads to the page that says what the stop would hold. An e-mail address does not get into its URL.
func (d *Dashboard) checkStop(c echo.Context) error {
	f, err := parseForm(c)
	if err != nil {
		return err
	}
	n := stopInForm(f)
	impact, err := d.stops.Impact(c.Request().Context(), n)
	var e *errs.Error
	if errors.As(err, &e) && e.Kind == errs.Invalid && slices.Contains(tenants.StopKinds(), n.Kind) {
		return d.renderStopForm(c, http.StatusUnprocessableEntity, n, e.Fields)
	}
	if err != nil {
		return err
	}
	query := url.Values{fieldKind: {string(n.Kind)}, fieldReason: {n.Reason}}
	if impact.Stop.ResourceID != "" {
		query.Set(fieldServer, impact.Stop.ResourceID)
	}
	if n.Kind != policy.StopServer {
		query.Set(fieldValue, impact.Stop.Value)
	}
	return c.Redirect(http.StatusSeeOther, stopsURL(visitOf(c).env)+"/confirm?"+query.Encode())
}

func stopInForm(f form) tenants.NewStop {
	return tenants.NewStop{
		Kind: policy.StopKind(f.raw(fieldKind)), ResourceID: f.raw(fieldServer), Value: f.text(fieldValue), Reason: f.text(fieldReason),
	}
}

// stopWords are what the form says about a kind.
type stopWords struct{ label, hint, lead string }

func wordsOf(k policy.StopKind) stopWords {
	switch k {
	case policy.StopTool:
		return stopWords{"Tool", "Its name as hosts call it, such as run_query.", "One tool of one MCP server. Every other tool goes on."}
	case policy.StopUser:
		return stopWords{"User", "E-mail address or id.", "One person, at every MCP server and in every host."}
	case policy.StopOrganization:
		return stopWords{"Organization", "Short name or id.", "Everybody of one organization, at every MCP server."}
	case policy.StopHost:
		return stopWords{
			"Host", "As the Activity page names it: chatgpt, claude-code, a domain; unverified for every app nobody could check.",
			"One product that connects, for everybody who uses it.",
		}
	case policy.StopServer:
		return stopWords{lead: "Every tool of one MCP server, for everybody."}
	}
	return stopWords{}
}

func (d *Dashboard) renderStopForm(c echo.Context, status int, n tenants.NewStop, problems map[string]string) error {
	env, words := visitOf(c).env, wordsOf(n.Kind)
	base := stopsURL(env)
	view := pages.StopFormView{
		Shell: d.shell(c, "Stop something", ui.Link{Label: "Kill switch", URL: base}, ui.Link{Label: "Stop something"}),
		Lead:  words.lead, Kind: string(n.Kind), Action: base + "/new", NoSuch: problems[fieldServer],
		Reason: ui.Field{
			Name: fieldReason, Label: "Why", Value: n.Reason, Max: maxReason, Error: problems[fieldReason],
			Hint: "For whoever reads the list, not for users. May stay empty.",
		},
		Cancel: ui.Link{Label: "Cancel", URL: base},
	}
	for _, k := range tenants.StopKinds() {
		view.Kinds = append(view.Kinds, ui.Tab{
			Label: kindWord(k), URL: base + "/new?" + url.Values{fieldKind: {string(k)}}.Encode(), Current: k == n.Kind,
		})
	}
	if n.Kind != policy.StopServer {
		view.Value = &ui.Field{
			Name: fieldValue, Label: words.label, Value: n.Value, Hint: words.hint, Error: problems[fieldValue], Required: true, Off: true,
			Mono: n.Kind == policy.StopTool || n.Kind == policy.StopHost,
		}
	}
	if n.Kind == policy.StopServer || n.Kind == policy.StopTool {
		list, _, err := d.resources.List(c.Request().Context(), tenants.ResourceFilter{Limit: listedServers})
		if err != nil {
			return err
		}
		for _, r := range list {
			view.Servers = append(view.Servers, ui.Option{Value: r.ID, Label: r.Name, Selected: r.ID == n.ResourceID})
		}
	}
	return web.Render(c, status, pages.StopForm(view))
}
