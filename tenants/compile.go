package tenants

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/policy"
	"github.com/ostiary/ostiary/tenants/check"
)

// Limits of what the schema keeps; app/policy has the limits of what is published.
const (
	maxName        = 80
	maxTitle       = 80
	maxDescription = 400
	maxWarning     = 200
	maxWording     = 140
	maxToolName    = 128
	maxToolText    = 8000
)

// normalize brings a draft into the form in which it is stored and compared: defaults filled in, lists sorted, positions
// counted, destructive scopes never ticked.
func (d *Draft) normalize() {
	if d.Resource.Mode == "" {
		d.Resource.Mode = policy.ModeEnforce
	}
	if d.Resource.Offline == (policy.Offline{}) {
		d.Resource.Offline = policy.DefaultOffline()
	}
	d.Aliases = sorted(d.Aliases)
	for i := range d.Scopes {
		s := &d.Scopes[i]
		s.Position = i
		s.Implies = sorted(s.Implies)
		s.NeverTicked = s.NeverTicked || s.Risk == policy.RiskDestructive
	}
	for i := range d.Tools {
		t := &d.Tools[i]
		t.Position = i
		t.Kind = cmp.Or(t.Kind, policy.TargetTool)
		t.Scopes = sorted(t.Scopes)
		t.Audited = sorted(t.Audited)
		if t.Match == "" {
			t.Match = policy.MatchAll
		}
	}
}

func sorted(list []string) []string {
	out := slices.Clone(list)
	slices.Sort(out)
	return out
}

// Document compiles the draft to the policy it would publish as the given revision.
func (d *Draft) Document(revision int) policy.Document {
	doc := policy.Document{
		Revision: revision,
		Mode:     d.Resource.Mode,
		Resource: policy.Resource{
			ID: d.Resource.ID, Identifier: d.Resource.Identifier, Aliases: sorted(d.Aliases), Name: d.Resource.Name,
		},
		Scopes: make(map[string]policy.Scope, len(d.Scopes)),
		Tools:  make(map[string]policy.Tool, len(d.Tools)),
	}
	for _, s := range d.Scopes {
		doc.Scopes[s.Name] = policy.Scope{
			Risk: s.Risk, Implies: s.Implies, Baseline: s.Baseline, Required: s.Required, NeverTicked: s.NeverTicked,
			Title: s.Title, Description: s.Description, Warning: s.Warning, Position: s.Position,
		}
	}
	for _, t := range d.Tools {
		entry := policy.Tool{
			Scopes: t.Scopes, Match: t.Match, Wording: t.Wording, Fingerprint: t.Fingerprint, Audited: t.Audited,
		}
		switch t.Kind {
		case policy.TargetPrompt:
			doc.Prompts = with(doc.Prompts, t.Name, entry)
		case policy.TargetContent:
			doc.Contents = with(doc.Contents, t.Name, entry)
		default:
			doc.Tools[t.Name] = entry
		}
	}
	if d.Resource.Offline != policy.DefaultOffline() && d.Resource.Offline != (policy.Offline{}) {
		offline := d.Resource.Offline
		doc.Offline = &offline
	}
	return doc
}

// with adds an entry to a list that documents without any leave out.
func with(list map[string]policy.Tool, name string, entry policy.Tool) map[string]policy.Tool {
	if list == nil {
		list = map[string]policy.Tool{}
	}
	list[name] = entry
	return list
}

// Validate returns everything wrong with the draft. Paths name scopes and tools by their names: "scopes[data:read].title".
func (d *Draft) Validate(kind Kind) check.Problems {
	var p check.Problems
	p.Add("name", check.Text(d.Resource.Name, maxName))
	p.Add("documentation_url", check.WebLink(d.Resource.DocumentationURL))
	p.Join("", d.validateAddresses(kind))
	p.Join("", d.validateScopes())
	p.Join("", d.validateTools())
	doc := d.Document(d.Resource.Revision)
	if doc.Resource.ID == "" {
		doc.Resource.ID = "res_new" // a draft gets its id when it is stored
	}
	return withDocumentProblems(p, doc.Validate())
}

// withDocumentProblems adds what app/policy refuses and the checks above have not named yet.
func withDocumentProblems(p check.Problems, err error) check.Problems {
	var e *errs.Error
	if !errors.As(err, &e) {
		return p
	}
	known := map[string]bool{}
	for _, problem := range p {
		known[problem.Path] = true
	}
	for _, place := range slices.Sorted(maps.Keys(e.Fields)) {
		path := strings.TrimPrefix(place, "resource.")
		if !known[path] && !known[path+".name"] && !strings.HasPrefix(path, "aliases[") {
			p.Add(path, e.Fields[place])
		}
	}
	return p
}

func (d *Draft) validateAddresses(kind Kind) check.Problems {
	var p check.Problems
	p.Add("identifier", addressProblem(d.Resource.Identifier))
	if kind == KindProduction && !secureOrLoopback(d.Resource.Identifier) {
		p.Add("identifier", "In production an MCP server needs https://: tokens are sent to it.")
	}
	seen := map[string]bool{d.Resource.Identifier: true}
	for _, alias := range d.Aliases {
		p.Add("aliases["+alias+"]", addressProblem(alias))
		if seen[alias] {
			p.Add("aliases["+alias+"]", "This address is here twice.")
		}
		seen[alias] = true
	}
	return p
}

func addressProblem(address string) string {
	canonical, err := CanonicalIdentifier(address)
	var e *errs.Error
	switch {
	case errors.As(err, &e):
		return e.Msg
	case canonical != address:
		return fmt.Sprintf("Write this as %s.", canonical)
	}
	return ""
}

func (d *Draft) validateScopes() check.Problems {
	var p check.Problems
	seen := map[string]bool{}
	for _, s := range d.Scopes {
		at := "scopes[" + s.Name + "]"
		p.Add(at+".name", check.ScopeToken(s.Name))
		p.Add(at+".title", check.Text(s.Title, maxTitle))
		p.Add(at+".description", check.OptionalText(s.Description, maxDescription))
		p.Add(at+".warning", check.OptionalText(s.Warning, maxWarning))
		if s.Required && (s.NeverTicked || s.Risk == policy.RiskDestructive) {
			p.Add(at+".required", "A permission that is never ticked beforehand cannot be required.")
		}
		if seen[s.Name] {
			p.Add(at+".name", "There are two permissions with this name.")
		}
		seen[s.Name] = true
	}
	return p
}

func (d *Draft) validateTools() check.Problems {
	var p check.Problems
	seen := map[toolKey]bool{}
	for _, t := range d.Tools {
		at := t.list() + "[" + t.Name + "]"
		p.Add(at+".name", check.Text(t.Name, maxToolName))
		p.Add(at+".wording", check.OptionalText(t.Wording, maxWording))
		if len(t.Description) > maxToolText {
			p.Add(at+".description", "This is too long.")
		}
		if seen[t.key()] {
			p.Add(at+".name", "There are two "+t.list()+" with this name.")
		}
		seen[t.key()] = true
	}
	return p
}

// Normal returns the draft in the form in which it is stored and compared.
func (d *Draft) Normal() Draft {
	n := d.clone()
	n.normalize()
	return n
}
