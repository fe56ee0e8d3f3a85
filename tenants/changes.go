package tenants

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ostiary/ostiary/app/policy"
)

// ChangeKind says what sort of thing a Change is about.
type ChangeKind string

// The kinds of changes.
const (
	ChangeServer  ChangeKind = "server"  // name, address, aliases, mode
	ChangeScope   ChangeKind = "scope"   // a permission added, removed or with another meaning
	ChangeWording ChangeKind = "wording" // what people read
	ChangeTool    ChangeKind = "tool"    // a tool added or removed
	ChangeMap     ChangeKind = "map"     // a tool that needs other permissions
)

// Change is one difference between two policies of a resource.
type Change struct {
	Kind    ChangeKind
	Subject string // scope or tool name; empty for the server
	What    string // for people: "wording changed", "added", "needs data:read instead of signals:write"
}

// String returns the change as one line.
func (c Change) String() string {
	if c.Subject == "" {
		return c.What
	}
	return c.Subject + ": " + c.What
}

// Changes returns the differences that publishing to would make, in a fixed order.
func Changes(from, to policy.Document) []Change {
	var list []Change
	list = append(list, serverChanges(from, to)...)
	for _, name := range unionOfKeys(from.Scopes, to.Scopes) {
		list = append(list, scopeChanges(name, from, to)...)
	}
	for _, of := range [...]struct {
		word    string // in front of the name; nothing for tools
		was, is map[string]policy.Tool
	}{{"", from.Tools, to.Tools}, {"prompt ", from.Prompts, to.Prompts}, {"content ", from.Contents, to.Contents}} {
		for _, name := range unionOfKeys(of.was, of.is) {
			was, had := of.was[name]
			is, has := of.is[name]
			switch subject := of.word + name; {
			case !had:
				list = append(list, Change{ChangeTool, subject, "added"})
			case !has:
				list = append(list, Change{ChangeTool, subject, "removed"})
			default:
				list = append(list, toolChanges(subject, was, is)...)
			}
		}
	}
	return list
}

func unionOfKeys[V any](a, b map[string]V) []string {
	all := maps.Clone(a)
	if all == nil {
		all = map[string]V{}
	}
	maps.Copy(all, b)
	return slices.Sorted(maps.Keys(all))
}

func serverChanges(from, to policy.Document) []Change {
	var list []Change
	add := func(what, was, is string) {
		if was != is && was != "" {
			list = append(list, Change{Kind: ChangeServer, What: fmt.Sprintf("%s %s → %s", what, was, is)})
		}
	}
	add("name", from.Resource.Name, to.Resource.Name)
	add("address", from.Resource.Identifier, to.Resource.Identifier)
	add("mode", string(from.Mode), string(to.Mode))
	if from.Resource.ID != "" {
		add("time without contact", silence(from), silence(to))
	}
	for _, alias := range missingFrom(to.Resource.Aliases, from.Resource.Aliases) {
		list = append(list, Change{Kind: ChangeServer, What: "alias " + alias + " added"})
	}
	for _, alias := range missingFrom(from.Resource.Aliases, to.Resource.Aliases) {
		list = append(list, Change{Kind: ChangeServer, What: "alias " + alias + " removed"})
	}
	if !slices.Equal(orderOf(from, to), orderOf(to, from)) {
		list = append(list, Change{Kind: ChangeServer, What: "order of permissions changed"})
	}
	return list
}

// orderOf returns the permissions that both documents have, in the order of doc: consent shows them so.
func orderOf(doc, other policy.Document) []string {
	var names []string
	for name := range doc.Scopes {
		if _, both := other.Scopes[name]; both {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(doc.Scopes[a].Position, doc.Scopes[b].Position), cmp.Compare(a, b))
	})
	return names
}

// missingFrom returns the elements of a that b does not have.
func missingFrom(a, b []string) []string {
	var missing []string
	for _, s := range a {
		if !slices.Contains(b, s) {
			missing = append(missing, s)
		}
	}
	return missing
}

func scopeChanges(name string, from, to policy.Document) []Change {
	was, had := from.Scopes[name]
	is, has := to.Scopes[name]
	switch {
	case !had:
		return []Change{{ChangeScope, name, "added"}}
	case !has:
		return []Change{{ChangeScope, name, "removed"}}
	}
	var list []Change
	if was.Title != is.Title || was.Description != is.Description || was.Warning != is.Warning {
		list = append(list, Change{ChangeWording, name, "wording changed"})
	}
	add := func(what string, changed bool) {
		if changed {
			list = append(list, Change{ChangeScope, name, what})
		}
	}
	add(fmt.Sprintf("risk %s → %s", was.Risk, is.Risk), was.Risk != is.Risk)
	add("implies "+listed(is.Implies), !slices.Equal(was.Implies, is.Implies))
	add(onOff(is.Baseline, "asked for by default"), was.Baseline != is.Baseline)
	add(onOff(is.Required, "required"), was.Required != is.Required)
	add(onOff(is.NeverTicked, "never ticked beforehand"), was.NeverTicked != is.NeverTicked)
	return list
}

func onOff(on bool, what string) string {
	if on {
		return "now " + what
	}
	return "no longer " + what
}

func listed(names []string) string {
	if len(names) == 0 {
		return "nothing"
	}
	return strings.Join(names, ", ")
}

// silence says how long the resource side goes on without hearing from us, by risk.
func silence(doc policy.Document) string {
	o := policy.DefaultOffline()
	if doc.Offline != nil {
		o = *doc.Offline
	}
	word := func(seconds int64) string { return Duration(time.Duration(seconds) * time.Second).String() }
	return word(o.Read) + "/" + word(o.Write) + "/" + word(o.Destructive)
}

func toolChanges(name string, was, is policy.Tool) []Change {
	var list []Change
	if was.Wording != is.Wording {
		list = append(list, Change{ChangeWording, name, "wording changed"})
	}
	if !slices.Equal(was.Scopes, is.Scopes) || was.Match != is.Match && len(is.Scopes) > 1 {
		list = append(list, Change{ChangeMap, name, "needs " + needs(is)})
	}
	if was.Fingerprint != is.Fingerprint {
		list = append(list, Change{ChangeTool, name, "definition changed"})
	}
	if !slices.Equal(was.Audited, is.Audited) {
		list = append(list, Change{ChangeTool, name, "calls keep the values of " + listed(is.Audited)})
	}
	return list
}

func needs(t policy.Tool) string {
	switch {
	case len(t.Scopes) == 0:
		return "nothing: unmapped, every call is refused"
	case len(t.Scopes) > 1:
		return string(t.Match) + " of " + listed(t.Scopes)
	}
	return t.Scopes[0]
}
