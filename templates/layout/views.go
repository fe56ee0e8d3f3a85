package layout

import "github.com/ostiary/ostiary/templates/ui"

// NavItem is one entry of the dashboard's navigation. List only pages that exist.
type NavItem struct {
	Label   string
	URL     string
	Icon    string // an icon name of ui
	Count   string
	Current bool
}

// EnvironmentItem is one entry of the environment switcher.
type EnvironmentItem struct {
	Name       string
	URL        string
	Production bool
	Current    bool
}

// MemberView is the person at the foot of the sidebar. Sign-out is a POST to SignOutURL.
type MemberView struct {
	Name       string
	Detail     string // "Acme · owner"
	Initials   string // one or two letters
	SignOutURL string
}

// FlashView is the message after a save.
type FlashView struct {
	Tone ui.Tone // success when empty
	Text string
	Link ui.Link
}

// DashboardView is everything around a dashboard page.
type DashboardView struct {
	Title        string // of the document: "MCP servers" is printed as "MCP servers · Ostiary"
	HomeURL      string // "/" when empty
	Environments []EnvironmentItem
	Nav          []NavItem
	Crumbs       []ui.Link // the last one is the current page
	Issuer       string    // printed with a copy button; left out when empty
	DocsURL      string    // left out when empty
	Member       MemberView
	Flash        *FlashView
	BrandURL     string // a tenant's brand stylesheet, for pages that preview consent
	Live         bool   // loads htmx, for pages with a live preview
}

// Branding is what a tenant may change on issuer pages. Colours, corners and font arrive through the stylesheet at
// StylesheetURL (see flow.BrandCSS); none of it is markup.
type Branding struct {
	Name          string    // "Acme Data"
	LogoURL       string    // a path on this host or a data:image URL; the first letter of Name is drawn when empty
	StylesheetURL string    // a path on this host
	Legal         []ui.Link // privacy, terms, help

	drawn *drawnBranding // set by Drawn
}

// IssuerView is everything around a page that users meet.
type IssuerView struct {
	Title    string
	Branding Branding
	Narrow   bool
}

// BareView is everything around a dashboard page that nobody is signed in to.
type BareView struct {
	Title string
}
