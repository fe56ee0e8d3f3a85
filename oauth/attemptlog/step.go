package attemptlog

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/ostiary/ostiary/app/scope"
)

// Kind says which step of a connection attempt this is.
type Kind string

// The kinds, in the order of a handshake that works.
const (
	KindMetadata  Kind = "metadata" // the issuer's metadata or a client's document was read
	KindRegister  Kind = "register"
	KindAuthorize Kind = "authorize"
	KindPage      Kind = "page" // a page between the other steps, such as a resumed interaction
	KindLogin     Kind = "login"
	KindConsent   Kind = "consent"
	KindCode      Kind = "code" // the host was sent back with a code
	KindToken     Kind = "token"
	KindRefresh   Kind = "refresh"
	KindRevoke    Kind = "revoke"
)

// Outcome says how a step ended.
type Outcome string

// The outcomes.
const (
	OutcomeOK      Outcome = "ok"
	OutcomeWaiting Outcome = "waiting" // for the user
	OutcomeRefused Outcome = "refused" // by a rule
	OutcomeFailed  Outcome = "failed"  // by a fault of ours
)

// Step is one step of a connection attempt. Texts are cut and cleaned when the step is recorded.
type Step struct {
	ID         int64     `json:"id"`
	At         time.Time `json:"at"`
	CaseID     string    `json:"case,omitempty"` // empty for what comes before an attempt has an id: metadata, registration
	Kind       Kind      `json:"kind"`
	Outcome    Outcome   `json:"outcome"`
	Reason     string    `json:"reason,omitempty"`   // stable code, empty unless refused or failed
	Detail     string    `json:"detail,omitempty"`   // one short fact; never a secret, code, token, state or URL with a query
	Asked      string    `json:"asked,omitempty"`    // what was sent, where that is the trouble
	Expected   string    `json:"expected,omitempty"` // what would have been right
	ClientID   string    `json:"client_id,omitempty"`
	ClientName string    `json:"client_name,omitempty"` // as the client calls itself
	Host       string    `json:"host,omitempty"`        // of the redirect URI
	UserID     string    `json:"user_id,omitempty"`
	Address    string    `json:"address,omitempty"` // given as a network address, kept as a keyed hash
	Agent      string    `json:"agent,omitempty"`   // User-Agent
}

// Place is whose step it is: the environment, and the key that its network addresses are hashed with.
type Place struct {
	Scope scope.Scope
	Key   []byte
}

// Bounds of what is kept of a step.
const (
	maxReason   = 60
	maxDetail   = 300
	maxClientID = 2048
	maxName     = 120
	maxHost     = 253
	maxAgent    = 120
)

// kept returns the step as it may be stored: in copies of its own, so that a queued step holds on to no request.
func (s Step) kept(p Place) Step {
	s.CaseID = cut(s.CaseID, maxReason)
	s.Reason, s.Detail = cut(s.Reason, maxReason), cut(s.Detail, maxDetail)
	s.Asked, s.Expected = cut(s.Asked, maxDetail), cut(s.Expected, maxDetail)
	s.ClientID, s.ClientName = cut(s.ClientID, maxClientID), cut(s.ClientName, maxName)
	s.Host, s.UserID, s.Agent = cut(s.Host, maxHost), cut(s.UserID, maxReason), cut(s.Agent, maxAgent)
	s.Address = hashAddress(p, s.Address)
	return s
}

// cut returns at most the first most bytes of text, without what is invisible or turns the reading direction.
func cut(text string, most int) string {
	if len(text) > most {
		text = text[:most] // half a character at the end is dropped below
	}
	return strings.Clone(strings.Map(func(r rune) rune {
		if r == utf8.RuneError || unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return -1
		}
		return r
	}, text))
}

const addressBytes = 8

func hashAddress(p Place, address string) string {
	if address == "" {
		return ""
	}
	m := hmac.New(sha256.New, p.Key)
	m.Write([]byte(p.Scope.EnvironmentID))
	m.Write([]byte{0})
	m.Write([]byte(address))
	return hex.EncodeToString(m.Sum(nil)[:addressBytes])
}

// CleanURL returns a URL without user, query and fragment: the parts that may carry a secret. What is no absolute URL is not
// repeated at all.
func CleanURL(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme == "" {
		return "(not a URL)"
	}
	if u.Opaque != "" {
		return u.Scheme + ":…"
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

var caseID = regexp.MustCompile(`^OST-[A-Z2-7]{5}-[A-Z2-7]{5}$`)

// ParseCaseID returns the case id in text as people type it, and whether it is one.
func ParseCaseID(text string) (string, bool) {
	id := strings.ToUpper(strings.TrimSpace(text))
	return id, caseID.MatchString(id)
}
