package gate

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"

	"github.com/ostiary/ostiary/app/policy"
)

// maxResponseDepth is generous: tool schemas nest.
const maxResponseDepth = 512

// listFilter takes out of lists what the token does not allow. It edits in place: what it leaves, it leaves as it was,
// byte for byte.
type listFilter struct {
	rules func() rulebook // in force now: a stream outlives them
	kinds listKinds
	post  bool // the answer to a POST, which may also be plain JSON; on GET there are only event streams
	flag  func(t policy.Target, reason policy.Reason)
}

// rulebook is what decides about the entries of a list.
type rulebook struct {
	view    *view
	subject policy.Subject
	granted policy.ScopeSet
	now     policy.Situation
}

// listKinds are the lists of an answer.
type listKinds struct{ tools, prompts, contents bool }

// filterFor returns the filter for an answer that may be a list of what the policy maps; nil when there is nothing to
// filter, or when the mode is shadow and nothing is stopped.
func (g *Gate) filterFor(o outcome) *listFilter {
	v, method := o.view, o.asked.method
	if v.shadow && !o.now.Feed.Stopping() {
		return nil
	}
	kinds := listKinds{tools: true, prompts: v.rules.Guards(policy.TargetPrompt),
		contents: v.rules.Guards(policy.TargetContent)}
	switch method {
	case http.MethodGet: // such streams replay what was lost, lists among it
	case http.MethodPost:
		kinds.tools = o.body.has(methodListTools)
		kinds.prompts = kinds.prompts && o.body.has(methodListPrompts)
		kinds.contents = kinds.contents && (o.body.has(methodListContents) || o.body.has(methodListTemplates))
	default:
		return nil
	}
	if kinds == (listKinds{}) {
		return nil
	}
	s := o.identity.subject()
	return &listFilter{kinds: kinds, post: method == http.MethodPost, flag: g.flagTarget, rules: func() rulebook {
		now := g.view()
		return rulebook{view: now, subject: s, granted: now.rules.Granted(s.Scopes), now: g.feed.Current()}
	}}
}

// flagTarget tells the operator, once per target and process, of what nobody can use because the policy does not map
// it.
func (g *Gate) flagTarget(t policy.Target, reason policy.Reason) {
	t.Name = shortened(t.Name, shownToolName) // of what is remembered, too
	if _, told := g.flagged.get(t); told {
		return
	}
	g.flagged.put(t, struct{}{})
	g.log.LogAttrs(context.Background(), slog.LevelWarn, "the MCP server offers what the policy does not map",
		slog.String("kind", string(t.Kind)), slog.String("name", t.Name), slog.String("reason", string(reason)))
}

// list says how the entries of a member of a result are named; "" when it is no list to filter.
func (f *listFilter) list(member string) (kind policy.TargetKind, key string) {
	switch {
	case member == "tools" && f.kinds.tools:
		return policy.TargetTool, "name"
	case member == "prompts" && f.kinds.prompts:
		return policy.TargetPrompt, "name"
	case member == "resources" && f.kinds.contents:
		return policy.TargetContent, "uri"
	case member == "resourceTemplates" && f.kinds.contents:
		return policy.TargetContent, "uriTemplate"
	default:
		return "", ""
	}
}

// edit replaces a range of the original.
type edit struct {
	start, end int
	with       []byte
}

// json filters a JSON-RPC answer or a batch of them.
func (f *listFilter) json(raw []byte) ([]byte, error) {
	if err := checkJSON(raw, maxResponseDepth); err != nil {
		return nil, err
	}
	var edits []edit
	rules := f.rules()
	at := skipSpace(raw, 0)
	switch raw[at] {
	case '{':
		edits = f.message(rules, raw, at, edits)
	case '[':
		_ = eachElement(raw, at, func(start, _ int) error {
			if raw[start] == '{' {
				edits = f.message(rules, raw, start, edits)
			}
			return nil
		})
	}
	return applied(raw, edits), nil
}

// message looks for result.tools and the like. The shape decides, not the id: on a resumed stream nobody knows what was
// asked.
func (f *listFilter) message(rules rulebook, raw []byte, at int, edits []edit) []edit {
	result := -1
	_ = eachMember(raw, at, func(key []byte, start, _ int) error {
		if string(key) == "result" && raw[start] == '{' {
			result = start
		}
		return nil
	})
	if result < 0 {
		return edits
	}
	var found []edit
	var lists, cacheable, scoped bool
	_ = eachMember(raw, result, func(key []byte, start, end int) error {
		kind, named := f.list(string(key))
		switch {
		case kind != "" && raw[start] == '[':
			lists = true
			found = append(found, edit{start, end, filtered(raw, start, func(from, to int) []byte {
				return f.entry(rules, raw[from:to], kind, named)
			})})
		case string(key) == "cacheScope":
			scoped = true
			found = append(found, edit{start, end, []byte(`"private"`)})
		case string(key) == "ttlMs":
			cacheable = true
		}
		return nil
	})
	if !lists {
		return edits
	}
	// The list now depends on the token, so it may be kept for this user only; not said means for everyone (MCP
	// 2026-07-28, caching).
	if cacheable && !scoped {
		edits = append(edits, edit{result + 1, result + 1, []byte(`"cacheScope":"private",`)})
	}
	return append(edits, found...)
}

// filtered copies the array at a position, each entry as shown returns it and without those it returns nothing for.
func filtered(raw []byte, at int, shown func(start, end int) []byte) []byte {
	out := []byte{'['}
	_ = eachElement(raw, at, func(start, end int) error {
		entry := shown(start, end)
		if entry == nil {
			return nil
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(out, entry...)
		return nil
	})
	return append(out, ']')
}

// entry returns an entry of a list as it is shown, nil when it is not. In shadow mode only what is stopped is left out.
// A host that asks its user for more by what a tool says it needs is shown what could be asked for, too.
func (f *listFilter) entry(rules rulebook, raw []byte, kind policy.TargetKind, named string) []byte {
	var name string
	if raw[0] == '{' {
		_ = eachMember(raw, 0, func(key []byte, start, end int) error {
			if string(key) == named {
				name, _ = textOf(raw[start:end])
			}
			return nil
		})
	} else if !rules.view.shadow {
		return nil
	}
	target := policy.Target{Kind: kind, Name: name}
	d := rules.view.rules.Judge(target, rules.subject, rules.granted, rules.now)
	if d.Reason == policy.ReasonUnknownTool || d.Reason == policy.ReasonUnmappedTool {
		f.flag(target, d.Reason)
	}
	switch {
	case kind == policy.TargetTool && speaksDialect(rules.subject) && (d.Allowed || d.Reason == policy.ReasonInsufficientScope):
		return withSchemes(raw, d.Required)
	case d.Allowed, rules.view.shadow && d.Reason != policy.ReasonStopped:
		return raw
	default:
		return nil
	}
}

// applied returns raw with edits made, which are in order and apart.
func applied(raw []byte, edits []edit) []byte {
	if len(edits) == 0 {
		return raw
	}
	var b bytes.Buffer
	b.Grow(len(raw))
	from := 0
	for _, e := range edits {
		b.Write(raw[from:e.start])
		b.Write(e.with)
		from = e.end
	}
	b.Write(raw[from:])
	return b.Bytes()
}
