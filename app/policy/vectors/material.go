package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ostiary/ostiary/app/policy"
)

// What names are made of: ordinary ones, and those that mean something to a language, to a pattern, or to an eye.
var (
	scopeNames = []string{"a", "b", "c", "d", "e", "data:read", "data:write", "data:delete", "data:admin", "A", "read",
		"read:all", "__proto__", "constructor", "toString", "hasOwnProperty", "length", "*", "data:*", "0", "-1", "null", "true"}
	toolNames = []string{"read", "write", "delete", "Read", "run_query", "export", "__proto__", "constructor", "toString",
		"valueOf", "hasOwnProperty", "length", "0", "*", "read*", "rea", "read ", " read", "réad", "re\u0301ad", "読む", "🛰️", "",
		"null", "tool", "a/b", "a.b", "__class__", "get", "keys"}
	contentNames = []string{"acme://reports/*", "acme://reports/secret/*", "acme://reports/secret/index", "acme://reports/",
		"acme://*", "file:///*", "file:///a", "file:///a*", "acme://a*b", "*", "acme://日本/*", "acme://reports/**", "__proto__", "",
		"ACME://reports/*", "acme://reports/%73ecret/*"}
	contentAsked = []string{"acme://reports/q1", "acme://reports/secret/plan", "acme://reports/secret/*", "acme://reports",
		"acme://reports/*", "acme://", "file:///a", "file:///ab", "file:///", "acme://aXb", "acme://a*b", "acme://日本/x",
		"ACME://reports/q1", "acme://reports/../secret", "acme://reports/%73ecret/x", "", "*", "constructor", "https://x.example/"}
	kinds   = []policy.TargetKind{policy.TargetTool, policy.TargetPrompt, policy.TargetContent}
	risks   = []policy.Risk{policy.RiskRead, policy.RiskWrite, policy.RiskDestructive}
	users   = []string{"usr_1", "usr_2", "__proto__", ""}
	orgs    = []string{"org_1", "org_2", "", "usr_1"}
	clients = []string{"cli_1", "https://host.example/client.json", "constructor"}
	hosts   = []string{"claude-code", "chatgpt", "host.example", policy.HostUnverified, "", ""}
	grants  = []string{"grt_1", "grt_2", "toString", ""}
)

// newDocument makes up a policy. Number 3 has more scopes than a document may have, so that the limit is the same
// everywhere.
func newDocument(d *dice, number int) *policy.Document {
	doc := &policy.Document{
		Revision: 1 + d.below(9), Mode: policy.ModeEnforce,
		Resource: policy.Resource{ID: pick(d, []string{"res_1", "res_2"}), Identifier: "https://mcp.acme.example/mcp", Name: "A"},
		Scopes:   map[string]policy.Scope{}, Tools: map[string]policy.Tool{},
	}
	if d.once(4) {
		doc.Mode = policy.ModeShadow // decides the same
	}
	names := scopeNames
	if number == 3 {
		for i := range policy.MaxScopes + 4 {
			names = append(names[:len(names):len(names)], fmt.Sprintf("s%03d", i))
		}
	}
	for _, name := range names {
		if number == 3 || d.once(2) {
			doc.Scopes[name] = newScope(d, names)
		}
	}
	fill := func(from []string, most int) map[string]policy.Tool {
		tools := map[string]policy.Tool{}
		for range d.below(most + 1) {
			tools[pick(d, from)] = newTool(d, names)
		}
		return tools
	}
	doc.Tools = fill(toolNames, 24)
	if !d.once(3) {
		doc.Prompts = fill(toolNames, 8)
	}
	if !d.once(3) {
		doc.Contents = fill(contentNames, 10)
	}
	if !d.once(3) {
		limits := []int64{int64(d.below(90)), int64(d.below(90)), int64(d.below(90))}
		doc.Offline = &policy.Offline{Read: limits[0], Write: limits[1], Destructive: limits[2]}
	}
	return doc
}

func newScope(d *dice, names []string) policy.Scope {
	s := policy.Scope{Risk: pick(d, risks), Position: d.below(4)}
	if d.once(12) {
		s.Risk = pick(d, []policy.Risk{"", "mild", "READ"})
	}
	if d.once(3) {
		s.Implies = some(d, append(names[:len(names):len(names)], "ghost"), 3)
	}
	return s
}

func newTool(d *dice, names []string) policy.Tool {
	t := policy.Tool{Scopes: some(d, names, 4), Match: pick(d, []policy.Match{policy.MatchAll, policy.MatchAny})}
	if d.once(8) {
		t.Scopes = append(t.Scopes, "ghost")
	}
	if d.once(12) {
		t.Match = pick(d, []policy.Match{"", "some", "ANY"})
	}
	if t.Scopes == nil && !d.once(3) {
		t.Scopes = []string{pick(d, names)}
	}
	return t
}

// newVector makes up a question about doc, more often one that could be allowed than blind chance would.
func newVector(d *dice, doc *policy.Document) vector {
	v := vector{Granted: some(d, slices.Sorted(maps.Keys(doc.Scopes)), 6)}
	if !d.once(3) {
		v.Kind = pick(d, kinds)
	}
	if d.once(25) {
		v.Kind = pick(d, []policy.TargetKind{"task", "Tool", "request", "__proto__"})
	}
	if v.Granted == nil || d.once(10) {
		v.Granted = append(v.Granted, pick(d, scopeNames))
	}
	if d.once(20) {
		v.Granted = []string{}
	}
	var known map[string]policy.Tool
	v.Tool, known = newTarget(d, doc, v.Kind)
	if entry, ok := known[v.Tool]; ok && !d.once(3) {
		v.Granted = append(v.Granted, entry.Scopes...)
	}
	v.Subject = &subject{User: pick(d, users), Organization: pick(d, orgs), Client: pick(d, clients), Host: pick(d, hosts),
		Grant: pick(d, grants)}
	if d.once(3) {
		v.Feed = newFeed(d, doc, v)
	}
	v.Silence = newSilence(d, doc)
	return v
}

// newTarget names something, mostly what the document knows, and says where it would be.
func newTarget(d *dice, doc *policy.Document, kind policy.TargetKind) (string, map[string]policy.Tool) {
	known, others := doc.Tools, toolNames
	switch kind {
	case policy.TargetPrompt:
		known = doc.Prompts
	case policy.TargetContent:
		known, others = doc.Contents, contentAsked
	default:
	}
	names := slices.Sorted(maps.Keys(known))
	if len(names) == 0 || d.once(5) {
		return pick(d, others), known
	}
	name := pick(d, names)
	if prefix, ok := strings.CutSuffix(name, "*"); ok && kind == policy.TargetContent && !d.once(4) {
		return prefix + pick(d, []string{"", "x", "secret/x", "*"}), known
	}
	return name, known
}

// newFeed ends and stops a few things, some of them what v is about.
func newFeed(d *dice, doc *policy.Document, v vector) *policy.Feed {
	f := &policy.Feed{Sequence: int64(d.below(1000)), Revision: doc.Revision}
	if d.once(2) {
		f.Ended = policy.Ended{Grants: some(d, grants, 2), Users: some(d, users, 1), Organizations: some(d, orgs, 1),
			Clients: some(d, clients, 1)}
	}
	for range d.below(4) {
		f.Stops = append(f.Stops, pick(d, []policy.Stop{
			{Kind: policy.StopTool, Value: pick(d, toolNames)}, {Kind: policy.StopTool, Value: v.Tool},
			{Kind: policy.StopHost, Value: pick(d, hosts)}, {Kind: policy.StopUser, Value: pick(d, users)},
			{Kind: policy.StopOrganization, Value: pick(d, orgs)},
			{Kind: policy.StopServer, Value: pick(d, []string{"res_1", "res_2", "", "usr_1"})},
			{Kind: "planet", Value: "usr_1"},
		}))
	}
	return f
}

// newSilence is mostly none, else around what the document allows.
func newSilence(d *dice, doc *policy.Document) int64 {
	if !d.once(3) {
		return 0
	}
	limits := policy.DefaultOffline()
	if doc.Offline != nil {
		limits = *doc.Offline
	}
	return pick(d, []int64{limits.Read, limits.Write, limits.Destructive, 0, 1_000_000_000, -60}) + int64(d.below(3)) - 1
}
