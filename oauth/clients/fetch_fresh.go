package clients

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Bounds on how long an answer counts as fresh, whatever it says of itself: the floor keeps one host from costing a fetch per
// request, the ceiling keeps a mistake in a header from lasting longer than a day.
const (
	minFresh     = time.Minute
	defaultFresh = time.Hour
	maxFresh     = 24 * time.Hour
)

// freshFor returns how much longer an answer is fresh: its freshness lifetime less its age (RFC 9111 §4.2), within our bounds. We
// are a shared cache: s-maxage comes before max-age, and both before Expires.
func freshFor(h http.Header, now time.Time) time.Duration {
	lifetime, said := lifetimeOf(h, now)
	if !said {
		lifetime = defaultFresh
	}
	if age, err := strconv.ParseUint(strings.TrimSpace(h.Get("Age")), 10, 31); err == nil {
		lifetime -= time.Duration(age) * time.Second
	}
	return min(max(lifetime, minFresh), maxFresh)
}

func lifetimeOf(h http.Header, now time.Time) (time.Duration, bool) {
	directives := cacheDirectives(h)
	for _, name := range [...]string{"no-store", "no-cache", "private"} {
		if _, ok := directives[name]; ok {
			return 0, true
		}
	}
	for _, name := range [...]string{"s-maxage", "max-age"} {
		if value, ok := directives[name]; ok {
			seconds, err := strconv.ParseUint(value, 10, 31)
			if err != nil && !errors.Is(err, strconv.ErrRange) { // a larger number is the largest one (RFC 9111 §1.2.2)
				return 0, true // §4.2.1: what cannot be read is stale
			}
			return time.Duration(seconds) * time.Second, true
		}
	}
	if !headerPresent(h, "Expires") {
		return 0, false
	}
	expires, err := http.ParseTime(h.Get("Expires"))
	if err != nil {
		return 0, true // RFC 9111 §5.3: "0" means already expired
	}
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		return expires.Sub(date), true
	}
	return expires.Sub(now), true
}

func headerPresent(h http.Header, name string) bool { return len(h.Values(name)) > 0 }

// cacheDirectives reads Cache-Control (RFC 9111 §5.2). Of a directive that comes twice the first counts (§4.2.1).
func cacheDirectives(h http.Header) map[string]string {
	out := map[string]string{}
	for _, line := range h.Values("Cache-Control") {
		for part := range strings.SplitSeq(line, ",") {
			name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
			name = strings.ToLower(strings.TrimSpace(name))
			if _, twice := out[name]; !twice {
				out[name] = strings.Trim(strings.TrimSpace(value), `"`)
			}
		}
	}
	return out
}
