package check

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// MaxPassword is the longest password in bytes; argon2id takes any length, a server need not.
const MaxPassword = 256

const minPassword = 8

type rules struct{ slug, orgSlug, email, scopeToken, phc *regexp.Regexp }

func newRules() rules {
	const label = `[a-z0-9]([a-z0-9-]*[a-z0-9])?` // of a host name
	return rules{
		slug:       regexp.MustCompile(`^[a-z][a-z0-9-]*[a-z0-9]$`),
		orgSlug:    regexp.MustCompile(`^[a-z0-9][a-z0-9_.-]{0,62}$`),
		email:      regexp.MustCompile(`^[a-z0-9.!#$%&'*+/=?^_{|}~` + "`" + `-]{1,64}@` + label + `(\.` + label + `)*$`),
		scopeToken: regexp.MustCompile(`^[!#-\[\]-~]{1,128}$`),
		phc: regexp.MustCompile(`^\$argon2id\$v=19\$m=[0-9]{1,7},t=[0-9]{1,2},p=1` +
			`\$[A-Za-z0-9+/]{11,86}\$[A-Za-z0-9+/]{43}$`),
	}
}

var rule = newRules() // compiled once, never changed

// Slug returns what is wrong with the name of a tenant or environment in URLs, or "".
func Slug(s string, limit int) string {
	if !rule.slug.MatchString(s) || len(s) > limit {
		return "Use lower-case letters, digits and hyphens, starting with a letter."
	}
	return ""
}

// OrganizationSlug returns what is wrong with the slug of an organization, or "".
func OrganizationSlug(s string) string {
	if !rule.orgSlug.MatchString(s) {
		return "Use lower-case letters, digits, dots, hyphens and underscores, starting with a letter or digit."
	}
	return ""
}

// NormalEmail returns the form in which e-mail addresses are kept and compared.
func NormalEmail(s string) string { return strings.ToLower(strings.TrimSpace(s)) }

// Email returns what is wrong with a normal e-mail address, or "".
func Email(s string) string {
	if len(s) > 254 || !rule.email.MatchString(s) {
		return "Write an e-mail address, such as name@example.com."
	}
	return ""
}

// Password returns what is wrong with a new password, or "".
func Password(s string) string {
	switch {
	case len(s) < minPassword:
		return "Use at least 8 characters."
	case len(s) > MaxPassword:
		return "Use at most 256 characters."
	}
	return ""
}

// PasswordHash returns what is wrong with the shape of an argon2id hash, or "".
func PasswordHash(s string) string {
	if !rule.phc.MatchString(s) {
		return "Write an argon2id hash: $argon2id$v=19$m=…,t=…,p=1$salt$hash."
	}
	return ""
}

// ScopeToken returns what is wrong with a scope's name (RFC 6749 §3.3 scope-token), or "".
func ScopeToken(s string) string {
	switch {
	case !rule.scopeToken.MatchString(s):
		return "Use 1 to 128 visible ASCII characters, without spaces, quotes or backslashes."
	case slices.Contains([]string{"openid", "profile", "email", "offline_access"}, s):
		return "This name has a meaning of its own in OAuth; choose another."
	}
	return ""
}

// WebLink returns what is wrong with an optional link that pages print, or "".
func WebLink(s string) string {
	if s == "" {
		return ""
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || len(s) > 500 || unreadable(s) != "" {
		return "Write a full https:// address."
	}
	return ""
}
