package catalogue

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/ostiary/ostiary/app/policy"
)

// Proposal is what a tool could be mapped to.
type Proposal struct {
	Scope   ProposedScope
	Wording string // a line for people, empty when the server's text gives none
	// Guessed says that the server did not tell what the tool does and its name decided.
	Guessed bool
}

// ProposedScope is a permission to start from.
type ProposedScope struct {
	Name        string
	Risk        policy.Risk
	Title       string
	Description string
	Warning     string
	Baseline    bool
}

const maxWording = 140

// Propose says which permission a tool seems to need, from its annotations as the specification reads them: what is not said
// to be read-only changes something, and what changes something destroys unless said otherwise. Where a server says nothing at
// all, the first word of the name decides between reading and destroying.
func Propose(t Tool) Proposal {
	p := Proposal{Wording: wordingOf(t)}
	a := t.Annotations
	switch {
	case a == nil && readsByName(t.Name):
		p.Scope, p.Guessed = readScope(), true
	case a == nil:
		p.Scope, p.Guessed = destructiveScope(), true
	case a.ReadOnly:
		p.Scope = readScope()
	case a.Destructive == nil || *a.Destructive:
		p.Scope = destructiveScope()
	case a.OpenWorld == nil || *a.OpenWorld:
		p.Scope = sendScope()
	default:
		p.Scope = writeScope()
	}
	return p
}

func readScope() ProposedScope {
	return ProposedScope{Name: "tools:read", Risk: policy.RiskRead, Baseline: true, Title: "See your data",
		Description: "Look things up. Nothing is changed."}
}

func writeScope() ProposedScope {
	return ProposedScope{Name: "tools:write", Risk: policy.RiskWrite, Title: "Change your data",
		Description: "Add and change things. Nothing is deleted."}
}

func sendScope() ProposedScope {
	return ProposedScope{Name: "tools:send", Risk: policy.RiskWrite, Title: "Send to other services",
		Description: "Pass things on to services and people outside, where others will see them."}
}

func destructiveScope() ProposedScope {
	return ProposedScope{Name: "tools:delete", Risk: policy.RiskDestructive, Title: "Delete or overwrite your data",
		Description: "Remove or overwrite things for good.", Warning: "What is deleted cannot be restored."}
}

// readsByName reports whether a name begins with a word that only looks.
func readsByName(name string) bool {
	words := strings.FieldsFunc(strings.ToLower(snake(name)), func(r rune) bool {
		return r == '_' || r == '-' || r == '.' || r == '/' || r == ' '
	})
	return len(words) > 0 && slices.Contains([]string{
		"get", "list", "search", "find", "read", "show", "describe", "lookup", "count", "view", "fetch",
	}, words[0])
}

// snake parts the words of camelCase.
func snake(name string) string {
	var b strings.Builder
	for i, r := range name {
		if i > 0 && r >= 'A' && r <= 'Z' {
			b.WriteByte('_')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// wordingOf takes the first sentence a server gives, if it is one that could be shown.
func wordingOf(t Tool) string {
	for _, text := range [...]string{firstSentence(t.Description), strings.TrimSpace(t.Title)} {
		if text != "" && utf8.RuneCountInString(text) <= maxWording && !policy.HasHidden(text) && !strings.ContainsAny(text, "\n\r\t") {
			return text
		}
	}
	return ""
}

func firstSentence(text string) string {
	text = strings.TrimSpace(text)
	line, _, _ := strings.Cut(text, "\n")
	if end := strings.Index(line, ". "); end >= 0 {
		line = line[:end]
	}
	return strings.TrimSuffix(strings.TrimSpace(line), ".")
}
