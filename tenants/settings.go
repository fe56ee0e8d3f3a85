package tenants

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ostiary/ostiary/tenants/check"
)

// Settings are the effective settings of an environment (architecture §8).
type Settings struct {
	AccessTokenLifetime time.Duration
	RefreshIdle         time.Duration // a refresh token unused for this long ends
	RefreshAbsolute     time.Duration // a grant ends after this long, however often it is refreshed
	RefreshGrace        time.Duration // how long a predecessor still works after rotation
	CodeLifetime        time.Duration
	InteractionLifetime time.Duration
	SessionIdle         time.Duration
	SessionAbsolute     time.Duration
	DynamicRegistration bool
	MetadataDocuments   bool
	RedirectSchemes     []string      // private-use schemes that apps may register besides those with a dot and known hosts'
	SigningAlg          string        // JWS algorithm of new signing keys (RFC 7518 §3.1)
	KeyRotation         time.Duration // how long a signing key signs before the next one takes over
	CallRetention       time.Duration // how long records of calls are kept
}

// DefaultSettings returns the settings of an environment that chose none.
func DefaultSettings() Settings {
	const day = 24 * time.Hour
	return Settings{
		AccessTokenLifetime: time.Hour,
		RefreshIdle:         30 * day,
		RefreshAbsolute:     365 * day,
		RefreshGrace:        120 * time.Second,
		CodeLifetime:        60 * time.Second,
		InteractionLifetime: 10 * time.Minute,
		SessionIdle:         12 * time.Hour,
		SessionAbsolute:     7 * day,
		DynamicRegistration: true,
		MetadataDocuments:   true,
		SigningAlg:          "ES256", // RS256 costs 30 times more to sign
		KeyRotation:         90 * day,
		CallRetention:       90 * day,
	}
}

// SettingChoices are the settings somebody chose; what is nil has its default. This is what is stored and what files say.
type SettingChoices struct {
	AccessTokenLifetime *Duration `json:"access_token_lifetime,omitempty" yaml:"access_token_lifetime"`
	RefreshIdle         *Duration `json:"refresh_idle,omitempty" yaml:"refresh_idle"`
	RefreshAbsolute     *Duration `json:"refresh_absolute,omitempty" yaml:"refresh_absolute"`
	RefreshGrace        *Duration `json:"refresh_grace,omitempty" yaml:"refresh_grace"`
	CodeLifetime        *Duration `json:"code_lifetime,omitempty" yaml:"code_lifetime"`
	InteractionLifetime *Duration `json:"interaction_lifetime,omitempty" yaml:"interaction_lifetime"`
	SessionIdle         *Duration `json:"session_idle,omitempty" yaml:"session_idle"`
	SessionAbsolute     *Duration `json:"session_absolute,omitempty" yaml:"session_absolute"`
	DynamicRegistration *bool     `json:"dynamic_registration,omitempty" yaml:"dynamic_registration"`
	MetadataDocuments   *bool     `json:"metadata_documents,omitempty" yaml:"metadata_documents"`
	RedirectSchemes     []string  `json:"redirect_schemes,omitempty" yaml:"redirect_schemes"`
	SigningAlg          *string   `json:"signing_alg,omitempty" yaml:"signing_alg"`
	KeyRotation         *Duration `json:"key_rotation,omitempty" yaml:"key_rotation"`
	CallRetention       *Duration `json:"call_retention,omitempty" yaml:"call_retention"`
}

// maxSchemes of an environment.
const maxSchemes = 20

// scheme is the form of a URI scheme (RFC 3986 §3.1) in lower case.
var scheme = regexp.MustCompile(`^[a-z][a-z0-9+.-]{0,39}$`)

// SigningAlgs returns the JWS algorithms an environment may sign with.
func SigningAlgs() []string { return []string{"ES256", "RS256", "EdDSA"} }

// WithDefaults returns the effective settings.
func (c SettingChoices) WithDefaults() Settings {
	s := DefaultSettings()
	for _, chosen := range c.durations(&s) {
		if chosen.value != nil {
			*chosen.effective = time.Duration(*chosen.value)
		}
	}
	if c.DynamicRegistration != nil {
		s.DynamicRegistration = *c.DynamicRegistration
	}
	if c.MetadataDocuments != nil {
		s.MetadataDocuments = *c.MetadataDocuments
	}
	s.RedirectSchemes = c.RedirectSchemes
	if c.SigningAlg != nil {
		s.SigningAlg = *c.SigningAlg
	}
	return s
}

type chosenDuration struct {
	name      string
	value     *Duration
	effective *time.Duration
	low, high time.Duration
}

func (c SettingChoices) durations(s *Settings) []chosenDuration {
	const day = 24 * time.Hour
	return []chosenDuration{
		// Hosts refresh before every call when under five minutes are left (architecture §8).
		{"access_token_lifetime", c.AccessTokenLifetime, &s.AccessTokenLifetime, 10 * time.Minute, 24 * time.Hour},
		{"refresh_idle", c.RefreshIdle, &s.RefreshIdle, time.Hour, 365 * day},
		{"refresh_absolute", c.RefreshAbsolute, &s.RefreshAbsolute, time.Hour, 10 * 365 * day},
		// Honest bursts of parallel refreshes last up to 76 s: less than 120 s would log people out.
		{"refresh_grace", c.RefreshGrace, &s.RefreshGrace, 120 * time.Second, time.Hour},
		{"code_lifetime", c.CodeLifetime, &s.CodeLifetime, 10 * time.Second, 10 * time.Minute}, // RFC 6749 §4.1.2
		{"interaction_lifetime", c.InteractionLifetime, &s.InteractionLifetime, time.Minute, 24 * time.Hour},
		{"session_idle", c.SessionIdle, &s.SessionIdle, time.Minute, 90 * day},
		{"session_absolute", c.SessionAbsolute, &s.SessionAbsolute, time.Minute, 365 * day},
		// A key is published for a day before it signs and for a day after: a week leaves room for both.
		{"key_rotation", c.KeyRotation, &s.KeyRotation, 7 * day, 5 * 365 * day},
		{"call_retention", c.CallRetention, &s.CallRetention, day, 5 * 365 * day},
	}
}

// Validate returns what is wrong with the choices, by the names that files use.
func (c SettingChoices) Validate() check.Problems {
	var problems check.Problems
	effective := DefaultSettings()
	for _, chosen := range c.durations(&effective) {
		if chosen.value == nil {
			continue
		}
		if v := time.Duration(*chosen.value); v < chosen.low || v > chosen.high {
			problems.Addf(chosen.name, "Choose between %s and %s.", Duration(chosen.low), Duration(chosen.high))
		}
	}
	if len(c.RedirectSchemes) > maxSchemes || slices.ContainsFunc(c.RedirectSchemes, func(s string) bool { return !scheme.MatchString(s) }) {
		problems.Addf("redirect_schemes", "List at most %d schemes, each as windsurf: lower-case letters, digits, plus, minus, dots.", maxSchemes)
	}
	effective = c.WithDefaults()
	if !slices.Contains(SigningAlgs(), effective.SigningAlg) {
		problems.Addf("signing_alg", "Choose one of %s.", strings.Join(SigningAlgs(), ", "))
	}
	if effective.RefreshIdle > effective.RefreshAbsolute {
		problems.Add("refresh_idle", "A refresh token cannot idle longer than refresh_absolute.")
	}
	if effective.SessionIdle > effective.SessionAbsolute {
		problems.Add("session_idle", "A session cannot idle longer than session_absolute.")
	}
	return problems
}

// Duration is a time.Duration written as people write it: "90s", "10m", "12h", "30d".
type Duration time.Duration

// UnmarshalText reads "30d" besides what time.ParseDuration reads.
func (d *Duration) UnmarshalText(text []byte) error {
	s := string(text)
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil {
			return fmt.Errorf("%q is not a duration such as 90s, 10m, 12h or 30d", s)
		}
		*d = Duration(time.Duration(n) * 24 * time.Hour)
		return nil
	}
	parsed, err := time.ParseDuration(s)
	if err != nil {
		return fmt.Errorf("%q is not a duration such as 90s, 10m, 12h or 30d", s)
	}
	*d = Duration(parsed)
	return nil
}

// MarshalText writes the shortest form.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// String returns the shortest form: "30d" and not "720h0m0s".
func (d Duration) String() string {
	v := time.Duration(d)
	switch {
	case v != 0 && v%(24*time.Hour) == 0:
		return fmt.Sprintf("%dd", v/(24*time.Hour))
	case v != 0 && v%time.Hour == 0:
		return fmt.Sprintf("%dh", v/time.Hour)
	case v != 0 && v%time.Minute == 0:
		return fmt.Sprintf("%dm", v/time.Minute)
	default:
		return v.String()
	}
}
