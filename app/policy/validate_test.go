package policy_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/policy"
)

// sound returns a document that validates; edit spoils it.
func sound(edit func(*policy.Document)) *policy.Document {
	d := &policy.Document{
		Revision: 1, Mode: policy.ModeEnforce,
		Resource: policy.Resource{ID: "res_1", Identifier: "https://mcp.acme.example/mcp", Name: "Acme",
			Aliases: []string{"https://mcp.acme.example/mcp/"}},
		Scopes: map[string]policy.Scope{
			"data:read":  {Risk: policy.RiskRead, Title: "read data", Description: "Line one\nline two"},
			"data:write": {Risk: policy.RiskWrite, Title: "change data", Implies: []string{"data:read"}},
		},
		Tools: map[string]policy.Tool{
			"query":  {Scopes: []string{"data:read"}, Match: policy.MatchAll},
			"update": {Scopes: []string{"data:read", "data:write"}, Match: policy.MatchAny},
			"new":    {},
		},
	}
	if edit != nil {
		edit(d)
	}
	return d
}

func editScope(name string, edit func(*policy.Scope)) func(*policy.Document) {
	return func(d *policy.Document) {
		s := d.Scopes[name]
		edit(&s)
		d.Scopes[name] = s
	}
}

func title(text string) func(*policy.Document) {
	return editScope("data:read", func(s *policy.Scope) { s.Title = text })
}

func identifier(s string) func(*policy.Document) {
	return func(d *policy.Document) { d.Resource.Identifier = s }
}

func tool(t policy.Tool) func(*policy.Document) {
	return func(d *policy.Document) { d.Tools["query"] = t }
}

func TestValidate_AcceptsASoundDocument(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func(*policy.Document){
		"as it is":               nil,
		"loopback with port":     identifier("http://localhost:8090/mcp"),
		"root":                   identifier("https://mcp.acme.example"),
		"ipv6":                   identifier("http://[::1]:8090/mcp"),
		"shadow":                 func(d *policy.Document) { d.Mode = policy.ModeShadow },
		"accents and emoji":      title("lire les données 🛰️ – 日本語"),
		"persian with joiner":    title("خواندن داده\u200cها"),
		"devanagari with joiner": title("क्\u200dष पढ़ें"),
		"one scope, no match":    tool(policy.Tool{Scopes: []string{"data:read"}}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := sound(edit).Validate(); err != nil {
				t.Errorf("refused: %v %v", err, fieldsOf(err))
			}
		})
	}
}

func TestValidate_RefusesAndNamesThePlace(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		edit  func(*policy.Document)
		place string
	}{
		"negative revision":   {func(d *policy.Document) { d.Revision = -1 }, "revision"},
		"no mode":             {func(d *policy.Document) { d.Mode = "" }, "mode"},
		"no id":               {func(d *policy.Document) { d.Resource.ID = "" }, "resource.id"},
		"no name":             {func(d *policy.Document) { d.Resource.Name = " " }, "resource.name"},
		"relative identifier": {identifier("/mcp"), "resource.identifier"},
		"other scheme":        {identifier("ftp://a.example/mcp"), "resource.identifier"},
		"javascript":          {identifier("javascript:alert(1)"), "resource.identifier"},
		"fragment":            {identifier("https://a.example/mcp#x"), "resource.identifier"},
		"empty fragment":      {identifier("https://a.example/mcp#"), "resource.identifier"},
		"query":               {identifier("https://a.example/mcp?x=1"), "resource.identifier"},
		"user":                {identifier("https://u@a.example/mcp"), "resource.identifier"},
		"upper-case host":     {identifier("https://A.example/mcp"), "resource.identifier"},
		"upper-case scheme":   {identifier("HTTPS://a.example/mcp"), "resource.identifier"},
		"default port":        {identifier("https://a.example:443/mcp"), "resource.identifier"},
		"empty port":          {identifier("https://a.example:/mcp"), "resource.identifier"},
		"escaped path":        {identifier("https://a.example/m%63p"), "resource.identifier"},
		"quote in path":       {identifier(`https://a.example/m"cp`), "resource.identifier"},
		"bad alias":           {func(d *policy.Document) { d.Resource.Aliases = []string{"x"} }, "resource.aliases[0]"},
		"alias twice": {
			func(d *policy.Document) { d.Resource.Aliases = []string{d.Resource.Identifier} },
			"resource.aliases[0]",
		},
		"too many aliases": {
			func(d *policy.Document) { d.Resource.Aliases = many(policy.MaxAliases + 1) },
			"resource.aliases",
		},
		"too many scopes":  {func(d *policy.Document) { d.Scopes = manyScopes(policy.MaxScopes + 1) }, "scopes"},
		"too many tools":   {func(d *policy.Document) { d.Tools = manyTools(policy.MaxTools + 1) }, "tools"},
		"scope with space": {func(d *policy.Document) { d.Scopes["a b"] = d.Scopes["data:read"] }, "scopes[a b]"},
		"scope with quote": {func(d *policy.Document) { d.Scopes[`a"b`] = d.Scopes["data:read"] }, `scopes[a"b]`},
		"scope not ASCII":  {func(d *policy.Document) { d.Scopes["dáta"] = d.Scopes["data:read"] }, "scopes[dáta]"},
		"empty scope":      {func(d *policy.Document) { d.Scopes[""] = d.Scopes["data:read"] }, "scopes[]"},
		"reserved scope": {
			func(d *policy.Document) { d.Scopes["offline_access"] = d.Scopes["data:read"] },
			"scopes[offline_access]",
		},
		"unknown risk":         {editScope("data:read", func(s *policy.Scope) { s.Risk = "mild" }), "scopes[data:read].risk"},
		"no title":             {title(""), "scopes[data:read].title"},
		"long title":           {title(strings.Repeat("ä", policy.MaxTitleLength+1)), "scopes[data:read].title"},
		"line feed in title":   {title("read\nall"), "scopes[data:read].title"},
		"NUL in title":         {title("read\x00all"), "scopes[data:read].title"},
		"escape in title":      {title("read\x1b[31m"), "scopes[data:read].title"},
		"bidi override":        {title("read\u202eatad"), "scopes[data:read].title"},
		"bidi isolate":         {title("read\u2066data"), "scopes[data:read].title"},
		"zero-width space":     {title("re\u200bad"), "scopes[data:read].title"},
		"joiner between latin": {title("re\u200dad"), "scopes[data:read].title"},
		"byte order mark":      {title("\ufeffread"), "scopes[data:read].title"},
		"soft hyphen":          {title("re\u00adad"), "scopes[data:read].title"},
		"hangul filler":        {title("\u3164"), "scopes[data:read].title"},
		"braille blank":        {title("read\u2800data"), "scopes[data:read].title"},
		"line separator":       {title("read\u2028data"), "scopes[data:read].title"},
		"tag characters":       {title("read\U000e0041"), "scopes[data:read].title"},
		"variation selector":   {title("read\ufe00"), "scopes[data:read].title"},
		"private use":          {title("read\ue000"), "scopes[data:read].title"},
		"invalid UTF-8":        {title("read\xff"), "scopes[data:read].title"},
		"carriage return": {
			editScope("data:read", func(s *policy.Scope) { s.Description = "a\r\nb" }),
			"scopes[data:read].description",
		},
		"long warning": {
			editScope("data:read", func(s *policy.Scope) { s.Warning = strings.Repeat("a", 601) }),
			"scopes[data:read].warning",
		},
		"required, never ticked": {editScope("data:read", func(s *policy.Scope) { s.Required, s.NeverTicked = true, true }),
			"scopes[data:read].required"},
		"implies a stranger": {
			editScope("data:read", func(s *policy.Scope) { s.Implies = []string{"ghost"} }),
			"scopes[data:read].implies",
		},
		"implies itself": {
			editScope("data:read", func(s *policy.Scope) { s.Implies = []string{"data:read"} }),
			"scopes[data:read].implies",
		},
		"read implies write": {
			editScope("data:read", func(s *policy.Scope) { s.Implies = []string{"data:write"} }),
			"scopes[data:read].implies",
		},
		"a circle": {func(d *policy.Document) {
			for i, name := range []string{"a", "b", "c"} {
				d.Scopes[name] = policy.Scope{Risk: policy.RiskRead, Title: name, Implies: []string{[]string{"b", "c", "a"}[i]}}
			}
		}, "scopes[b].implies"},
		"tool maps to a stranger": {
			tool(policy.Tool{Scopes: []string{"ghost"}, Match: policy.MatchAll}),
			"tools[query].scopes",
		},
		"tool lists scope twice": {
			tool(policy.Tool{Scopes: []string{"data:read", "data:read"}, Match: policy.MatchAll}),
			"tools[query].scopes",
		},
		"tool maps to too many": {
			tool(policy.Tool{Scopes: many(policy.MaxScopesPerTool + 1), Match: policy.MatchAll}),
			"tools[query].scopes",
		},
		"no match for two":  {tool(policy.Tool{Scopes: []string{"data:read", "data:write"}}), "tools[query].match"},
		"unknown match":     {tool(policy.Tool{Scopes: []string{"data:read"}, Match: "some"}), "tools[query].match"},
		"hidden in wording": {tool(policy.Tool{Wording: "run\u200b"}), "tools[query].wording"},
		"hidden in a tool's name": {
			func(d *policy.Document) { d.Tools["que\u200bry"] = policy.Tool{} },
			"tools[que\u200bry]",
		},
		"long tool name": {
			func(d *policy.Document) { d.Tools[strings.Repeat("x", 257)] = policy.Tool{} },
			"tools[" + strings.Repeat("x", 257) + "]",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := sound(tc.edit).Validate()
			if !errs.Is(err, errs.Invalid) {
				t.Fatalf("got %v, want Invalid", err)
			}
			if fieldsOf(err)[tc.place] == "" {
				t.Errorf("nothing said about %q, only about %v", tc.place, slices.Sorted(maps.Keys(fieldsOf(err))))
			}
		})
	}
}

func TestValidate_ReportsEverythingAtOnce(t *testing.T) {
	t.Parallel()
	err := sound(func(d *policy.Document) {
		d.Mode, d.Resource.Name = "off", ""
		d.Tools["query"] = policy.Tool{Scopes: []string{"ghost"}, Match: policy.MatchAll}
	}).Validate()
	if got := len(fieldsOf(err)); got != 3 {
		t.Errorf("%d problems, want 3: %v", got, fieldsOf(err))
	}
}

func fieldsOf(err error) map[string]string {
	var e *errs.Error
	if errors.As(err, &e) {
		return e.Fields
	}
	return nil
}

func many(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("https://a.example/%d", i)
	}
	return out
}

func manyScopes(n int) map[string]policy.Scope {
	out := map[string]policy.Scope{
		"data:read":  {Risk: policy.RiskRead, Title: "t"},
		"data:write": {Risk: policy.RiskWrite, Title: "t"},
	}
	for i := range n - 2 {
		out[fmt.Sprintf("s%d", i)] = policy.Scope{Risk: policy.RiskRead, Title: "t"}
	}
	return out
}

func manyTools(n int) map[string]policy.Tool {
	out := map[string]policy.Tool{}
	for i := range n {
		out[fmt.Sprintf("t%d", i)] = policy.Tool{}
	}
	return out
}
