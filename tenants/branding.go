package tenants

import "github.com/ostiary/ostiary/tenants/check"

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

// Colors is the brand in one colour scheme, each as #rgb, #rrggbb or oklch(L C H). Empty ones keep the default.
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
	p.Add("radius", check.Radius(b.Radius))
	p.Add("font", check.OptionalText(b.Font, 40))
	p.Join("light", b.Light.validate())
	p.Join("dark", b.Dark.validate())
	return p
}

func (c Colors) validate() check.Problems {
	var p check.Problems
	p.Add("brand", check.Colour(c.Brand))
	p.Add("hover", check.Colour(c.Hover))
	p.Add("soft", check.Colour(c.Soft))
	p.Add("on", check.Colour(c.On))
	if check.Contrast(c.Brand, c.On) < minContrast {
		p.Addf("on", "Words in %s on %s are hard to read: choose colours with a contrast of 4.5 or more.", c.On, c.Brand)
	}
	return p
}

// minContrast is WCAG 2.2 AA for text (success criterion 1.4.3).
const minContrast = 4.5
