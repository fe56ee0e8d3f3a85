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

// listFilter takes out of tools/list what the token does not allow to call. It edits in place: what it leaves, it leaves as
// it was, byte for byte.
type listFilter struct {
	rules   *policy.Compiled
	granted policy.ScopeSet
	post    bool // the answer to a POST, which may also be plain JSON; on GET there are only event streams
	flag    func(tool string, reason policy.Reason)
}

// filterFor returns the filter for an answer that may list tools; none in shadow mode.
func (g *Gate) filterFor(v *view, id *Identity, method string) *listFilter {
	if v.shadow {
		return nil
	}
	return &listFilter{rules: v.rules, granted: v.rules.Granted(id.Scopes), post: method == http.MethodPost,
		flag: g.flagTool}
}

// flagTool tells the operator, once per tool and process, of a tool that nobody can call because the policy does not map it.
func (g *Gate) flagTool(tool string, reason policy.Reason) {
	if _, told := g.flagged.get(tool); told {
		return
	}
	g.flagged.put(tool, struct{}{})
	g.log.LogAttrs(context.Background(), slog.LevelWarn, "the MCP server offers a tool that the policy does not map",
		slog.String("tool", shortened(tool, shownToolName)), slog.String("reason", string(reason)))
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
	at := skipSpace(raw, 0)
	switch raw[at] {
	case '{':
		edits = f.message(raw, at, edits)
	case '[':
		_ = eachElement(raw, at, func(start, _ int) error {
			if raw[start] == '{' {
				edits = f.message(raw, start, edits)
			}
			return nil
		})
	}
	return applied(raw, edits), nil
}

// message looks for result.tools. The shape decides, not the id: on a resumed stream nobody knows what was asked.
func (f *listFilter) message(raw []byte, at int, edits []edit) []edit {
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
		switch {
		case string(key) == "tools" && raw[start] == '[':
			lists = true
			found = append(found, edit{start, end, f.tools(raw, start)})
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
	// The list now depends on the token, so it may be kept for this user only; not said means for everyone (MCP 2026-07-28,
	// caching).
	if cacheable && !scoped {
		edits = append(edits, edit{result + 1, result + 1, []byte(`"cacheScope":"private",`)})
	}
	return append(edits, found...)
}

func (f *listFilter) tools(raw []byte, at int) []byte {
	out := []byte{'['}
	_ = eachElement(raw, at, func(start, end int) error {
		if !f.keeps(raw, start) {
			return nil
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(out, raw[start:end]...)
		return nil
	})
	return append(out, ']')
}

func (f *listFilter) keeps(raw []byte, at int) bool {
	if raw[at] != '{' {
		return false
	}
	var name string
	_ = eachMember(raw, at, func(key []byte, start, end int) error {
		if string(key) == "name" {
			name, _ = textOf(raw[start:end])
		}
		return nil
	})
	d := f.rules.Decide(name, f.granted)
	if d.Reason == policy.ReasonUnknownTool || d.Reason == policy.ReasonUnmappedTool {
		f.flag(name, d.Reason)
	}
	return d.Allowed
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
