package tenants_test

import (
	"context"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/policy"
	"github.com/ostiary/ostiary/app/scope"
	"github.com/ostiary/ostiary/tenants"
	"github.com/ostiary/ostiary/tenants/tenanttest"
)

func scopeNamed(t *testing.T, d tenants.Draft, name string) tenants.Scope {
	t.Helper()
	for _, s := range d.Scopes {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("no permission %s", name)
	return tenants.Scope{}
}

func toolNamed(t *testing.T, d tenants.Draft, name string) tenants.Tool {
	t.Helper()
	for _, tool := range d.Tools {
		if tool.Name == name {
			return tool
		}
	}
	t.Fatalf("no tool %s", name)
	return tenants.Tool{}
}

func published(t *testing.T, w *tenanttest.World) policy.Document {
	t.Helper()
	list := must[[]tenants.Published](t)(w.Resources.Published(w.Acme.Context()))
	return list[0].Document
}

// Every method of Resources, asked by a member of Acme with the ids of the neighbour, answers as if nothing were there.
func TestResources_NeighboursServersAreNotFound(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	foreign := must[tenants.Draft](t)(w.Resources.Get(w.Neighbour.Operator(), w.Neighbour.ResourceID))
	id, scp, tool := w.Neighbour.ResourceID, foreign.Scopes[0].ID, foreign.Tools[0].ID
	calls := map[string]func(ctx context.Context) error{
		"Get":   func(ctx context.Context) error { _, err := w.Resources.Get(ctx, id); return err },
		"Draft": func(ctx context.Context) error { _, err := w.Resources.Draft(ctx, id); return err },
		"Update": func(ctx context.Context) error {
			_, err := w.Resources.Update(ctx, id, tenants.ResourceUpdate{Identifier: "https://x.example", Name: "Mine"})
			return err
		},
		"Replace": func(ctx context.Context) error { _, err := w.Resources.Replace(ctx, id, tenants.Draft{}); return err },
		"Delete":  func(ctx context.Context) error { return w.Resources.Delete(ctx, id) },
		"Publish": func(ctx context.Context) error { _, err := w.Resources.Publish(ctx, id, ""); return err },
		"CreateScope": func(ctx context.Context) error {
			_, err := w.Resources.CreateScope(ctx, id, tenants.Scope{})
			return err
		},
		"UpdateScope": func(ctx context.Context) error {
			_, err := w.Resources.UpdateScope(ctx, id, tenants.Scope{ID: scp})
			return err
		},
		"DeleteScope": func(ctx context.Context) error { return w.Resources.DeleteScope(ctx, id, scp) },
		"CreateTool": func(ctx context.Context) error {
			_, err := w.Resources.CreateTool(ctx, id,
				tenants.Tool{})
			return err
		},
		"UpdateTool": func(ctx context.Context) error {
			_, err := w.Resources.UpdateTool(ctx, id, tenants.Tool{ID: tool})
			return err
		},
		"DeleteTool": func(ctx context.Context) error { return w.Resources.DeleteTool(ctx, id, tool) },
		"MapTool": func(ctx context.Context) error {
			_, err := w.Resources.MapTool(ctx, id, tool, policy.MatchAll, nil)
			return err
		},
		"UpdateWording": func(ctx context.Context) error {
			_, err := w.Resources.UpdateWording(ctx, id, scp, tenants.WordingUpdate{Title: "Mine"})
			return err
		},
	}
	mixed := scope.Scope{TenantID: w.Acme.ID, EnvironmentID: w.Neighbour.EnvironmentID}
	for name, call := range calls {
		owner := w.Acme.Member(tenants.RoleOwner)
		if err := call(owner); !errs.Is(err, errs.NotFound) {
			t.Errorf("%s with the neighbour's ids: %v, want not found", name, err)
		}
		if err := call(scope.With(owner, mixed)); !errs.Is(err, errs.NotFound) {
			t.Errorf("%s in the neighbour's environment: %v, want not found", name, err)
		}
		if err := call(scope.With(owner, w.Neighbour.Scope())); !errs.Is(err, errs.Forbidden) {
			t.Errorf("%s under the neighbour's scope: %v, want forbidden", name, err)
		}
	}
	after := must[tenants.Draft](t)(w.Resources.Get(w.Neighbour.Operator(), id))
	if !reflect.DeepEqual(after, foreign) {
		t.Error("the neighbour's server changed")
	}
	// The neighbour's scope and tool ids do not work inside one's own server either.
	err := w.Resources.DeleteScope(w.Acme.Member(tenants.RoleOwner), w.Acme.ResourceID, scp)
	wantKind(t, err, errs.NotFound)
	_, err = w.Resources.MapTool(w.Acme.Member(tenants.RoleOwner), w.Acme.ResourceID, tool, policy.MatchAll, nil)
	wantKind(t, err, errs.NotFound)
}

func TestResources_ListsShowOnlyTheTenantsOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	list, total, err := w.Resources.List(w.Acme.Member(tenants.RoleViewer), tenants.ResourceFilter{})
	if err != nil || total != 1 || list[0].ID != w.Acme.ResourceID {
		t.Fatalf("List = %+v, %d, %v", list, total, err)
	}
	if list[0].Scopes != 4 || list[0].Tools != 7 || list[0].Unmapped != 0 {
		t.Errorf("counts %+v", list[0])
	}
	found := must[map[string]tenants.Draft](t)(w.Resources.ByIdentifier(w.Acme.Operator(),
		[]string{tenanttest.Identifier}))
	if len(found) != 1 || found[tenanttest.Identifier].Resource.ID != w.Acme.ResourceID {
		t.Errorf("ByIdentifier = %v", found)
	}
	published := must[[]tenants.Published](t)(w.Resources.Published(w.Acme.Context()))
	if len(published) != 1 || published[0].Document.Resource.ID != w.Acme.ResourceID {
		t.Errorf("Published = %+v", published)
	}
	mixed := scope.With(context.Background(), scope.Scope{TenantID: w.Acme.ID, EnvironmentID: w.Neighbour.EnvironmentID})
	if published := must[[]tenants.Published](t)(w.Resources.Published(mixed)); len(published) != 0 {
		t.Errorf("Published in a foreign environment = %+v", published)
	}
	_, err = w.Resources.Published(context.Background())
	wantKind(t, err, errs.Internal)
}

func TestResources_SearchMatchesWhatWasTypedOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := w.Acme.Member(tenants.RoleOwner)
	for _, name := range []string{"Signal Router", "100% Warehouse"} {
		identifier := "https://" + strings.ToLower(strings.NewReplacer(" ", "-", "%", "").Replace(name)) + ".acme.example/mcp"
		must[tenants.Resource](t)(w.Resources.Create(ctx, tenants.NewResource{Identifier: identifier, Name: name}))
	}
	for search, want := range map[string]int{"": 3, "signal": 1, "ACME.EXAMPLE": 2, "100%": 1, "%": 1, "_": 0, `\`: 0,
		"nothing": 0} {
		list, total, err := w.Resources.List(ctx, tenants.ResourceFilter{Search: search})
		if err != nil || len(list) != want || total != want {
			t.Errorf("search %q found %d of %d, %v; want %d", search, len(list), total, err, want)
		}
	}
	page, total, err := w.Resources.List(ctx, tenants.ResourceFilter{Limit: 1, Offset: 1})
	if err != nil || total != 3 || len(page) != 1 || page[0].Name != "Signal Router" {
		t.Errorf("second page = %+v, %d, %v", page, total, err)
	}
}

func TestResources_PublishMakesARevisionAndTellsEveryNode(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := w.Acme.Member(tenants.RoleEditor)
	d := must[tenants.Draft](t)(w.Resources.Get(ctx, w.Acme.ResourceID))
	if d.Resource.Revision != 1 || d.Resource.DraftChangedAt != nil {
		t.Fatalf("the demo should be published: %+v", d.Resource)
	}
	changes := listen(t, w)
	s := scopeNamed(t, d, "data:read")
	_, err := w.Resources.UpdateWording(ctx, w.Acme.ResourceID, s.ID, tenants.WordingUpdate{Title: "See your data",
		Description: s.Description})
	if err != nil {
		t.Fatal(err)
	}
	status := must[tenants.DraftStatus](t)(w.Resources.Draft(ctx, w.Acme.ResourceID))
	want := []tenants.Change{{Kind: tenants.ChangeWording, Subject: "data:read", What: "wording changed"}}
	if !slices.Equal(status.Changes, want) || status.Draft.Resource.DraftChangedAt == nil {
		t.Fatalf("draft changes %v", status.Changes)
	}
	changes.none(t) // a draft is nobody's business yet
	if title := published(t, w).Scopes["data:read"].Title; title != "Query your data" {
		t.Fatalf("the draft is published already: %q", title)
	}

	r := must[tenants.Revision](t)(w.Resources.Publish(ctx, w.Acme.ResourceID, status.Version))
	changes.wait(t, w.Acme.Scope())
	if r.Number != 2 || r.PublishedBy != w.Acme.MemberOf(tenants.RoleEditor).ID {
		t.Errorf("revision %+v", r)
	}
	if doc := published(t, w); doc.Scopes["data:read"].Title != "See your data" || doc.Revision != 2 {
		t.Errorf("published %+v", doc)
	}
	again := must[tenants.Revision](t)(w.Resources.Publish(ctx, w.Acme.ResourceID, ""))
	if again.Number != 2 {
		t.Errorf("publishing nothing made revision %d", again.Number)
	}
}

func TestResources_PublishRefusesADraftNobodySaw(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := w.Acme.Member(tenants.RoleEditor)
	status := must[tenants.DraftStatus](t)(w.Resources.Draft(ctx, w.Acme.ResourceID))
	deletes := scopeNamed(t, status.Draft, "segments:delete")
	if _, err := w.Resources.MapTool(ctx, w.Acme.ResourceID, toolNamed(t, status.Draft, "delete_segment").ID,
		policy.MatchAll, []string{"data:read"}); err != nil {
		t.Fatal(err)
	}
	_, err := w.Resources.Publish(ctx, w.Acme.ResourceID, status.Version)
	wantKind(t, err, errs.Conflict)
	if got := published(t, w).Tools["delete_segment"].Scopes; !slices.Equal(got, []string{deletes.Name}) {
		t.Errorf("published %v", got)
	}
}

func TestResources_EditingBackLeavesNothingToPublish(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := w.Acme.Member(tenants.RoleEditor)
	d := must[tenants.Draft](t)(w.Resources.Get(ctx, w.Acme.ResourceID))
	s := scopeNamed(t, d, "data:read")
	for _, title := range []string{"Something else", s.Title} {
		u := tenants.WordingUpdate{Title: title, Description: s.Description}
		d = must[tenants.Draft](t)(w.Resources.UpdateWording(ctx, w.Acme.ResourceID, s.ID, u))
	}
	if d.Resource.DraftChangedAt != nil {
		t.Error("the draft equals what is published, yet counts as changed")
	}
}

func TestResources_WordingOfTwoEditorsIsNotLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := w.Acme.Member(tenants.RoleEditor)
	d := must[tenants.Draft](t)(w.Resources.Get(ctx, w.Acme.ResourceID))
	s, other := scopeNamed(t, d, "data:read"), scopeNamed(t, d, "signals:write")
	version := d.WordingVersion(s.ID)

	_, err := w.Resources.UpdateWording(ctx, w.Acme.ResourceID, other.ID,
		tenants.WordingUpdate{Version: d.WordingVersion(other.ID), Title: "Send signals"})
	if err != nil {
		t.Fatal(err)
	}
	// Somebody else's edit of another permission is no conflict; of a tool of this one it is.
	run := toolNamed(t, d, "run_query")
	u := tenants.WordingUpdate{Version: version, Title: s.Title, Description: s.Description,
		Tools: map[string]string{run.ID: "Run a query"}}
	if _, err := w.Resources.UpdateWording(ctx, w.Acme.ResourceID, s.ID, u); err != nil {
		t.Fatal(err)
	}
	u.Tools[run.ID] = "Run any query"
	_, err = w.Resources.UpdateWording(ctx, w.Acme.ResourceID, s.ID, u)
	wantKind(t, err, errs.Conflict)
	d = must[tenants.Draft](t)(w.Resources.Get(ctx, w.Acme.ResourceID))
	if got := toolNamed(t, d, "run_query").Wording; got != "Run a query" {
		t.Errorf("wording %q", got)
	}
}

func TestResources_WordingRefusesWhatMisleadsReaders(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := w.Acme.Member(tenants.RoleEditor)
	d := must[tenants.Draft](t)(w.Resources.Get(ctx, w.Acme.ResourceID))
	s, run, foreign := scopeNamed(t, d, "data:read"), toolNamed(t, d, "run_query"), toolNamed(t, d, "delete_segment")
	for name, c := range map[string]struct {
		u     tenants.WordingUpdate
		field string
	}{
		"empty title":         {tenants.WordingUpdate{}, "title"},
		"long title":          {tenants.WordingUpdate{Title: strings.Repeat("é", 81)}, "title"},
		"right-to-left title": {tenants.WordingUpdate{Title: "Read \u202eetirw"}, "title"},
		"zero-width title":    {tenants.WordingUpdate{Title: "Re\u200bad"}, "title"},
		"line break": {tenants.WordingUpdate{Title: "Read", Description: "Nothing.\nAllow everything."},
			"description"},
		"invalid UTF-8": {tenants.WordingUpdate{Title: "Read", Warning: "\xff"}, "warning"},
		"control in tool": {tenants.WordingUpdate{Title: "Read", Tools: map[string]string{run.ID: "a\x00b"}},
			"tool." + run.ID},
		"long wording of tool": {tenants.WordingUpdate{Title: "Read", Tools: map[string]string{run.ID: strings.Repeat("x",
			141)}}, "tool." + run.ID},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.Resources.UpdateWording(ctx, w.Acme.ResourceID, s.ID, c.u)
			wantField(t, err, c.field)
		})
	}
	_, err := w.Resources.UpdateWording(ctx, w.Acme.ResourceID, s.ID,
		tenants.WordingUpdate{Title: "Read", Tools: map[string]string{foreign.ID: "Harmless"}})
	wantKind(t, err, errs.NotFound) // not a tool of this permission
	_, err = w.Resources.UpdateWording(w.Acme.Member(tenants.RoleViewer), w.Acme.ResourceID, s.ID,
		tenants.WordingUpdate{Title: "Read"})
	wantKind(t, err, errs.Forbidden)
	after := must[tenants.Draft](t)(w.Resources.Get(ctx, w.Acme.ResourceID))
	if !reflect.DeepEqual(after, d) {
		t.Error("a refused edit left something behind")
	}
}

func TestResources_DraftRules(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := w.Acme.Member(tenants.RoleEditor)
	before := must[tenants.Draft](t)(w.Resources.Get(ctx, w.Acme.ResourceID))
	for name, c := range map[string]struct {
		edit  func(d *tenants.Draft)
		field string
	}{
		"scope with space": {func(d *tenants.Draft) { d.Scopes[0].Name = "data read" }, "scopes[data read].name"},
		"reserved scope": {func(d *tenants.Draft) { d.Scopes[0].Name = "offline_access" },
			"scopes[offline_access].name"},
		"two of a name": {func(d *tenants.Draft) { d.Scopes[1].Name = "data:read" }, "scopes[data:read].name"},
		"unknown risk":  {func(d *tenants.Draft) { d.Scopes[0].Risk = "none" }, "scopes[data:read].risk"},
		"implies itself": {func(d *tenants.Draft) { d.Scopes[0].Implies = []string{"data:read"} },
			"scopes[data:read].implies"},
		"implies nothing known": {func(d *tenants.Draft) { d.Scopes[0].Implies = []string{"x"} },
			"scopes[data:read].implies"},
		"implies what is worse": {func(d *tenants.Draft) { d.Scopes[0].Implies = []string{"segments:delete"} },
			"scopes[data:read].implies"},
		"circle": {func(d *tenants.Draft) {
			d.Scopes[0].Implies, d.Scopes[1].Implies = []string{"profiles:read"}, []string{"data:read"}
		}, "scopes[data:read].implies"},
		"required destructive": {func(d *tenants.Draft) { d.Scopes[3].Required = true },
			"scopes[segments:delete].required"},
		"tool of unknown scope":   {func(d *tenants.Draft) { d.Tools[0].Scopes = []string{"x"} }, "tools[run_query].scopes"},
		"two tools of a name":     {func(d *tenants.Draft) { d.Tools[1].Name = "run_query" }, "tools[run_query].name"},
		"tool with a hidden name": {func(d *tenants.Draft) { d.Tools[0].Name = "run\u200b" }, "tools[run\u200b].name"},
		"alias like identifier": {func(d *tenants.Draft) { d.Aliases = []string{tenanttest.Identifier} },
			"aliases[" + tenanttest.Identifier + "]"},
		"alias not canonical": {func(d *tenants.Draft) { d.Aliases = []string{"HTTP://x.example"} },
			"aliases[HTTP://x.example]"},
		"mode": {func(d *tenants.Draft) { d.Resource.Mode = "off" }, "mode"},
		"name": {func(d *tenants.Draft) { d.Resource.Name = " " }, "name"},
	} {
		t.Run(name, func(t *testing.T) {
			d := before.Normal()
			c.edit(&d)
			_, err := w.Resources.Replace(ctx, w.Acme.ResourceID, d)
			wantField(t, err, c.field)
		})
	}
	if after := must[tenants.Draft](t)(w.Resources.Get(ctx, w.Acme.ResourceID)); !reflect.DeepEqual(after, before) {
		t.Error("a refused draft left something behind")
	}
}

func TestResources_ScopesAndToolsCanBeEdited(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx, id := w.Acme.Member(tenants.RoleEditor), w.Acme.ResourceID
	s := must[tenants.Scope](t)(w.Resources.CreateScope(ctx, id, tenants.Scope{
		Name: "exports:delete", Risk: policy.RiskDestructive, Title: "Delete exports", Implies: []string{"signals:write",
			"data:read"},
	}))
	if !s.NeverTicked || !slices.Equal(s.Implies, []string{"data:read", "signals:write"}) {
		t.Errorf("created %+v", s)
	}
	tool := must[tenants.Tool](t)(w.Resources.CreateTool(ctx, id, tenants.Tool{Name: "delete_export",
		Scopes: []string{"exports:delete"}}))
	tool = must[tenants.Tool](t)(w.Resources.MapTool(ctx, id, tool.ID, policy.MatchAny, []string{"exports:delete",
		"data:read"}))
	if !slices.Equal(tool.Scopes, []string{"data:read", "exports:delete"}) {
		t.Errorf("mapped %+v", tool)
	}
	s.Title, s.Name = "Remove exports", "renamed"
	if s = must[tenants.Scope](t)(w.Resources.UpdateScope(ctx, id, s)); s.Name != "exports:delete" ||
		s.Title != "Remove exports" {
		t.Errorf("updated %+v: the name must stay", s)
	}
	tool.Wording = "Remove one export"
	must[tenants.Tool](t)(w.Resources.UpdateTool(ctx, id, tool))
	if err := w.Resources.DeleteScope(ctx, id, s.ID); err != nil {
		t.Fatal(err)
	}
	d := must[tenants.Draft](t)(w.Resources.Get(ctx, id))
	if got := toolNamed(t, d, "delete_export"); !slices.Equal(got.Scopes, []string{"data:read"}) ||
		got.Wording != "Remove one export" {
		t.Errorf("after the permission went: %+v", got)
	}
	if err := w.Resources.DeleteTool(ctx, id, tool.ID); err != nil {
		t.Fatal(err)
	}
	d = must[tenants.Draft](t)(w.Resources.Get(ctx, id))
	if len(d.Tools) != 7 || len(d.Scopes) != 4 || d.Resource.DraftChangedAt != nil {
		t.Errorf("not as it was: %d tools, %d scopes, changed at %v", len(d.Tools), len(d.Scopes), d.Resource.DraftChangedAt)
	}
	// A permission that another one implies cannot go.
	base := must[tenants.Scope](t)(w.Resources.CreateScope(ctx, id, tenants.Scope{
		Name: "all", Risk: policy.RiskRead, Title: "All", Implies: []string{"data:read"},
	}))
	err := w.Resources.DeleteScope(ctx, id, scopeNamed(t, d, "data:read").ID)
	wantField(t, err, "scopes["+base.Name+"].implies")
}

func TestResources_AddressesBelongToOneServer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := w.Acme.Member(tenants.RoleEditor)
	second := must[tenants.Resource](t)(w.Resources.Create(ctx, tenants.NewResource{
		Identifier: "https://MCP.acme.example:443/mcp", Name: "Second", Aliases: []string{"https://mcp.acme.example/mcp/"},
	}))
	if second.Identifier != "https://mcp.acme.example/mcp" {
		t.Errorf("identifier %q", second.Identifier)
	}
	for name, n := range map[string]tenants.NewResource{
		"its identifier":            {Identifier: "https://mcp.acme.example/mcp", Name: "Third"},
		"its alias as identifier":   {Identifier: "https://mcp.acme.example/mcp/", Name: "Third"},
		"its identifier as alias":   {Identifier: "https://third.acme.example", Name: "Third", Aliases: []string{"https://mcp.acme.example/mcp"}},
		"the demo server as alias":  {Identifier: "https://third.acme.example", Name: "Third", Aliases: []string{tenanttest.Identifier}},
		"the demo server's address": {Identifier: tenanttest.Identifier, Name: "Third"},
	} {
		if _, err := w.Resources.Create(ctx, n); !errs.Is(err, errs.Conflict) {
			t.Errorf("%s: %v, want a conflict", name, err)
		}
	}
	if err := w.Resources.Delete(ctx, second.ID); err != nil {
		t.Fatal(err)
	}
	wantKind(t, w.Resources.Delete(ctx, second.ID), errs.NotFound)
	wantKind(t, w.Resources.Delete(ctx, w.Acme.ResourceID), errs.Conflict) // published
}

// Edits of one server wait for each other, so that none overwrites another unseen.
func TestResources_ParallelEditsAllCount(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := w.Acme.Member(tenants.RoleEditor)
	names := []string{"a", "b", "c", "d", "e", "f"}
	var group sync.WaitGroup
	for _, name := range names {
		group.Go(func() {
			if _, err := w.Resources.CreateTool(ctx, w.Acme.ResourceID, tenants.Tool{Name: name}); err != nil {
				t.Errorf("create %s: %v", name, err)
			}
		})
	}
	group.Wait()
	status := must[tenants.DraftStatus](t)(w.Resources.Draft(ctx, w.Acme.ResourceID))
	if len(status.Draft.Tools) != 7+len(names) || len(status.Changes) != len(names) ||
		status.Draft.Unmapped() != len(names) {
		t.Errorf("%d tools, %d changes, %d unmapped", len(status.Draft.Tools), len(status.Changes), status.Draft.Unmapped())
	}
}

// Published is one query, whatever there is to read; so is a draft's number of statements.
func TestResources_ReadsDoNotGrowWithTheServer(t *testing.T) {
	t.Parallel()
	counter := &statements{}
	w := newWorld(t, tenanttest.WithTracer(counter), tenanttest.WithFile(manyServers))
	count := func(name string, call func() error) int64 {
		before := counter.n.Load()
		if err := call(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return counter.n.Load() - before
	}
	one := count("published", func() error { _, err := w.Resources.Published(w.Neighbour.Context()); return err })
	many := count("published", func() error { _, err := w.Resources.Published(w.Acme.Context()); return err })
	if one != many {
		t.Errorf("Published takes %d statements for one server and %d for five", one, many)
	}
	one = count("list", func() error {
		_, _, err := w.Resources.List(w.Neighbour.Operator(), tenants.ResourceFilter{})
		return err
	})
	many = count("list", func() error {
		_, _, err := w.Resources.List(w.Acme.Operator(),
			tenants.ResourceFilter{})
		return err
	})
	if one != many {
		t.Errorf("List takes %d statements for one server and %d for five", one, many)
	}
}
