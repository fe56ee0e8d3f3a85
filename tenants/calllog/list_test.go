package calllog_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostiary/ostiary/app/calls"
	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/policy"
	"github.com/ostiary/ostiary/app/secret"
	"github.com/ostiary/ostiary/tenants"
	"github.com/ostiary/ostiary/tenants/calllog"
	"github.com/ostiary/ostiary/tenants/tenanttest"
)

func tools(p calllog.Page) string {
	var out []string
	for _, c := range p.Calls {
		out = append(out, c.Tool)
	}
	return strings.Join(out, " ")
}

func denied(r *calls.Record) {
	r.Allowed, r.Reason, r.Status = false, policy.ReasonInsufficientScope, 403
}

func TestList_Filters(t *testing.T) {
	t.Parallel()
	f := newFixture(t, tenanttest.WithFile(secondServer))
	second := f.secondResource(t)
	start := f.Clock.Now()
	add := func(name string, resourceID string, change func(*calls.Record)) {
		f.Clock.Advance(time.Minute)
		r := f.call(f.Acme, change)
		r.Tool = name
		if n, err := f.log.Keep(f.Acme.Context(), resourceID, calls.Batch{Calls: []calls.Record{r}}); err != nil || n != 1 {
			t.Fatal(n, err)
		}
	}
	nothing := func(*calls.Record) {}
	add("plain", f.Acme.ResourceID, nothing)
	add("second", second, nothing)
	add("denied", f.Acme.ResourceID, denied)
	add("shadowed", f.Acme.ResourceID, func(r *calls.Record) { denied(r); r.Allowed, r.Shadowed, r.Status = true, true, 200 })
	add("stranger", f.Acme.ResourceID, func(r *calls.Record) { r.User, r.Organization, r.Host = "usr_STRANGER", "", "" })
	add("old_key", f.Acme.ResourceID, func(r *calls.Record) { r.Proof, r.User, r.Client = calls.ProofLegacy, "pilot-customer", "" })
	f.keep(t, f.Neighbour, f.call(f.Neighbour))
	for _, c := range []struct {
		filter calllog.Filter
		want   string
	}{
		{calllog.Filter{}, "old_key stranger shadowed denied second plain"},
		{calllog.Filter{Server: second}, "second"},
		{calllog.Filter{Tool: "plain"}, "plain"},
		{calllog.Filter{Tool: "PLAIN"}, ""},
		{calllog.Filter{User: f.Acme.UserID}, "shadowed denied second plain"},
		{calllog.Filter{User: strings.ToUpper(f.Acme.UserEmail)}, "shadowed denied second plain"},
		{calllog.Filter{User: f.Neighbour.UserEmail}, ""},
		{calllog.Filter{User: "nobody@x.example"}, ""},
		{calllog.Filter{Organization: f.Acme.OrganizationID, Decision: calllog.Denied}, "denied"},
		{calllog.Filter{Organization: "northwind"}, "old_key shadowed denied second plain"},
		{calllog.Filter{Host: "claude", Decision: calllog.Allowed}, "old_key second plain"},
		{calllog.Filter{Host: policy.HostUnverified}, "stranger"},
		{calllog.Filter{Decision: calllog.Denied}, "denied"},
		{calllog.Filter{Decision: calllog.Shadowed}, "shadowed"},
		{calllog.Filter{Legacy: true}, "old_key"},
		{calllog.Filter{Since: start.Add(150 * time.Second), Until: start.Add(250 * time.Second)}, "shadowed denied"},
		{calllog.Filter{Tool: `' or true --`}, ""},
		{calllog.Filter{Tool: "nul\x00"}, ""},
	} {
		page, err := f.log.List(f.Acme.Member(tenants.RoleViewer), c.filter)
		if err != nil || tools(page) != c.want {
			t.Errorf("%+v: %q, %v; want %q", c.filter, tools(page), err, c.want)
		}
	}
	if _, err := f.log.List(f.Acme.Operator(), calllog.Filter{Decision: "maybe"}); !errs.Is(err, errs.Invalid) {
		t.Errorf("an unknown decision: %v", err)
	}
	uses, err := f.log.Legacy(f.Acme.Member(tenants.RoleViewer), start)
	if err != nil || len(uses) != 1 || uses[0].User != "pilot-customer" || uses[0].Calls != 1 || uses[0].Denied != 0 {
		t.Errorf("legacy: %+v, %v", uses, err)
	}
	if uses, err := f.log.Legacy(f.Neighbour.Member(tenants.RoleViewer), start); err != nil || len(uses) != 0 {
		t.Errorf("the neighbour's legacy: %+v, %v", uses, err)
	}
}

// Pages fit together in both directions, also where many calls came at one moment and while new ones come.
func TestList_PagesAreStable(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var list []calls.Record
	for range 25 {
		list = append(list, f.call(f.Acme))
	}
	at := list[0].At
	for i := range list {
		list[i].At = at.Add(time.Duration(i/10) * time.Second)
	}
	f.keep(t, f.Acme, list...)
	ctx := f.Acme.Member(tenants.RoleViewer)
	var forward []string
	var last calllog.Page
	filter := calllog.Filter{Limit: 10}
	for n := 0; ; n++ {
		page, err := f.log.List(ctx, filter)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range page.Calls {
			forward = append(forward, c.ID)
		}
		if last = page; !page.Older {
			break
		}
		if n == 0 { // comes while somebody reads
			f.keep(t, f.Acme, f.call(f.Acme, func(r *calls.Record) { r.At = at.Add(time.Minute) }))
		}
		filter.Before = page.Calls[len(page.Calls)-1].Cursor()
	}
	if len(forward) != 25 || len(slices.Compact(slices.Sorted(slices.Values(forward)))) != 25 {
		t.Fatalf("%d calls on the pages", len(forward))
	}
	page, err := f.log.List(ctx, calllog.Filter{Limit: 10, After: last.Calls[0].Cursor()})
	if err != nil || len(page.Calls) != 10 || page.Calls[0].ID != forward[10] || !page.Newer || !page.Older {
		t.Errorf("back: %d calls, newer %t, older %t, %v", len(page.Calls), page.Newer, page.Older, err)
	}
}

func TestGet_ShowsNamesToItsTenantOnly(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	r := f.call(f.Acme)
	r.Arguments = map[string]json.RawMessage{"account": json.RawMessage(`"<b>acme</b>"`)}
	foreign := f.call(f.Acme, func(r *calls.Record) { r.User, r.Organization = f.Neighbour.UserID, f.Neighbour.OrganizationID })
	f.keep(t, f.Acme, r, foreign)
	c, err := f.log.Get(f.Acme.Member(tenants.RoleViewer), r.ID)
	if err != nil || c.UserEmail != f.Acme.UserEmail || c.OrganizationName != "Northwind Logistics" || c.ResourceName != "Acme Data" ||
		!c.At.Equal(r.At) || len(c.Arguments) != 1 || string(c.Arguments["account"]) != `"<b>acme</b>"` {
		t.Errorf("%+v, %v", c, err)
	}
	if c, err := f.log.Get(f.Acme.Operator(), foreign.ID); err != nil || c.UserName != "" || c.OrganizationName != "" {
		t.Errorf("names of another tenant's user: %+v, %v", c, err)
	}
	for name, get := range map[string]func() error{
		"the neighbour": func() error { _, err := f.log.Get(f.Neighbour.Member(tenants.RoleOwner), r.ID); return err },
		"unknown":       func() error { _, err := f.log.Get(f.Acme.Operator(), secret.NewID("call")); return err },
		"nonsense":      func() error { _, err := f.log.Get(f.Acme.Operator(), "x' or true --"); return err },
	} {
		if err := get(); !errs.Is(err, errs.NotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, err := range map[string]error{
		"list":   second(f.log.List(f.Acme.Context(), calllog.Filter{})),
		"get":    second(f.log.Get(f.Acme.Context(), r.ID)),
		"legacy": second(f.log.Legacy(f.Acme.Context(), time.Time{})),
	} {
		if !errs.Is(err, errs.Forbidden) {
			t.Errorf("%s, as nobody: %v", name, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }
