package tenants_test

import (
	"slices"
	"testing"

	"github.com/ostiary/ostiary/app/policy"
	"github.com/ostiary/ostiary/tenants"
	"github.com/ostiary/ostiary/tenants/apply"
	"github.com/ostiary/ostiary/tenants/tenanttest"
)

// withKinds gives the server a prompt and contents beside a tool of the prompt's name, arguments that are kept, and times.
func withKinds(f *apply.File) {
	r := &f.Environments[0].Resources[0]
	short := tenants.Duration(120 * 1e9)
	r.Tools[0].Audited = []string{"region", "dataset"}
	r.Prompts = []apply.Prompt{{Name: r.Tools[0].Name, Scopes: []string{"data:read"}, Audited: []string{"topic"}}}
	r.Contents = []apply.Content{{URI: "acme://reports/*", Scopes: []string{"data:read"}}, {URI: "acme://secrets"}}
	r.Offline = &apply.Offline{Destructive: &short}
}

func TestResources_PromptsContentsAndTimesArePublished(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tenanttest.WithFile(withKinds))
	ctx := w.Acme.Member(tenants.RoleEditor)
	status := must[tenants.DraftStatus](t)(w.Resources.Draft(ctx, w.Acme.ResourceID))
	if len(status.Changes) != 0 {
		t.Errorf("what was stored differs from what was published: %v", status.Changes)
	}
	doc := status.Published.Document
	name := w.Acme.File.Environments[0].Resources[0].Tools[0].Name
	if len(doc.Tools) != 7 || !slices.Equal(doc.Tools[name].Audited, []string{"dataset", "region"}) ||
		!slices.Equal(doc.Prompts[name].Audited, []string{"topic"}) || len(doc.Contents) != 2 || doc.Offline == nil ||
		*doc.Offline != (policy.Offline{Read: 86400, Write: 3600, Destructive: 120}) {
		t.Errorf("published %+v", doc)
	}
	compiled := policy.Compile(&doc)
	judged := func(kind policy.TargetKind, name string, scopes ...string) policy.Reason {
		return compiled.Judge(policy.Target{Kind: kind, Name: name}, policy.Subject{Scopes: scopes}, compiled.Granted(scopes),
			policy.Situation{Feed: policy.CompileFeed(nil)}).Reason
	}
	for _, tt := range []struct {
		kind policy.TargetKind
		name string
		want policy.Reason
	}{
		{policy.TargetPrompt, name, policy.ReasonAllowed}, {policy.TargetPrompt, "other", policy.ReasonUnknownTool},
		{policy.TargetContent, "acme://reports/2026", policy.ReasonAllowed}, {policy.TargetContent, "acme://secrets", policy.ReasonUnmappedTool},
	} {
		if got := judged(tt.kind, tt.name, "data:read"); got != tt.want {
			t.Errorf("%s %s: %s, want %s", tt.kind, tt.name, got, tt.want)
		}
	}
	neighbours := must[tenants.DraftStatus](t)(w.Resources.Draft(w.Neighbour.Operator(), w.Neighbour.ResourceID)).Published.Document
	if neighbours.Offline != nil || neighbours.Prompts != nil || neighbours.Contents != nil {
		t.Errorf("who chose nothing publishes %+v", neighbours)
	}
}

func TestResources_ChangesNameKindsAndTimes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tenanttest.WithFile(withKinds))
	ctx := w.Acme.Operator()
	d := must[tenants.Draft](t)(w.Resources.Get(ctx, w.Acme.ResourceID))
	next := d.Normal()
	next.Tools = slices.DeleteFunc(next.Tools, func(t tenants.Tool) bool { return t.Name == "acme://secrets" })
	for i := range next.Tools {
		if next.Tools[i].Kind == policy.TargetPrompt {
			next.Tools[i].Audited, next.Tools[i].Wording = nil, "Ask about a topic"
		}
	}
	next.Resource.Offline = policy.Offline{}
	must[tenants.Draft](t)(w.Resources.Replace(ctx, w.Acme.ResourceID, next))
	var lines []string
	for _, c := range must[tenants.DraftStatus](t)(w.Resources.Draft(ctx, w.Acme.ResourceID)).Changes {
		lines = append(lines, c.String())
	}
	name := w.Acme.File.Environments[0].Resources[0].Tools[0].Name
	want := []string{
		"time without contact 1d/1h/2m → 1d/1h/5m", "prompt " + name + ": wording changed",
		"prompt " + name + ": calls keep the values of nothing", "content acme://secrets: removed",
	}
	if !slices.Equal(lines, want) {
		t.Errorf("changes %q, want %q", lines, want)
	}
}

func TestResources_KindsAndTimesAreChecked(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tenanttest.WithFile(withKinds))
	d := must[tenants.Draft](t)(w.Resources.Get(w.Acme.Operator(), w.Acme.ResourceID))
	for field, edit := range map[string]func(*tenants.Draft){
		"offline.write": func(d *tenants.Draft) { d.Resource.Offline.Write = 59 },
		"offline":       func(d *tenants.Draft) { d.Resource.Offline.Destructive = 7200 },
		"prompts[ask].scopes": func(d *tenants.Draft) {
			d.Tools = append(d.Tools, tenants.Tool{Kind: policy.TargetPrompt, Name: "ask", Scopes: []string{"ghost"}})
		},
		"contents[acme://x].name": func(d *tenants.Draft) {
			d.Tools = append(d.Tools, tenants.Tool{Kind: policy.TargetContent, Name: "acme://x"}, tenants.Tool{Kind: policy.TargetContent, Name: "acme://x"})
		},
		"tools[run_query].audited": func(d *tenants.Draft) { d.Tools[0].Audited = []string{"a\u200bb"} },
		"prompts[a\u200bb].wording": func(d *tenants.Draft) {
			d.Tools = append(d.Tools, tenants.Tool{Kind: policy.TargetPrompt, Name: "a\u200bb", Wording: "x\u200b"})
		},
	} {
		bad := d.Normal()
		edit(&bad)
		_, err := w.Resources.Replace(w.Acme.Operator(), w.Acme.ResourceID, bad)
		wantField(t, err, field)
	}
}
