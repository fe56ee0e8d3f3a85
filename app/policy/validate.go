package policy

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/ostiary/ostiary/app/errs"
)

// Limits of a document. They keep the consent page readable and the signed document small.
const (
	MaxTools         = 2000
	MaxScopesPerTool = 16
	MaxImplies       = 64
	MaxAliases       = 16
	MaxScopeLength   = 128
	MaxToolLength    = 256
	MaxNameLength    = 100
	MaxTitleLength   = 120
	MaxTextLength    = 600
	maxURLLength     = 2048
	maxFingerprint   = 128
	maxAudited       = 32
)

// problems collects one message per place in the document, e.g. "scopes[data:read].title".
type problems map[string]string

func (p problems) add(place, format string, args ...any) {
	if _, known := p[place]; !known {
		p[place] = fmt.Sprintf(format, args...)
	}
}

// Validate checks everything a document must satisfy before it is published. It returns an Invalid error whose Fields
// name each place; nil when there is nothing to say.
func (d *Document) Validate() error {
	p := problems{}
	if d.Revision < 0 {
		p.add("revision", "A revision cannot be negative.")
	}
	if d.Mode != ModeEnforce && d.Mode != ModeShadow {
		p.add("mode", "The mode is %q or %q.", ModeEnforce, ModeShadow)
	}
	d.validateResource(p)
	if len(d.Scopes) > MaxScopes {
		p.add("scopes", "A document holds at most %d scopes.", MaxScopes)
	}
	if len(d.Tools)+len(d.Prompts)+len(d.Contents) > MaxTools {
		p.add("tools", "A document holds at most %d tools, prompts and contents.", MaxTools)
	}
	for name, s := range d.Scopes {
		d.validateScope(p, name, s)
	}
	for name, t := range d.Tools {
		d.validateTool(p, "tools", name, t)
	}
	for name, t := range d.Prompts {
		d.validateTool(p, "prompts", name, t)
	}
	for uri, t := range d.Contents {
		d.validateTool(p, "contents", uri, t)
	}
	d.validateOffline(p)
	if len(p) > 0 {
		return errs.InvalidFields(p)
	}
	return nil
}

func (d *Document) validateResource(p problems) {
	r := d.Resource
	if r.ID == "" {
		p.add("resource.id", "The resource has no id.")
	}
	checkText(p, "resource.name", r.Name, textRules{max: MaxNameLength, required: true})
	if msg := identifierProblem(r.Identifier); msg != "" {
		p.add("resource.identifier", "%s", msg)
	}
	if len(r.Aliases) > MaxAliases {
		p.add("resource.aliases", "A resource has at most %d aliases.", MaxAliases)
	}
	seen := map[string]bool{r.Identifier: true}
	for i, alias := range r.Aliases {
		place := fmt.Sprintf("resource.aliases[%d]", i)
		if msg := identifierProblem(alias); msg != "" {
			p.add(place, "%s", msg)
		}
		if seen[alias] {
			p.add(place, "This spelling is listed twice.")
		}
		seen[alias] = true
	}
}

// identifierProblem says what keeps s from being a resource identifier: RFC 8707 §2 (absolute, no fragment) and the
// canonical spelling every party compares byte by byte. A query is refused because the gate routes by path.
func identifierProblem(s string) string {
	u, err := url.Parse(s)
	switch {
	case s == "":
		return "The resource has no identifier."
	case len(s) > maxURLLength:
		return fmt.Sprintf("An identifier has at most %d characters.", maxURLLength)
	case err != nil || u.Host == "" || u.Opaque != "":
		return "An identifier is an absolute http or https URL."
	case u.Scheme != "http" && u.Scheme != "https":
		return "An identifier is an absolute http or https URL."
	case u.User != nil || strings.ContainsAny(s, "#?"):
		return "An identifier has no user, query or fragment."
	case !strings.HasPrefix(s, u.Scheme+"://"+strings.ToLower(u.Host)):
		return "Scheme and host of an identifier are lower case."
	case u.Scheme == "http" && u.Port() == "80", u.Scheme == "https" && u.Port() == "443", strings.HasSuffix(u.Host, ":"):
		return "An identifier leaves out the default port."
	case u.EscapedPath() != u.Path || hasHidden(s) || strings.ContainsAny(s, " \"\\"):
		return "An identifier's path has only plain characters."
	}
	return ""
}

func (d *Document) validateScope(p problems, name string, s Scope) {
	place := "scopes[" + name + "]"
	if msg := scopeNameProblem(name); msg != "" {
		p.add(place, "%s", msg)
	}
	if riskRank(s.Risk) > riskRank(RiskDestructive) {
		p.add(place+".risk", "The risk is %q, %q or %q.", RiskRead, RiskWrite, RiskDestructive)
	}
	checkText(p, place+".title", s.Title, textRules{max: MaxTitleLength, required: true})
	checkText(p, place+".description", s.Description, textRules{max: MaxTextLength, lines: true})
	checkText(p, place+".warning", s.Warning, textRules{max: MaxTextLength, lines: true})
	if s.Required && s.NeverTicked {
		p.add(place+".required", "A permission that is never ticked beforehand cannot be required.")
	}
	d.validateImplies(p, place+".implies", name, s)
}

func (d *Document) validateImplies(p problems, place, name string, s Scope) {
	if len(s.Implies) > MaxImplies {
		p.add(place, "A scope implies at most %d others.", MaxImplies)
	}
	for _, implied := range s.Implies {
		other, known := d.Scopes[implied]
		switch {
		case implied == name:
			p.add(place, "A scope does not imply itself.")
		case !known:
			p.add(place, "There is no scope %q to imply.", implied)
		case riskRank(other.Risk) > riskRank(s.Risk):
			// Someone who reads and accepts a harmless permission must not hand out a dangerous one with it.
			p.add(place, "A %s scope cannot imply the %s scope %q.", s.Risk, other.Risk, implied)
		}
	}
	if d.impliesItself(name) {
		p.add(place, "These scopes imply each other in a circle.")
	}
}

func (d *Document) impliesItself(name string) bool {
	seen := map[string]bool{}
	queue := slices.Clone(d.Scopes[name].Implies)
	for len(queue) > 0 {
		next := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		if next == name {
			return true
		}
		if !seen[next] {
			seen[next] = true
			queue = append(queue, d.Scopes[next].Implies...)
		}
	}
	return false
}

// reservedScope reports names that belong to the authorization server, never to a resource.
func reservedScope(name string) bool {
	return slices.Contains([]string{"openid", "profile", "email", "offline_access"}, name)
}

// scopeNameProblem holds names to RFC 6749 §3.3: scope-token = 1*( %x21 / %x23-5B / %x5D-7E ).
func scopeNameProblem(name string) string {
	if name == "" || len(name) > MaxScopeLength {
		return fmt.Sprintf("A scope has 1 to %d characters.", MaxScopeLength)
	}
	if reservedScope(name) {
		return "This scope belongs to the authorization server."
	}
	for _, c := range []byte(name) {
		if c <= ' ' || c > '~' || c == '"' || c == '\\' {
			return "A scope has only printable ASCII characters without spaces, quotes and backslashes."
		}
	}
	return ""
}

func (d *Document) validateOffline(p problems) {
	if d.Offline == nil {
		return
	}
	for place, seconds := range map[string]int64{
		"offline.read": d.Offline.Read, "offline.write": d.Offline.Write, "offline.destructive": d.Offline.Destructive,
	} {
		if seconds < MinOffline || seconds > MaxOffline {
			p.add(place, "This is between a minute and seven days.")
		}
	}
	if d.Offline.Destructive > d.Offline.Write || d.Offline.Write > d.Offline.Read {
		p.add("offline", "What does more harm stops no later than what does less.")
	}
}

// validateTool checks an entry of tools, prompts or contents.
func (d *Document) validateTool(p problems, list, name string, t Tool) {
	place := list + "[" + name + "]"
	for _, argument := range t.Audited {
		checkText(p, place+".audited", argument, textRules{max: MaxToolLength, required: true})
	}
	if len(t.Audited) > maxAudited {
		p.add(place+".audited", "A record keeps at most %d arguments.", maxAudited)
	}
	checkText(p, place, name, textRules{max: MaxToolLength, required: true})
	checkText(p, place+".wording", t.Wording, textRules{max: MaxTitleLength})
	checkText(p, place+".fingerprint", t.Fingerprint, textRules{max: maxFingerprint})
	if len(t.Scopes) > MaxScopesPerTool {
		p.add(place+".scopes", "A tool maps to at most %d scopes.", MaxScopesPerTool)
	}
	seen := map[string]bool{}
	for _, s := range t.Scopes {
		if _, known := d.Scopes[s]; !known {
			p.add(place+".scopes", "There is no scope %q.", s)
		}
		if seen[s] {
			p.add(place+".scopes", "The scope %q is listed twice.", s)
		}
		seen[s] = true
	}
	if t.Match != MatchAny && t.Match != MatchAll && (t.Match != "" || len(t.Scopes) > 1) {
		p.add(place+".match", "The match is %q or %q.", MatchAny, MatchAll)
	}
}
