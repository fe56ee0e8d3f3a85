package policy

import (
	"strings"
	"time"
)

// Subject is what a decision reads of an access token.
type Subject struct {
	User         string   `json:"user"`           // sub
	Organization string   `json:"org,omitempty"`  // org_id
	Client       string   `json:"client"`         // client_id
	Host         string   `json:"host,omitempty"` // host: what was checked about the client; empty when nothing could be
	Grant        string   `json:"grant"`          // grant_id
	Scopes       []string `json:"scopes"`
}

// TargetKind says which of a document's maps a call is looked up in.
type TargetKind string

const (
	TargetTool    TargetKind = "tool"    // tools/call
	TargetPrompt  TargetKind = "prompt"  // prompts/get
	TargetContent TargetKind = "content" // resources/read, resources/subscribe
)

// Target is what a call is about.
type Target struct {
	Kind TargetKind `json:"kind"`
	Name string     `json:"name"` // of the tool or prompt; the URI of a content
}

// Situation is what the resource side knows besides the policy when it decides.
type Situation struct {
	Feed    *CompiledFeed
	Silence time.Duration // since the issuer was last heard, by the time its feed was signed; negative: contact is not counted
}

// Judge says whether a token of s may do what target names. granted is Granted(s.Scopes), which callers keep. The order is
// fixed, since logs and SDKs compare reasons: what the token rests on, what is stopped, what the policy says, and last
// whether the issuer has been silent for too long.
func (c *Compiled) Judge(target Target, s Subject, granted ScopeSet, now Situation) Decision {
	if reason := now.Feed.Refuses(s, c.resourceID); reason != "" {
		return Decision{Reason: reason}
	}
	if target.Kind == TargetTool && now.Feed.stopsTool(target.Name) {
		return Decision{Reason: ReasonStopped}
	}
	d, risk := c.decide(target, granted)
	if d.Allowed && now.Silence > c.offline(risk) {
		return Decision{Reason: ReasonOutOfContact, Required: d.Required}
	}
	return d
}

// decide looks up a target. The risk is that of the most dangerous scope the target needs.
func (c *Compiled) decide(target Target, granted ScopeSet) (Decision, Risk) {
	t, guarded := c.find(target)
	switch {
	case !guarded:
		return Decision{Allowed: true, Reason: ReasonAllowed}, RiskRead
	case t == nil:
		return Decision{Reason: ReasonUnknownTool}, ""
	}
	return t.decide(granted), t.risk
}

// Risk returns that of the most dangerous scope a target needs; empty when the document does not map it.
func (c *Compiled) Risk(target Target) Risk {
	t, guarded := c.find(target)
	switch {
	case !guarded:
		return RiskRead
	case t == nil:
		return ""
	}
	return t.risk
}

// find returns the entry of a target, nil when there is none. guarded is false for prompts and contents of a document that
// maps none of them.
func (c *Compiled) find(target Target) (t *compiledTool, guarded bool) {
	switch target.Kind {
	case TargetTool:
		return c.tools[target.Name], true
	case TargetPrompt:
		return c.prompts[target.Name], len(c.prompts) > 0
	case TargetContent:
		return c.content(target.Name), len(c.contents) > 0
	default:
		return nil, true
	}
}

// Guards reports whether the document says anything about a kind of target. What it does not guard is open to every token.
func (c *Compiled) Guards(kind TargetKind) bool {
	_, guarded := c.find(Target{Kind: kind})
	return guarded
}

// content finds the entry of a URI: the URI itself, else the longest beginning of it that is mapped.
func (c *Compiled) content(uri string) *compiledTool {
	if t := c.contents[uri]; t != nil && !strings.HasSuffix(uri, "*") {
		return t
	}
	for _, p := range c.prefixes {
		if strings.HasPrefix(uri, p.prefix) {
			return p.tool
		}
	}
	return nil
}

func (c *Compiled) offline(r Risk) time.Duration {
	switch r {
	case RiskRead:
		return time.Duration(c.silence.Read) * time.Second
	case RiskWrite:
		return time.Duration(c.silence.Write) * time.Second
	default:
		return time.Duration(c.silence.Destructive) * time.Second
	}
}

// Lists reports whether a list shown to a token of s may name target.
func (c *Compiled) Lists(target Target, s Subject, granted ScopeSet, now Situation) bool {
	return c.Judge(target, s, granted, now).Allowed
}
