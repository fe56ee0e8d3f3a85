package flow

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Color is a colour that was understood. It prints in one canonical form, so nothing of what somebody typed reaches a
// stylesheet.
type Color struct {
	r, g, b float64 // linear light, 0 to 1
	text    string
}

// ParseColor reads #rgb, #rrggbb or oklch(L C H), with L from 0 to 1, C from 0 to 0.4, H from 0 to 360. There are no names,
// no alpha, no other functions: a brand needs none, and each would be one more thing to get wrong.
func ParseColor(s string) (Color, error) {
	if digits, ok := strings.CutPrefix(s, "#"); ok {
		return parseHex(digits)
	}
	if inside, ok := strings.CutPrefix(s, "oklch("); ok {
		if inside, ok = strings.CutSuffix(inside, ")"); ok {
			return parseOKLCH(inside)
		}
	}
	return Color{}, fmt.Errorf("colour must look like #7a2e5c or oklch(0.45 0.1 340)")
}

// String returns the canonical form, "" for the zero value.
func (c Color) String() string { return c.text }

// Contrast returns the WCAG 2.2 contrast ratio of two colours, from 1 to 21.
func (c Color) Contrast(other Color) float64 {
	a, b := c.luminance(), other.luminance()
	return (math.Max(a, b) + 0.05) / (math.Min(a, b) + 0.05)
}

func (c Color) luminance() float64 { return 0.2126*c.r + 0.7152*c.g + 0.0722*c.b }

func parseHex(digits string) (Color, error) {
	if len(digits) == 3 {
		digits = strings.Repeat(digits[:1], 2) + strings.Repeat(digits[1:2], 2) + strings.Repeat(digits[2:], 2)
	}
	if len(digits) != 6 || strings.Trim(digits, "0123456789abcdefABCDEF") != "" {
		return Color{}, fmt.Errorf("a # colour has three or six digits, 0 to 9 and a to f")
	}
	n, err := strconv.ParseUint(digits, 16, 32)
	if err != nil {
		return Color{}, fmt.Errorf("read colour: %w", err)
	}
	return Color{
		r: toLinear(float64(n>>16&0xff) / 255), g: toLinear(float64(n>>8&0xff) / 255), b: toLinear(float64(n&0xff) / 255),
		text: "#" + strings.ToLower(digits),
	}, nil
}

func parseOKLCH(inside string) (Color, error) {
	parts := strings.Split(inside, " ")
	if len(parts) != 3 {
		return Color{}, fmt.Errorf("oklch takes three numbers with one space between them")
	}
	limits := [3]float64{1, 0.4, 360}
	var v [3]float64
	for i, p := range parts {
		n, err := parseNumber(p)
		if err != nil || n > limits[i] {
			return Color{}, fmt.Errorf("oklch takes L from 0 to 1, C from 0 to 0.4, H from 0 to 360")
		}
		v[i] = n
	}
	r, g, b := oklchToLinear(v[0], v[1], v[2])
	text := "oklch(" + printNumber(v[0]) + " " + printNumber(v[1]) + " " + printNumber(v[2]) + ")"
	return Color{r: r, g: g, b: b, text: text}, nil
}

// parseNumber reads digits with at most one point: no sign, no exponent, no "inf".
func parseNumber(s string) (float64, error) {
	if s == "" || len(s) > 12 || strings.Trim(s, "0123456789.") != "" {
		return 0, fmt.Errorf("not a plain number: %q", s)
	}
	return strconv.ParseFloat(s, 64)
}

func printNumber(n float64) string {
	return strconv.FormatFloat(math.Round(n*1e4)/1e4, 'f', -1, 64)
}

// toLinear undoes the sRGB transfer curve (WCAG 2.2, relative luminance).
func toLinear(v float64) float64 {
	if v <= 0.04045 {
		return v / 12.92
	}
	return math.Pow((v+0.055)/1.055, 2.4)
}

// oklchToLinear converts to linear sRGB and clips what the screen cannot show (CSS Color 4 §10.2).
func oklchToLinear(lightness, chroma, hue float64) (r, g, b float64) {
	sin, cos := math.Sincos(hue * math.Pi / 180)
	a, bb := chroma*cos, chroma*sin
	l := cube(lightness + 0.3963377774*a + 0.2158037573*bb)
	m := cube(lightness - 0.1055613458*a - 0.0638541728*bb)
	s := cube(lightness - 0.0894841775*a - 1.2914855480*bb)
	return clip(4.0767416621*l - 3.3077115913*m + 0.2309699292*s),
		clip(-1.2684380046*l + 2.6097574011*m - 0.3413193965*s),
		clip(-0.0041960863*l - 0.7034186147*m + 1.7076147010*s)
}

func cube(x float64) float64 { return x * x * x }

func clip(x float64) float64 { return math.Max(0, math.Min(1, x)) }
