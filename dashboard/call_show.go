package dashboard

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/ostiary/ostiary/app/calls"
	"github.com/ostiary/ostiary/app/policy"
	"github.com/ostiary/ostiary/app/web"
	"github.com/ostiary/ostiary/templates/pages"
	"github.com/ostiary/ostiary/templates/ui"
	"github.com/ostiary/ostiary/tenants"
	"github.com/ostiary/ostiary/tenants/calllog"
)

// showCall shows one call, and why it was allowed or denied.
func (d *Dashboard) showCall(c echo.Context) error {
	v := visitOf(c)
	env := v.env
	x, err := d.calls.Explain(c.Request().Context(), c.Param("call"))
	if err != nil {
		return err
	}
	title := callTitle(x.Call)
	return web.Render(c, http.StatusOK, pages.Call(pages.CallView{
		Shell: d.shell(c, title, ui.Link{Label: "Activity", URL: activityURL(env)}, ui.Link{Label: "Calls", URL: callsURL(env)},
			ui.Link{Label: calllog.Shown(x.Call.Tool)}),
		Title: title, Badge: ui.Badge(decisionWords(x.Decision)), Lead: "One call, decided again from the policy that was in force.",
		Why: x.Why, Reasons: x.Facts, Denied: x.Decision != calllog.Allowed, Fix: x.Fix, Standing: standingNotice(x), Doubts: x.Doubts,
		Arguments: argumentFacts(x.Call), Facts: d.callFacts(env, x.Call), More: moreCalls(env, x.Call),
		Act: stopAction(v, x),
	}))
}

// stopAction leads to the stop that denied a call, or to where one like it would be stopped.
func stopAction(v *visit, x calllog.Explanation) ui.Action {
	c := x.Call
	switch {
	case x.StopID != "":
		return ui.Action{Label: "See the stop", URL: stopsURL(v.env), Icon: ui.IconStop}
	case !tenants.CanEdit(v.member.Role), c.Reason == policy.ReasonUnknownTool: // what nobody has cannot be stopped
		return ui.Action{}
	}
	query := url.Values{fieldKind: {string(policy.StopServer)}, fieldServer: {c.ResourceID}}
	label := "Stop this server"
	if c.Kind == policy.TargetTool {
		label = "Stop this tool"
		query = url.Values{fieldKind: {string(policy.StopTool)}, fieldServer: {c.ResourceID}, fieldValue: {c.Tool}}
	}
	return ui.Action{Label: label, URL: stopsURL(v.env) + "/new?" + query.Encode(), Icon: ui.IconStop}
}

func callTitle(c calllog.Call) string {
	name := calllog.Shown(c.Tool)
	switch c.Decision() {
	case calllog.Allowed:
		return name + " was allowed"
	case calllog.Shadowed:
		return name + " was let through"
	case calllog.Denied:
	}
	return name + " was denied"
}

func standingNotice(x calllog.Explanation) *ui.Notice {
	switch x.Standing {
	case calllog.Confirmed:
		return &ui.Notice{
			Tone: ui.ToneSuccess, What: "The record fits.", Then: "Decided again from what it says, it comes out the same.",
		}
	case calllog.Unconfirmed:
		return &ui.Notice{
			Tone: ui.ToneNeutral, What: "This cannot be confirmed.", Then: "What it was decided from is not known here, or has changed since.",
		}
	case calllog.Contradicted:
	}
	return &ui.Notice{
		Tone: ui.ToneWarn, What: "The record does not fit.",
		Then: "An old gate or SDK, a clock that is wrong, or somebody who reports what did not happen.",
	}
}

func (d *Dashboard) callFacts(env *tenants.Environment, c calllog.Call) []ui.Fact {
	facts := []ui.Fact{{Label: "Call", Value: c.ID, Copy: true}, {Label: "When", Value: c.At.UTC().Format("2 Jan 2006, 15:04:05.000 UTC")}}
	add := func(label, value string) {
		if value != "" {
			facts = append(facts, ui.Fact{Label: label, Value: value})
		}
	}
	facts = append(facts, ui.Fact{Label: "MCP server", Value: c.ResourceName, URL: serverURL(env, c.ResourceID)})
	mono := func(label, value string) {
		if value != "" {
			facts = append(facts, ui.Fact{Label: label, Value: value, Mono: true})
		}
	}
	mono(kindWords(c.Kind), calllog.Shown(c.Tool))
	add("User", callUser(c))
	add("E-mail", c.UserEmail)
	add("Organization", orFirst(c.OrganizationName, calllog.Shown(c.Organization)))
	add("Host", d.hostName(c.Host))
	if c.Client != "" {
		facts = append(facts, ui.Fact{Label: "Client id", Value: calllog.Shown(c.Client), Copy: true})
	}
	if c.Grant != "" {
		facts = append(facts, ui.Fact{Label: "Grant", Value: calllog.Shown(c.Grant), Copy: true})
	}
	add("Known by", proofWords(c.Proof))
	mono("Permissions", calllog.Shown(strings.Join(c.Scopes, ", ")))
	mono("Missing", calllog.Shown(strings.Join(c.Missing, ", ")))
	add("Answer", statusWords(c.Status))
	add("Took", took(c.LatencyUS))
	add("Revision", strconv.Itoa(c.Revision))
	add("Issuer heard", heardWords(c.Silence))
	return facts
}

func argumentFacts(c calllog.Call) []ui.Fact {
	var facts []ui.Fact
	for _, name := range slices.Sorted(maps.Keys(c.Arguments)) {
		facts = append(facts, ui.Fact{Label: calllog.Shown(name), Value: calllog.Shown(string(c.Arguments[name])), Mono: true})
	}
	return facts
}

func moreCalls(env *tenants.Environment, c calllog.Call) []ui.Link {
	link := func(label, name, value string) ui.Link {
		return ui.Link{Label: label, URL: callsURL(env) + "?" + url.Values{name: {value}}.Encode()}
	}
	list := []ui.Link{
		link("Of this tool", "tool", c.Tool), link("Of this user", "user", c.User), link("Of this server", "server", c.ResourceID),
	}
	if c.Organization != "" {
		list = append(list, link("Of this organization", "organization", c.Organization))
	}
	host := c.Host
	if host == "" {
		host = policy.HostUnverified
	}
	return append(list, link("Of this host", "host", host))
}

func kindWords(k policy.TargetKind) string {
	switch k {
	case policy.TargetPrompt:
		return "Prompt"
	case policy.TargetContent:
		return "Content"
	case calls.KindRequest:
		return "Request"
	default:
		return "Tool"
	}
}

func proofWords(p calls.Proof) string {
	if p == calls.ProofLegacy {
		return "A key from before OAuth"
	}
	return "Access token"
}

func statusWords(status int) string {
	if status == 0 {
		return "None: the connection ended before"
	}
	return "HTTP " + strconv.Itoa(status)
}

func heardWords(silence int) string {
	if silence < 0 {
		return ""
	}
	return count(silence, "second") + " before"
}

func orFirst(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
