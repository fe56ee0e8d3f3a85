package tenants_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/ostiary/ostiary/app/catalogue"
	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/policy"
	"github.com/ostiary/ostiary/tenants"
)

func offered() []catalogue.Tool {
	no := false
	return []catalogue.Tool{
		{Name: "run_query", Description: "Runs a query.", InputSchema: json.RawMessage(`{"type":"object"}`)},
		{Name: "export_rows", Description: "Exports rows. All of them.", Annotations: &catalogue.Annotations{ReadOnly: true}},
		{Name: "post_note", Title: "Post a note", Annotations: &catalogue.Annotations{Destructive: &no}},
		{Name: "purge", Description: "Purges\u200b everything."},
	}
}

func TestImport_AddsWhatIsNewAndUndoesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := w.Acme.Member(tenants.RoleOwner)
	was := must[tenants.Draft](t)(w.Resources.Get(ctx, w.Acme.ResourceID))
	live := published(t, w)
	d, notes, err := w.Resources.Import(ctx, w.Acme.ResourceID, offered())
	if err != nil {
		t.Fatal(err)
	}
	before, after := toolNamed(t, was, "run_query"), toolNamed(t, d, "run_query")
	if !slices.Equal(before.Scopes, after.Scopes) || before.Wording != after.Wording || after.ID != before.ID {
		t.Errorf("a known tool became %+v", after)
	}
	if after.Description != "Runs a query." || after.Fingerprint == "" {
		t.Errorf("a known tool was not brought up to date: %+v", after)
	}
	for name, scope := range map[string]string{"export_rows": "tools:read", "post_note": "tools:send", "purge": "tools:delete"} {
		if tool := toolNamed(t, d, name); !slices.Equal(tool.Scopes, []string{scope}) {
			t.Errorf("%s needs %v", name, tool.Scopes)
		}
	}
	if deletes := scopeNamed(t, d, "tools:delete"); !deletes.NeverTicked || deletes.Baseline || deletes.Risk != policy.RiskDestructive {
		t.Errorf("proposed %+v", deletes)
	}
	if tool := toolNamed(t, d, "export_rows"); tool.Wording != "Exports rows" {
		t.Errorf("wording %q", tool.Wording)
	}
	if tool := toolNamed(t, d, "purge"); tool.Wording != "" {
		t.Errorf("wording %q shows what nobody sees", tool.Wording)
	}
	for _, want := range []string{"purge: Its description carries", "purge: The server does not say", "route_signal: The server does not offer"} {
		if !slices.ContainsFunc(notes, func(n tenants.ImportNote) bool { return strings.HasPrefix(n.Tool+": "+n.Text, want) }) {
			t.Errorf("no note %q in %v", want, notes)
		}
	}
	if after := published(t, w); after.Revision != live.Revision || len(after.Tools) != len(live.Tools) {
		t.Error("an import published something")
	}
	if len(d.Tools) != len(was.Tools)+3 {
		t.Errorf("%d tools, then %d", len(was.Tools), len(d.Tools))
	}
}

func TestImport_TwiceIsOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := w.Acme.Member(tenants.RoleOwner)
	first, _, err := w.Resources.Import(ctx, w.Acme.ResourceID, offered())
	if err != nil {
		t.Fatal(err)
	}
	second, _, err := w.Resources.Import(ctx, w.Acme.ResourceID, offered())
	if err != nil {
		t.Fatal(err)
	}
	if changes := tenants.Changes(first.Document(0), second.Document(0)); len(changes) > 0 {
		t.Errorf("the second import changed %v", changes)
	}
	changed := offered()
	changed[1].Description = "Exports rows. And sends them away."
	third, notes, err := w.Resources.Import(ctx, w.Acme.ResourceID, changed)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(notes, func(n tenants.ImportNote) bool {
		return n.Tool == "export_rows" && strings.Contains(n.Text, "changed since")
	}) {
		t.Errorf("a tool changed its meaning without a note: %v", notes)
	}
	if toolNamed(t, third, "export_rows").Wording != "Exports rows" {
		t.Error("the wording that was reviewed changed")
	}
}

// A server cannot widen a permission by naming its own like one that people gave another meaning.
func TestImport_MapsToNoPermissionOfAnotherRisk(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := w.Acme.Member(tenants.RoleOwner)
	must[tenants.Scope](t)(w.Resources.CreateScope(ctx, w.Acme.ResourceID,
		tenants.Scope{Name: "tools:delete", Risk: policy.RiskRead, Title: "Look at what was deleted"}))
	d, _, err := w.Resources.Import(ctx, w.Acme.ResourceID, offered())
	if err != nil {
		t.Fatal(err)
	}
	if tool := toolNamed(t, d, "purge"); len(tool.Scopes) > 0 {
		t.Errorf("a destructive tool was mapped to %v", tool.Scopes)
	}
}

func TestImport_RefusesWhatCannotBeStored(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := w.Acme.Member(tenants.RoleOwner)
	was := must[tenants.Draft](t)(w.Resources.Get(ctx, w.Acme.ResourceID))
	for name, tools := range map[string][]catalogue.Tool{
		"hidden name": {{Name: "a\u200bb"}}, "long name": {{Name: strings.Repeat("n", 200)}},
		"no JSON": {{Name: "x", InputSchema: json.RawMessage(`{`)}},
	} {
		if _, _, err := w.Resources.Import(ctx, w.Acme.ResourceID, tools); !errs.Is(err, errs.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	big := catalogue.Tool{Name: "big", Description: strings.Repeat("ü", 9000) + "\x00"}
	if _, _, err := w.Resources.Import(ctx, w.Acme.ResourceID, []catalogue.Tool{big}); err != nil {
		t.Errorf("a long description: %v", err)
	}
	if _, _, err := w.Resources.Import(ctx, w.Neighbour.ResourceID, offered()); !errs.Is(err, errs.NotFound) {
		t.Errorf("the neighbour's server: %v", err)
	}
	after := must[tenants.Draft](t)(w.Resources.Get(ctx, w.Acme.ResourceID))
	if len(after.Tools) != len(was.Tools)+1 {
		t.Errorf("%d tools, then %d", len(was.Tools), len(after.Tools))
	}
}
