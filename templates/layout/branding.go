package layout

import (
	"github.com/a-h/templ"

	"github.com/ostiary/ostiary/templates/ui"
)

// drawnBranding is what a tenant's brand prints on every page.
type drawnBranding struct{ head, logo, legal *ui.Stencil }

// Drawn returns the branding as an owner keeps it who shows many pages and never changes it: what it prints is drawn once.
func (b Branding) Drawn() Branding {
	plain := b
	b.drawn = &drawnBranding{
		head:  ui.NewStencil(func(title string) templ.Component { return issuerHead(title, plain) }),
		logo:  ui.NewStencil(func(string) templ.Component { return tenantLogo(plain) }),
		legal: ui.NewStencil(func(string) templ.Component { return legal(plain) }),
	}
	return b
}

// TenantLogo prints the tenant's logo and name. Without an image it draws the first letter of the name.
func TenantLogo(b Branding) templ.Component {
	if b.drawn != nil {
		return b.drawn.logo.At("")
	}
	return tenantLogo(b)
}

func issuerHeadOf(view IssuerView) templ.Component {
	if drawn := view.Branding.drawn; drawn != nil {
		return drawn.head.At(view.Title)
	}
	return issuerHead(view.Title, view.Branding)
}

func legalOf(b Branding) templ.Component {
	if b.drawn != nil {
		return b.drawn.legal.At("")
	}
	return legal(b)
}
