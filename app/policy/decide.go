package policy

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// Reason says why a call was allowed or denied. The values are stable: logs, audit and the SDKs share them.
type Reason string

const (
	ReasonAllowed           Reason = "allowed"
	ReasonUnknownTool       Reason = "unknown_tool"       // the tool is not in the document
	ReasonUnmappedTool      Reason = "unmapped_tool"      // the tool is in the document without scopes
	ReasonInsufficientScope Reason = "insufficient_scope" // the tool is mapped and the token does not carry enough
	ReasonRevoked           Reason = "revoked"            // the grant, its user, organization or client has ended
	ReasonStopped           Reason = "stopped"            // the kill switch is on for the tool, host, user, organization or server
	ReasonOutOfContact      Reason = "out_of_contact"     // the issuer has been silent for longer than this risk may go on
)

// Decision is the outcome of one tool call against one set of granted scopes. Its slices belong to the document: read only.
type Decision struct {
	Allowed bool
	Reason  Reason
	// Required names every scope this call needs, which is what a challenge must carry (MCP 2026-07-28, scope challenge).
	// For a tool that any of several scopes opens it is the most harmless one.
	Required []string
	// Missing is the part of Required the token does not carry; empty when allowed.
	Missing []string
}

// MaxScopes is how many scopes a document may have. Compile ignores what is beyond it, so such scopes grant nothing.
const MaxScopes = 256

// ScopeSet is a set of a document's scopes, meaningful only with the Compiled that made it.
type ScopeSet [MaxScopes / 64]uint64

func (s *ScopeSet) add(bit int)      { s[bit/64] |= 1 << (bit % 64) }
func (s *ScopeSet) has(bit int) bool { return s[bit/64]&(1<<(bit%64)) != 0 }

func (s *ScopeSet) union(o *ScopeSet) {
	for i := range s {
		s[i] |= o[i]
	}
}

func (s *ScopeSet) covers(o ScopeSet) bool {
	for i := range s {
		if o[i]&^s[i] != 0 {
			return false
		}
	}
	return true
}

func (s *ScopeSet) meets(o ScopeSet) bool {
	for i := range s {
		if o[i]&s[i] != 0 {
			return true
		}
	}
	return false
}

// Compiled is a document prepared for deciding: a call costs a few map lookups and allocates nothing when allowed.
type Compiled struct {
	resourceID string
	closure    map[string]*ScopeSet // scope -> itself and everything it implies
	tools      map[string]*compiledTool
	prompts    map[string]*compiledTool
	contents   map[string]*compiledTool
	prefixes   []contentPrefix // of contents, longest first
	silence    Offline
}

// contentPrefix is an entry of contents that ends in "*".
type contentPrefix struct {
	prefix string
	tool   *compiledTool
}

type compiledTool struct {
	match    Match
	needed   ScopeSet // the tool's scopes that exist in the document
	dead     bool     // needs, under "all", a scope the document does not have
	scopes   []toolScope
	required []string
	risk     Risk // the worst among required
}

type toolScope struct {
	name string
	bit  int // -1: not in the document, never granted
}

// Compile prepares doc. It accepts every document and fails closed: a tool that names a scope the document does not have
// cannot be opened by it, and an unknown match counts as "all". Validate is what refuses such documents before publication.
func Compile(doc *Document) *Compiled {
	names := scopeNames(doc)
	if len(names) > MaxScopes {
		names = names[:MaxScopes]
	}
	bits := make(map[string]int, len(names))
	for i, name := range names {
		bits[name] = i
	}
	c := &Compiled{
		resourceID: doc.Resource.ID, closure: make(map[string]*ScopeSet, len(names)), silence: DefaultOffline(),
		tools: compileTools(doc, bits, doc.Tools), prompts: compileTools(doc, bits, doc.Prompts),
		contents: compileTools(doc, bits, doc.Contents),
	}
	for _, name := range names {
		c.closure[name] = closureOf(doc, bits, name)
	}
	for uri, tool := range c.contents {
		if prefix, ok := strings.CutSuffix(uri, "*"); ok {
			c.prefixes = append(c.prefixes, contentPrefix{prefix, tool})
		}
	}
	slices.SortFunc(c.prefixes, func(a, b contentPrefix) int {
		return cmp.Or(len(b.prefix)-len(a.prefix), strings.Compare(a.prefix, b.prefix))
	})
	if doc.Offline != nil {
		c.silence = *doc.Offline
	}
	return c
}

func compileTools(doc *Document, bits map[string]int, tools map[string]Tool) map[string]*compiledTool {
	compiled := make(map[string]*compiledTool, len(tools))
	for name, tool := range tools {
		compiled[name] = compileTool(doc, bits, tool)
	}
	return compiled
}

// closureOf walks what name implies, once per scope, so circles end.
func closureOf(doc *Document, bits map[string]int, name string) *ScopeSet {
	set := new(ScopeSet)
	queue := []string{name}
	for len(queue) > 0 {
		next := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		bit, known := bits[next]
		if !known || set.has(bit) {
			continue
		}
		set.add(bit)
		queue = append(queue, doc.Scopes[next].Implies...)
	}
	return set
}

func compileTool(doc *Document, bits map[string]int, tool Tool) *compiledTool {
	t := &compiledTool{match: tool.Match}
	for _, name := range slices.Compact(slices.Sorted(slices.Values(tool.Scopes))) {
		bit, known := bits[name]
		if !known {
			bit = -1
			t.dead = t.dead || tool.Match != MatchAny
		} else {
			t.needed.add(bit)
		}
		t.scopes = append(t.scopes, toolScope{name: name, bit: bit})
		t.required = append(t.required, name)
	}
	if tool.Match == MatchAny && len(t.required) > 1 {
		t.required = []string{mostHarmless(doc, t.required)}
	}
	t.risk = RiskRead
	for _, name := range t.required {
		if risk := doc.Scopes[name].Risk; riskRank(risk) > riskRank(t.risk) {
			t.risk = risk
		}
	}
	return t
}

// mostHarmless picks what to ask for where any of names would do: least risk, then the tenant's own order, then the name.
func mostHarmless(doc *Document, names []string) string {
	return slices.MinFunc(names, func(a, b string) int {
		sa, sb := doc.Scopes[a], doc.Scopes[b]
		if d := riskRank(sa.Risk) - riskRank(sb.Risk); d != 0 {
			return d
		}
		if d := sa.Position - sb.Position; d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
}

// riskRank orders risks; an unknown one (also that of a scope the document lacks) counts as the worst.
func riskRank(r Risk) int {
	switch r {
	case RiskRead:
		return 0
	case RiskWrite:
		return 1
	case RiskDestructive:
		return 2
	default:
		return 3
	}
}

// Granted turns the scopes of a token into a set with everything they imply. Scopes the document lacks grant nothing.
func (c *Compiled) Granted(scopes []string) ScopeSet {
	var set ScopeSet
	for _, name := range scopes {
		if closure := c.closure[name]; closure != nil {
			set.union(closure)
		}
	}
	return set
}

// Decide says whether a token with the granted scopes may call tool.
func (c *Compiled) Decide(tool string, granted ScopeSet) Decision {
	t := c.tools[tool]
	if t == nil {
		return Decision{Reason: ReasonUnknownTool}
	}
	return t.decide(granted)
}

func (t *compiledTool) decide(granted ScopeSet) Decision {
	if len(t.scopes) == 0 {
		return Decision{Reason: ReasonUnmappedTool}
	}
	if t.opens(granted) {
		return Decision{Allowed: true, Reason: ReasonAllowed, Required: t.required}
	}
	return Decision{Reason: ReasonInsufficientScope, Required: t.required, Missing: t.missing(granted)}
}

// Allows is Decide without the reasons, for filtering lists.
func (c *Compiled) Allows(tool string, granted ScopeSet) bool {
	t := c.tools[tool]
	return t != nil && len(t.scopes) > 0 && t.opens(granted)
}

func (t *compiledTool) opens(granted ScopeSet) bool {
	if t.match == MatchAny {
		return granted.meets(t.needed)
	}
	return !t.dead && granted.covers(t.needed)
}

func (t *compiledTool) missing(granted ScopeSet) []string {
	if t.match == MatchAny {
		return t.required
	}
	var missing []string
	for _, s := range t.scopes {
		if s.bit < 0 || !granted.has(s.bit) {
			missing = append(missing, s.name)
		}
	}
	return missing
}

// Decide is the decision for one call on a document that is not compiled. Whoever decides often compiles once.
func Decide(doc *Document, tool string, granted []string) Decision {
	c := Compile(doc)
	return c.Decide(tool, c.Granted(granted))
}

// BaselineScopes lists the scopes asked for when a client names none, in the tenant's order.
func (d *Document) BaselineScopes() []string {
	var names []string
	for _, name := range scopeNames(d) {
		if d.Scopes[name].Baseline {
			names = append(names, name)
		}
	}
	slices.SortStableFunc(names, func(a, b string) int { return d.Scopes[a].Position - d.Scopes[b].Position })
	return names
}

// scopeNames lists the document's scopes in a fixed order.
func scopeNames(d *Document) []string { return slices.Sorted(maps.Keys(d.Scopes)) }
