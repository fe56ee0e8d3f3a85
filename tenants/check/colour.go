package check

import (
	"math"
	"strconv"
	"strings"
)

// Radius returns what is wrong with an optional corner radius in pixels, or "".
func Radius(s string) string {
	if s == "" {
		return ""
	}
	if n, err := strconv.Atoi(s); err != nil || n < 0 || n > 16 || strconv.Itoa(n) != s {
		return "Choose whole pixels from 0 to 16."
	}
	return ""
}

// Contrast returns the contrast ratio of two hexadecimal colours (WCAG 2.2 §1.4.3), or the highest there is when one of
// them is missing or written otherwise, since it is not known then.
func Contrast(a, b string) float64 {
	la, okA := luminance(a)
	lb, okB := luminance(b)
	if !okA || !okB {
		return 21
	}
	return (max(la, lb) + 0.05) / (min(la, lb) + 0.05)
}

func luminance(hex string) (float64, bool) {
	hex = strings.ToLower(hex)
	if !rule.hex.MatchString(hex) {
		return 0, false
	}
	digits := hex[1:]
	if len(digits) == 3 {
		digits = string([]byte{digits[0], digits[0], digits[1], digits[1], digits[2], digits[2]})
	}
	rgb, err := strconv.ParseUint(digits, 16, 32)
	if err != nil {
		return 0, false
	}
	return 0.2126*linear(rgb>>16) + 0.7152*linear(rgb>>8&0xff) + 0.0722*linear(rgb&0xff), true
}

func linear(channel uint64) float64 {
	c := float64(channel) / 255
	if c <= 0.04045 {
		return c / 12.92
	}
	return math.Pow((c+0.055)/1.055, 2.4)
}
