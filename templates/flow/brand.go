package flow

import (
	"bytes"
	"fmt"
	"strconv"
)

// Brand is what a tenant may set: four colours per colour scheme, corners and a font from Fonts. The zero value is the
// default brand.
type Brand struct {
	Light  BrandColors
	Dark   BrandColors
	Radius string // whole pixels, "0" to "16"; "" for the default
	Font   string // a value of Fonts; "" for the default
}

// BrandColors is the brand in one colour scheme, each as ParseColor reads it. Empty ones keep the default.
type BrandColors struct {
	Brand string // ticks, primary button, links, logo tile
	Hover string
	Soft  string // behind words
	On    string // words on Brand
}

// MaxRadius is the roundest corner a brand may have, in pixels.
const MaxRadius = 16

// Font is one choice of the font list. None is downloaded: each is a stack of fonts that systems have.
type Font struct {
	Value string // what Brand.Font holds
	Label string
	stack string
}

// Fonts returns the fonts a tenant may choose from, the default first.
func Fonts() []Font {
	return []Font{
		{"system", "System", "var(--font)"},
		{"humanist", "Humanist", `Seravek, "Gill Sans Nova", Ubuntu, Calibri, "DejaVu Sans", sans-serif`},
		{"geometric", "Geometric", `Avenir, Montserrat, Corbel, "URW Gothic", sans-serif`},
		{"rounded", "Rounded", `ui-rounded, "Hiragino Maru Gothic ProN", Quicksand, Manjari, "Arial Rounded MT Bold", sans-serif`},
		{"serif", "Serif", `Charter, "Bitstream Charter", "Sitka Text", Cambria, Georgia, serif`},
	}
}

// BrandCSS prints a stylesheet that sets the six brand tokens in each colour scheme and nothing else. A value that is not
// valid is printed as the default, so a stored mistake can never become CSS of its own, nor one scheme leak into the other.
func BrandCSS(b Brand) []byte {
	var out bytes.Buffer
	out.WriteString(":root {\n")
	writeColors(&out, "  ", b.Light)
	fmt.Fprintf(&out, "  --brand-radius: %s;\n", radiusCSS(b.Radius))
	fmt.Fprintf(&out, "  --brand-font: %s;\n", fontCSS(b.Font))
	out.WriteString("}\n@media (prefers-color-scheme: dark) {\n  :root {\n")
	writeColors(&out, "    ", b.Dark)
	fmt.Fprintf(&out, "    --brand-radius: %s;\n", radiusCSS(b.Radius))
	fmt.Fprintf(&out, "    --brand-font: %s;\n", fontCSS(b.Font))
	out.WriteString("  }\n}\n")
	return out.Bytes()
}

// writeColors prints the four colours of a scheme. They stand or fall together: a tenant's button with our words on it
// could not be read.
func writeColors(out *bytes.Buffer, indent string, c BrandColors) {
	text := [4]string{"var(--accent)", "var(--accent-hover)", "var(--accent-soft)", "var(--on-accent)"}
	if all, err := c.parse(); err == nil {
		for i, p := range all {
			text[i] = p.String()
		}
	}
	for i, token := range [4]string{"--brand", "--brand-hover", "--brand-soft", "--on-brand"} {
		fmt.Fprintf(out, "%s%s: %s;\n", indent, token, text[i])
	}
}

func (c BrandColors) parse() ([4]Color, error) {
	var out [4]Color
	for i, s := range [4]string{c.Brand, c.Hover, c.Soft, c.On} {
		p, err := ParseColor(s)
		if err != nil {
			return out, fmt.Errorf("%s: %w", [4]string{"brand", "hover", "soft", "on"}[i], err)
		}
		out[i] = p
	}
	return out, nil
}

func radiusCSS(radius string) string {
	n, err := parseRadius(radius)
	if err != nil {
		return "10px"
	}
	return strconv.Itoa(n) + "px"
}

func parseRadius(radius string) (int, error) {
	n, err := strconv.Atoi(radius)
	if err != nil || n < 0 || n > MaxRadius {
		return 0, fmt.Errorf("corners take a whole number from 0 to %d", MaxRadius)
	}
	return n, nil
}

func fontCSS(value string) string {
	fonts := Fonts()
	for _, f := range fonts {
		if f.Value == value {
			return f.stack
		}
	}
	return fonts[0].stack
}

// Validate returns what is wrong with a brand by field ("light.brand", "radius" …), in words for the form; empty when it
// can be saved. It also checks that words can be read: WCAG 2.2 asks for a contrast of 4.5.
func (b Brand) Validate() map[string]string {
	wrong := make(map[string]string)
	b.Light.validate("light", lightGround(), wrong)
	b.Dark.validate("dark", darkGround(), wrong)
	if b.Radius != "" {
		if _, err := parseRadius(b.Radius); err != nil {
			wrong["radius"] = err.Error()
		}
	}
	if b.Font != "" && b.Font != "system" && fontCSS(b.Font) == fontCSS("") {
		wrong["font"] = "this font is not in the list"
	}
	return wrong
}

// ground is what brand colours are seen on: the tokens --surface, --surface-sunken and --text of a scheme. A test holds
// them to tokens.css.
type ground struct{ surface, sunken, text string }

func lightGround() ground {
	return ground{"oklch(1 0 0)", "oklch(0.988 0.0016 250)", "oklch(0.205 0.0128 250)"}
}

func darkGround() ground {
	return ground{"oklch(0.208 0.0056 250)", "oklch(0.188 0.0052 250)", "oklch(0.955 0.0032 250)"}
}

func (c BrandColors) validate(scheme string, on ground, wrong map[string]string) {
	if c == (BrandColors{}) {
		return
	}
	ok := true
	for name, s := range map[string]string{"brand": c.Brand, "hover": c.Hover, "soft": c.Soft, "on": c.On} {
		if _, err := ParseColor(s); err != nil {
			wrong[scheme+"."+name] = err.Error()
			ok = false
		}
	}
	if !ok {
		return
	}
	all, _ := c.parse() // each was just parsed
	brand, hover, soft, words := all[0], all[1], all[2], all[3]
	need := func(field, what string, a, b Color) {
		if ratio := a.Contrast(b); ratio < 4.5 {
			wrong[scheme+"."+field] = fmt.Sprintf("%s cannot be read well: contrast is %.1f and must be 4.5", what, ratio)
		}
	}
	need("on", "the words on the button", brand, words)
	need("hover", "the words on the button, pointed at,", hover, words)
	need("brand", "a link on the page", brand, mustColor(on.surface))
	need("brand", "a link beside the page", brand, mustColor(on.sunken))
	need("soft", "text on the soft colour", soft, mustColor(on.text))
}

func mustColor(s string) Color {
	c, err := ParseColor(s)
	if err != nil {
		panic("flow: a colour of ours does not parse: " + s)
	}
	return c
}
