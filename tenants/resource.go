package tenants

import (
	"cmp"
	"time"

	"github.com/ostiary/ostiary/app/policy"
)

// Resource is an MCP server that an environment guards (RFC 9728 protected resource).
type Resource struct {
	ID               string
	Identifier       string // canonical, see CanonicalIdentifier; the audience of its tokens
	Name             string
	DocumentationURL string
	Mode             policy.Mode
	Offline          policy.Offline // how long it goes on without hearing from us
	Position         int
	Revision         int        // newest published revision, 0 before the first
	DraftChangedAt   *time.Time // nil when the draft equals the published revision
	CreatedAt        time.Time
	UpdatedAt        time.Time
}

// Scope is one permission of a resource with the wording people read at consent.
type Scope struct {
	ID          string
	Name        string // scope-token, RFC 6749 §3.3
	Risk        policy.Risk
	Title       string // completes "Allow Claude to …"
	Description string
	Warning     string
	Baseline    bool // asked for when a client names no scope
	Required    bool // cannot be unticked at consent
	NeverTicked bool // always so for destructive ones
	Implies     []string
	Position    int
}

// Tool is one MCP tool of a resource, or a prompt or content that is mapped like one. Without scopes it is unmapped: hosts do
// not see it and every call is refused.
type Tool struct {
	ID          string
	Kind        policy.TargetKind // tool when empty
	Name        string            // unique among its kind; of a content its URI, or the beginning of URIs before a closing "*"
	Description string            // as the MCP server gives it
	Wording     string            // in plain words, for people
	Match       policy.Match
	Scopes      []string // names of scopes of the same resource
	Fingerprint string
	Audited     []string // arguments whose values may be kept in the record of a call
	Position    int
}

// toolKey is what a tool is found by in a draft.
type toolKey struct {
	kind policy.TargetKind
	name string
}

func (t Tool) key() toolKey { return toolKey{cmp.Or(t.Kind, policy.TargetTool), t.Name} }

// list is what files and policies call the list of its kind.
func (t Tool) list() string {
	switch t.Kind {
	case policy.TargetPrompt:
		return "prompts"
	case policy.TargetContent:
		return "contents"
	case policy.TargetTool:
	}
	return "tools"
}

// Draft is everything about a resource that can be edited: what Publish would publish.
type Draft struct {
	Resource Resource
	Aliases  []string
	Scopes   []Scope
	Tools    []Tool // prompts and contents too
}

// ScopeByID returns the scope with this id, nil when there is none.
func (d *Draft) ScopeByID(id string) *Scope {
	for i := range d.Scopes {
		if d.Scopes[i].ID == id {
			return &d.Scopes[i]
		}
	}
	return nil
}

// ToolByID returns the tool with this id, nil when there is none.
func (d *Draft) ToolByID(id string) *Tool {
	for i := range d.Tools {
		if d.Tools[i].ID == id {
			return &d.Tools[i]
		}
	}
	return nil
}

// ToolsOf returns the tools that need the named scope.
func (d *Draft) ToolsOf(scopeName string) []Tool {
	var tools []Tool
	for _, t := range d.Tools {
		for _, name := range t.Scopes {
			if name == scopeName {
				tools = append(tools, t)
				break
			}
		}
	}
	return tools
}

// Unmapped returns how many tools have no permission.
func (d *Draft) Unmapped() int {
	n := 0
	for _, t := range d.Tools {
		if len(t.Scopes) == 0 {
			n++
		}
	}
	return n
}
