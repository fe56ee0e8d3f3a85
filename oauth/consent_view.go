package oauth

import (
	"net/url"
	"slices"

	"github.com/ostiary/ostiary/app/policy"
	"github.com/ostiary/ostiary/oauth/clients"
	"github.com/ostiary/ostiary/templates/flow"
	"github.com/ostiary/ostiary/templates/ui"
)

// consentView turns facts into words. What was checked stands first (the host the answer goes to); what the app says of
// itself stands second.
func (i *Issuer) consentView(p consentPage, r *Resource, sealed string) flow.ConsentView {
	redirect := clients.ParseRedirect(p.in.RedirectURI)
	asker := askerOf(p.client, p.in)
	asked, kept := p.offer(r)
	subject := subjectOf(p.client, redirect)
	view := flow.ConsentView{
		Branding: i.branding(), Action: i.path(pathConsent), Interaction: sealed,
		Title: subject + " wants to use " + r.Name(),
		Lead:  "It will act as you, and only within what you allow here.",
		Asker: asker, Error: p.failed, Warning: warningFor(redirect),
		Server:       flow.Party{Name: r.Name(), Address: hostOf(r.Identifier())},
		Organization: p.session.User.OrganizationName,
		User:         flow.Party{Name: p.session.User.Name, Address: p.session.User.Email},
		SwitchURL:    i.path(pathSwitch),
		Question:     "What may it do?",
		Notes:        flow.NotesFor("it"),
		Groups:       groupsOf(r, asked, len(r.onlyScopes(kept)) > 0),
		NoPreset:     len(asked) < 3,
		NoGroups:     "This app asks for nothing that can be allowed here. Choose Cancel to go back.",
		Durations:    durationsFor(p.in.RedirectURI),
		Return:       returnTo(redirect),
		Footnote:     "Did not start this? Choose Cancel. Nothing is shared.",
	}
	if len(r.onlyScopes(kept)) > 0 {
		view.Kept = groupsOf(r, kept, false)
		view.KeptNote = "Already allowed: " + countOf(len(r.onlyScopes(kept)), "permission")
	}
	return view
}

// subjectOf names the app in the title. Only what was checked is said as a fact.
func subjectOf(client *clients.Client, redirect clients.Redirect) string {
	switch {
	case client.Source == clients.SourcePreregistered && client.Name != "":
		return client.Name
	case redirect.Kind == clients.RedirectWeb:
		return redirect.Host
	case redirect.Kind == clients.RedirectLoopback:
		return "An app on this computer"
	}
	return "An app on this device"
}

func askerOf(client *clients.Client, in Interaction) flow.Asker {
	redirect := clients.ParseRedirect(in.RedirectURI)
	return flow.Asker{
		Host:     redirect.Host,
		Verified: client.Source == clients.SourcePreregistered,
		Name:     client.Name,
		Local:    redirect.Kind != clients.RedirectWeb,
	}
}

func warningFor(redirect clients.Redirect) *ui.Notice {
	if redirect.Kind == clients.RedirectWeb {
		return nil
	}
	return &ui.Notice{
		Tone: ui.ToneWarn, What: "We cannot tell who made this app.",
		Then: "Apps that run on a computer have no web address to check. Continue only if you started it yourself, just now.",
	}
}

func returnTo(redirect clients.Redirect) flow.Return {
	switch redirect.Kind {
	case clients.RedirectLoopback:
		detail := redirect.Host
		if redirect.Port != "" {
			detail += ":" + redirect.Port
		}
		return flow.Return{Words: "this computer", Detail: detail}
	case clients.RedirectPrivate:
		return flow.Return{Words: "an app on this device", Detail: redirect.Host}
	case clients.RedirectWeb, clients.RedirectRefused:
	}
	return flow.Return{Words: redirect.Host}
}

func durationsFor(redirectURI string) []ui.Option {
	options := []ui.Option{
		{Value: flow.DurationHour, Label: "1 hour"},
		{Value: flow.DurationMonth, Label: "30 days", Selected: true},
	}
	if !clients.StaysLocal(redirectURI) {
		options = append(options, ui.Option{Value: flow.DurationRevoke, Label: "Until I revoke"})
	}
	return options
}

// groupsOf returns the permissions by risk, the gentlest first, each with the tools it allows.
func groupsOf(r *Resource, names []string, isNew bool) []flow.Group {
	var groups []flow.Group
	for _, risk := range [...]policy.Risk{policy.RiskRead, policy.RiskWrite, policy.RiskDestructive} {
		var permissions []flow.Permission
		for _, name := range names {
			s, ok := r.scope(name)
			if !ok || s.Risk != risk {
				continue
			}
			tools := toolsOf(r, name)
			permissions = append(permissions, flow.Permission{
				Scope: name, Title: s.Title, Description: s.Description, Warning: s.Warning,
				Ticked: !s.NeverTicked && risk != policy.RiskDestructive, Required: s.Required, New: isNew,
				Tools: tools, ToolsLabel: flow.ToolsLabel(len(tools)),
			})
		}
		if len(permissions) > 0 {
			groups = append(groups, flow.GroupOf(ui.Risk(risk), permissions...))
		}
	}
	return groups
}

func toolsOf(r *Resource, scope string) []flow.Tool {
	var tools []flow.Tool
	for name, t := range r.Tools {
		if slices.Contains(t.Scopes, scope) {
			tools = append(tools, flow.Tool{Name: name, Wording: t.Wording})
		}
	}
	slices.SortFunc(tools, func(a, b flow.Tool) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	return tools
}

// originOf is where a redirect URI leads, without what may be secret in it.
func originOf(redirectURI string) string {
	u, err := url.Parse(redirectURI)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

func hostOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return u.Host
}
