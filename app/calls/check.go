package calls

import (
	"fmt"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ostiary/ostiary/app/policy"
)

// Bounds of a record's fields, in bytes where nothing else is said.
const (
	maxTool      = 1024 // URIs of contents are the longest
	maxIdentity  = 256  // user, organization, host, grant
	maxClient    = 2048 // the URL of a metadata document
	maxReason    = 64
	maxScope     = 256
	maxAllScopes = 16 << 10
	maxLatency   = 24 * time.Hour

	// Ahead is how far a reporter's clock may be in front.
	Ahead = 5 * time.Minute

	idPrefix = "call_"
	idLength = 26
)

// Bounds are what a record is held to besides its own fields.
type Bounds struct {
	Now    time.Time
	Oldest time.Time // what is older would be deleted at once; zero for no such bound
}

// problem returns the first field of r that cannot be kept as it is, and why; empty when there is none.
func (r *Record) problem(b Bounds) (field, problem string) {
	switch {
	case !IsID(r.ID):
		return "id", "is not call_ and 26 characters A-Z, 2-7"
	case r.At.IsZero():
		return "at", "is missing"
	case r.At.After(b.Now.Add(Ahead)):
		return "at", "is more than 5 minutes ahead"
	case r.At.Before(b.Oldest):
		return "at", "is older than calls are kept for"
	case r.Kind != policy.TargetTool && r.Kind != policy.TargetPrompt && r.Kind != policy.TargetContent && r.Kind != KindRequest:
		return "kind", "is not tool, prompt, content or request"
	case r.Proof != ProofToken && r.Proof != ProofLegacy:
		return "proof", "is not token or legacy"
	case !isWord(string(r.Reason), maxReason):
		return "reason", "is not a lower-case word"
	}
	if field, problem := r.textProblem(); field != "" {
		return field, problem
	}
	return r.numberProblem()
}

func (r *Record) textProblem() (field, problem string) {
	for _, text := range [...]struct {
		field, value string
		most         int
		must         bool
	}{
		{"tool", r.Tool, maxTool, true}, {"user", r.User, maxIdentity, true}, {"org", r.Organization, maxIdentity, false},
		{"client", r.Client, maxClient, false}, {"host", r.Host, maxIdentity, false}, {"grant", r.Grant, maxIdentity, false},
	} {
		switch {
		case text.must && text.value == "":
			return text.field, "is missing"
		case len(text.value) > text.most:
			return text.field, fmt.Sprintf("is longer than %d bytes", text.most)
		case !isPlain(text.value):
			return text.field, "is not plain UTF-8 text"
		}
	}
	for _, list := range [...]struct {
		field  string
		values []string
	}{{"scopes", r.Scopes}, {"missing", r.Missing}} {
		if problem := scopesProblem(list.values); problem != "" {
			return list.field, problem
		}
	}
	return "", ""
}

func scopesProblem(list []string) string {
	total := 0
	for _, s := range list {
		total += len(s) + 1
		if s == "" || len(s) > maxScope || strings.Contains(s, " ") || !isPlain(s) {
			return "holds what is no scope (RFC 6749 §3.3)"
		}
	}
	if len(list) > policy.MaxScopes || total > maxAllScopes {
		return "are too many"
	}
	return ""
}

func (r *Record) numberProblem() (field, problem string) {
	switch {
	case r.Revision < 0 || r.Revision > math.MaxInt32:
		return "revision", "is out of range"
	case r.Sequence < 0:
		return "seq", "is out of range"
	case r.Silence < -1 || r.Silence > math.MaxInt32: // -1: contact is not counted
		return "silence", "is out of range"
	case r.Status != 0 && (r.Status < 100 || r.Status > 599):
		return "status", "is not an HTTP status"
	case r.LatencyUS < 0 || r.LatencyUS > maxLatency.Microseconds():
		return "latency_us", "is out of range"
	}
	return "", ""
}

// IsID reports whether s has the form of a call's id.
func IsID(s string) bool {
	rest, ok := strings.CutPrefix(s, idPrefix)
	if !ok || len(rest) != idLength {
		return false
	}
	for i := range len(rest) {
		if c := rest[i]; (c < 'A' || c > 'Z') && (c < '2' || c > '7') {
			return false
		}
	}
	return true
}

func isWord(s string, most int) bool {
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && c != '_' {
			return false
		}
	}
	return s != "" && len(s) <= most
}

// isPlain reports whether s is text without control characters, which Postgres takes and terminals survive.
func isPlain(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	return strings.IndexFunc(s, isControl) < 0
}

func isControl(r rune) bool { return r < ' ' || (r >= 0x7f && r < 0xa0) }

// Clean makes of r a record that is accepted, for reporters: what a caller chose (the name of a tool that does not exist)
// must not keep the record of it from being kept. Texts are cut, what is no text in them is replaced.
func (r *Record) Clean() {
	for _, text := range [...]struct {
		value *string
		most  int
	}{
		{&r.Tool, maxTool}, {&r.User, maxIdentity}, {&r.Organization, maxIdentity}, {&r.Client, maxClient}, {&r.Host, maxIdentity},
		{&r.Grant, maxIdentity},
	} {
		if len(*text.value) > text.most || !isPlain(*text.value) {
			*text.value = cleaned(*text.value, text.most)
		}
	}
	if r.Tool == "" {
		r.Tool = "?"
	}
	if r.User == "" {
		r.User = "?"
	}
	r.Scopes, r.Missing = cleanScopes(r.Scopes), cleanScopes(r.Missing)
	r.Revision, r.Sequence = max(r.Revision, 0), max(r.Sequence, 0)
	r.Silence = min(max(r.Silence, -1), math.MaxInt32)
	r.LatencyUS = min(max(r.LatencyUS, 0), maxLatency.Microseconds())
	if r.Status < 100 || r.Status > 599 {
		r.Status = 0
	}
	r.cleanArguments()
}

func cleaned(s string, most int) string {
	const replacement, ellipsis = "\uFFFD", "…"
	s = strings.Map(func(r rune) rune {
		if isControl(r) {
			return utf8.RuneError
		}
		return r
	}, strings.ToValidUTF8(s[:min(len(s), 4*most)], replacement))
	if len(s) <= most {
		return s
	}
	end := most - len(ellipsis)
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + ellipsis
}

// cleanScopes returns list, or as much of it as is accepted.
func cleanScopes(list []string) []string {
	if scopesProblem(list) == "" {
		return list
	}
	var kept []string
	total := 0
	for _, s := range list {
		if scopesProblem([]string{s}) != "" {
			continue
		}
		if total += len(s) + 1; total > maxAllScopes || len(kept) == policy.MaxScopes {
			break
		}
		kept = append(kept, s)
	}
	return kept
}
