package flow

import (
	"math"
	"os"
	"regexp"
	"strings"
	"testing"
)

func TestParseColor_ReadsWhatABrandNeedsAndNothingElse(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"#7a2e5c": "#7a2e5c", "#7A2E5C": "#7a2e5c", "#fff": "#ffffff", "#a1B": "#aa11bb",
		"oklch(0.45 0.1 340)": "oklch(0.45 0.1 340)", "oklch(1 0 0)": "oklch(1 0 0)", "oklch(0.410000 0.115 342)": "oklch(0.41 0.115 342)",
	} {
		got, err := ParseColor(in)
		if err != nil || got.String() != want {
			t.Errorf("ParseColor(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
	for _, in := range []string{
		"", "red", "#ff", "#ffff", "#fffffff", "#ggg", "# fff", "#fff;", "rgb(1 2 3)", "oklch(0.5 0.1)", "oklch(0.5 0.1 10 / 0.5)",
		"oklch(50% 0.1 10)", "oklch(1.1 0 0)", "oklch(0.5 0.5 0)", "oklch(0.5 0.1 361)", "oklch(-0.5 0.1 0)", "oklch(NaN 0 0)",
		"oklch(Inf 0 0)", "oklch(1e-1 0 0)", "oklch(0x1 0 0)", "oklch(0.5  0.1 0)", "oklch(. 0 0)", "oklch(0.5 0.1 0))", "OKLCH(0.5 0.1 0)",
		"oklch(0.5 0.1 0)}body{display:none", "var(--x)", "url(//x)", "#fff/**/", "\n#fff",
	} {
		if got, err := ParseColor(in); err == nil {
			t.Errorf("ParseColor(%q) = %q, want an error", in, got)
		}
	}
}

func TestColor_ContrastMatchesKnownRatios(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		a, b string
		want float64
	}{
		{"#fff", "#000", 21}, {"#000", "#000", 1}, {"#767676", "#fff", 4.54}, {"#ff0000", "#fff", 4.00},
		{"oklch(1 0 0)", "oklch(0 0 0)", 21}, {"oklch(0.628 0.2577 29.23)", "#fff", 4.00}, {"oklch(0.5999 0 0)", "#808080", 1},
	} {
		if got := mustColor(tc.a).Contrast(mustColor(tc.b)); math.Abs(got-tc.want) > 0.02 {
			t.Errorf("contrast of %s and %s is %.3f, want %.2f", tc.a, tc.b, got, tc.want)
		}
	}
}

func acme() Brand {
	return Brand{
		Light:  BrandColors{"oklch(0.41 0.115 342)", "oklch(0.355 0.105 342)", "oklch(0.955 0.018 342)", "oklch(1 0 0)"},
		Dark:   BrandColors{"oklch(0.77 0.095 342)", "oklch(0.82 0.085 342)", "oklch(0.28 0.04 342)", "oklch(0.2 0.04 342)"},
		Radius: "6", Font: "serif",
	}
}

func TestBrandCSS_SetsTheSixTokensInEachScheme(t *testing.T) {
	t.Parallel()
	css := string(BrandCSS(acme()))
	if !grammar().MatchString(css) {
		t.Fatalf("not the stylesheet it should be:\n%s", css)
	}
	for _, want := range []string{"--brand: oklch(0.41 0.115 342);", "--brand: oklch(0.77 0.095 342);", "--on-brand: oklch(0.2 0.04 342);"} {
		if !strings.Contains(css, want) {
			t.Errorf("lacks %q", want)
		}
	}
	if strings.Count(css, "--brand-radius: 6px;") != 2 || strings.Count(css, "Charter") != 4 {
		t.Errorf("corners or font are not set in both schemes:\n%s", css)
	}
}

func TestBrandCSS_FallsBackWholeWhereAColourIsWrong(t *testing.T) {
	t.Parallel()
	b := acme()
	b.Dark.On = "url(javascript:alert(1))"
	b.Radius, b.Font = "17", `x"; } body { display: none`
	css := string(BrandCSS(b))
	if !grammar().MatchString(css) || strings.Contains(css, "0.77") || !strings.Contains(css, "    --brand: var(--accent);") {
		t.Errorf("the dark scheme is not the default one:\n%s", css)
	}
	if !strings.Contains(css, "--brand-radius: 10px;") || !strings.Contains(css, "--brand-font: var(--font);") {
		t.Errorf("corners or font are not the default ones:\n%s", css)
	}
	if string(BrandCSS(Brand{})) == "" || !grammar().Match(BrandCSS(Brand{})) {
		t.Error("the zero brand does not print the default one")
	}
}

func TestBrand_ValidateSaysWhatCannotBeRead(t *testing.T) {
	t.Parallel()
	if wrong := acme().Validate(); len(wrong) != 0 {
		t.Errorf("a good brand is refused: %v", wrong)
	}
	if wrong := (Brand{}).Validate(); len(wrong) != 0 {
		t.Errorf("the default brand is refused: %v", wrong)
	}
	for field, change := range map[string]func(*Brand){
		"light.brand": func(b *Brand) { b.Light.Brand, b.Light.On = "#ffd400", "#000000" },
		"light.on":    func(b *Brand) { b.Light.On = "#777777" },
		"light.hover": func(b *Brand) { b.Light.Hover = "#eeeeee" },
		"light.soft":  func(b *Brand) { b.Light.Soft = "#444444" },
		"dark.brand":  func(b *Brand) { b.Dark.Brand, b.Dark.On = "#222222", "#ffffff" },
		"dark.on":     func(b *Brand) { b.Dark.On = "white" },
		"radius":      func(b *Brand) { b.Radius = "17" },
		"font":        func(b *Brand) { b.Font = "comic" },
	} {
		b := acme()
		change(&b)
		if wrong := b.Validate(); wrong[field] == "" {
			t.Errorf("%s is not refused: %v", field, wrong)
		}
	}
}

// Contrast is checked on the surfaces of tokens.css; if those change, this says so.
func TestGround_IsWhatTheTokensSay(t *testing.T) {
	t.Parallel()
	src, err := os.ReadFile("../static/css/tokens.css")
	if err != nil {
		t.Fatal(err)
	}
	light, dark, _ := strings.Cut(string(src), "@media (prefers-color-scheme: dark)")
	for _, tc := range []struct {
		css, token string
		want       string
	}{
		{light, "--n-0", lightGround().surface},
		{light, "--n-25", lightGround().sunken},
		{light, "--n-900", lightGround().text},
		{dark, "--surface", darkGround().surface},
		{dark, "--surface-sunken", darkGround().sunken},
		{dark, "--text", darkGround().text},
	} {
		if !strings.Contains(tc.css, tc.token+": "+tc.want+";") {
			t.Errorf("%s is not %s", tc.token, tc.want)
		}
	}
	for _, alias := range []string{"--surface: var(--n-0);", "--surface-sunken: var(--n-25);", "--text: var(--n-900);"} {
		if !strings.Contains(light, alias) {
			t.Errorf("tokens.css does not say %q", alias)
		}
	}
}

// grammar is the whole of what BrandCSS may print.
func grammar() *regexp.Regexp {
	const color = `(?:#[0-9a-f]{6}|oklch\([0-9.]+ [0-9.]+ [0-9.]+\)|var\(--(?:on-)?accent(?:-hover|-soft)?\))`
	block := func(indent string) string {
		out := ""
		for _, token := range []string{"--brand", "--brand-hover", "--brand-soft", "--on-brand"} {
			out += indent + token + ": " + color + ";\n"
		}
		return out + indent + `--brand-radius: (?:\d|1[0-6])px;` + "\n" + indent + `--brand-font: [A-Za-z0-9 ",()-]+;` + "\n"
	}
	return regexp.MustCompile(`^:root \{\n` + block("  ") + `\}\n@media \(prefers-color-scheme: dark\) \{\n  :root \{\n` +
		block("    ") + `  \}\n\}\n$`)
}

func FuzzBrandCSS(f *testing.F) {
	a := acme()
	f.Add(a.Light.Brand, a.Light.Hover, a.Light.Soft, a.Light.On, a.Radius, a.Font)
	f.Add("#fff", "#000000", "oklch(0 0 0)", "oklch(1 0.4 360)", "0", "system")
	f.Add("#fff;}", "*/", "</style>", "url(//x)", "16;", "serif;")
	f.Add("oklch(0.5 0.1 0) } a {", "oklch(1e9 0 0)", "#\x00\x00\x00", "\\23 fff", "+5", "\"")
	f.Add("oklch(00.10 0.00001 0360)", "oklch(.5 .1 .0)", "oklch(5. 0 0)", "oklch(0.5 0.1 99999999999999)", "016", "rounded")
	want := grammar()
	f.Fuzz(func(t *testing.T, brand, hover, soft, on, radius, font string) {
		b := Brand{Light: BrandColors{brand, hover, soft, on}, Dark: BrandColors{on, soft, hover, brand}, Radius: radius, Font: font}
		if css := BrandCSS(b); !want.Match(css) {
			t.Errorf("not the stylesheet it should be:\n%s", css)
		}
		b.Validate() // must not panic
	})
}
