package tenants

import (
	"maps"
	"slices"

	"github.com/ostiary/ostiary/templates/flow"
	"github.com/ostiary/ostiary/tenants/check"
)

// Branding is what an environment may change on the pages its users meet: words, links and values of design tokens. None
// of it is markup or CSS.
type Branding struct {
	ProductName  string `json:"product_name,omitempty" yaml:"product_name"` // "Acme Data"; the tenant's name when empty
	SupportEmail string `json:"support_email,omitempty" yaml:"support_email"`
	PrivacyURL   string `json:"privacy_url,omitempty" yaml:"privacy_url"`
	TermsURL     string `json:"terms_url,omitempty" yaml:"terms_url"`
	HelpURL      string `json:"help_url,omitempty" yaml:"help_url"`
	Light        Colors `json:"light,omitzero" yaml:"light"`
	Dark         Colors `json:"dark,omitzero" yaml:"dark"`
	Radius       string `json:"radius,omitempty" yaml:"radius"` // whole pixels, "0" to "16"
	Font         string `json:"font,omitempty" yaml:"font"`     // a value of flow.Fonts
}

// Colors is the brand in one colour scheme: all four, or none for the default.
type Colors struct {
	Brand string `json:"brand,omitempty" yaml:"brand"`
	Hover string `json:"hover,omitempty" yaml:"hover"`
	Soft  string `json:"soft,omitempty" yaml:"soft"`
	On    string `json:"on,omitempty" yaml:"on"`
}

// Validate returns what is wrong with the branding, by the names that files use.
func (b Branding) Validate() check.Problems {
	var p check.Problems
	p.Add("product_name", check.OptionalText(b.ProductName, 60))
	if b.SupportEmail != "" {
		p.Add("support_email", check.Email(b.SupportEmail))
	}
	p.Add("privacy_url", check.WebLink(b.PrivacyURL))
	p.Add("terms_url", check.WebLink(b.TermsURL))
	p.Add("help_url", check.WebLink(b.HelpURL))
	// What the stylesheet would not print, and what could not be read if it did.
	wrong := b.Flow().Validate()
	for _, field := range slices.Sorted(maps.Keys(wrong)) {
		p.Add(field, wrong[field])
	}
	return p
}

// Flow is the part of the branding that becomes a stylesheet.
func (b Branding) Flow() flow.Brand {
	return flow.Brand{
		Light: flow.BrandColors(b.Light), Dark: flow.BrandColors(b.Dark), Radius: b.Radius, Font: b.Font,
	}
}
