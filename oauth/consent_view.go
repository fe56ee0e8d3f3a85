package oauth

import (
	"net/url"

	"github.com/ostiary/ostiary/oauth/clients"
	"github.com/ostiary/ostiary/templates/flow"
	"github.com/ostiary/ostiary/templates/ui"
)

// consentView turns facts into words. What was checked stands first (the host the answer goes to); what the app says of
// itself stands second.
func (i *Issuer) consentView(p consentPage, r *Resource, sealed string) flow.ConsentView {
	redirect := p.in.redirect
	asked, kept := p.offer(r)
	subject := i.subjectOf(p.client, redirect, i.hosts.StandingOf(p.client, redirect))
	view := flow.ConsentView{
		Branding: i.brand, Action: i.path(pathConsent), Interaction: sealed,
		Title: subject + " wants to use " + r.Name(),
		Lead:  "It will act as you, and only within what you allow here.",
		Asker: i.askerOf(p.client, p.in), Error: p.failed, Warning: warningFor(p.client, redirect, subject),
		Server:       flow.Party{Name: r.Name(), Address: hostOf(r.Identifier())},
		Organization: p.session.User.OrganizationName,
		User:         flow.Party{Name: p.session.User.Name, Address: p.session.User.Email},
		SwitchURL:    i.path(pathSwitch),
		Question:     "What may it do?",
		Notes:        flow.NotesFor("it"),
		Groups:       r.groups(asked, len(r.onlyScopes(kept)) > 0),
		NoPreset:     len(asked) < 3,
		NoGroups:     "This app asks for nothing that can be allowed here. Choose Cancel to go back.",
		Durations:    flow.DurationsFor(redirect.StaysLocal()),
		Return:       returnTo(redirect),
		Footnote:     flow.Footnote,
	}
	if len(r.onlyScopes(kept)) > 0 {
		view.Kept = r.groups(kept, false)
		view.KeptNote = "Already allowed: " + permissionCount(len(r.onlyScopes(kept)))
	}
	return view
}

// subjectOf names the app in the title. Only what was checked is said as a fact.
func (i *Issuer) subjectOf(client *clients.Client, redirect clients.Redirect, known clients.Standing) string {
	switch {
	case known.Name != "":
		return known.Name
	case client.Document != nil:
		return known.Host
	case redirect.Kind == clients.RedirectWeb:
		return redirect.Host
	case redirect.Kind == clients.RedirectLoopback:
		return "An app on this computer"
	}
	return "An app on this device"
}

// askerOf says who asks. What was checked stands first: the name we or the tenant know it by beside the address that proves it,
// or else the address alone. What the app calls itself stands second, unless it says the same.
func (i *Issuer) askerOf(client *clients.Client, in Interaction) flow.Asker {
	redirect := in.redirect
	known := i.hosts.StandingOf(client, redirect)
	asker := flow.Asker{Host: redirect.Host, Name: client.Name, Local: redirect.Kind != clients.RedirectWeb}
	switch {
	case client.Source == clients.SourcePreregistered:
		asker.Verified = true
	case known.Name != "":
		asker.Host, asker.Verified, asker.Seal = known.Name, true, "Verified: "+known.Host
		asker.LogoURL = i.logoURL(client)
		if client.Name == known.Name {
			asker.Name = ""
		}
	case known.Host != "":
		asker.Host, asker.Verified, asker.Seal = known.Host, true, "Address verified"
	}
	return asker
}

// warningFor says what could not be checked. A metadata document proves who wrote the app, not that this is it: any program on
// the computer can name the same document (MCP 2026-07-28, Localhost Redirect URI Risks).
func warningFor(client *clients.Client, redirect clients.Redirect, subject string) *ui.Notice {
	switch {
	case redirect.Kind == clients.RedirectWeb:
		return nil
	case client.Document != nil:
		return &ui.Notice{
			What: "Any program on this computer could say it is " + subject + ".",
			Then: client.Document.Host + " describes such an app; we cannot see whether it is the one that asks. " +
				"Continue only if you started it yourself, just now.",
		}
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
