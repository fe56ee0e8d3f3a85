package dashboard_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/ostiary/ostiary/app/policy"
	"github.com/ostiary/ostiary/tenants"
	"github.com/ostiary/ostiary/tenants/tenanttest"
)

const stopsPath = "/environments/acme-dev/stops"

func TestStops_FromTheFormToTheLift(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.signedIn(t, s.Acme, tenants.RoleEditor)
	p := b.get(stopsPath).want(http.StatusOK).wantText("Nothing is stopped", "Stop something")
	if !p.has(`nav a[href="` + stopsPath + `"][aria-current="page"]`) {
		t.Error("the navigation has no current entry")
	}
	p = b.get(stopsPath + "/new?kind=user").want(http.StatusOK).wantText("E-mail address or id.")
	form := p.form(stopsPath + "/new")
	form.Set("value", "nobody@acme.example")
	form.Set("reason", "Lost laptop.")
	p = b.post(stopsPath+"/new", form).want(http.StatusUnprocessableEntity).wantText("There is no user with this id or e-mail address.")
	form = p.form(stopsPath + "/new")
	if form.Get("value") != "nobody@acme.example" || form.Get("reason") != "Lost laptop." {
		t.Errorf("what was typed is gone: %v", form)
	}
	form.Set("value", " "+strings.ToUpper(s.Acme.UserEmail)+" ")
	confirm := b.post(stopsPath+"/new", form).want(http.StatusSeeOther).location()
	if strings.Contains(confirm, "acme.example") || !strings.Contains(confirm, s.Acme.UserID) {
		t.Errorf("the address of the next page is %s", confirm)
	}
	p = b.get(confirm).want(http.StatusOK).wantText("Stop "+s.Acme.UserEmail+"?", "Live connections0", "Lost laptop.", "Stop user", "Keep it on")
	b.post(stopsPath, p.form(stopsPath)).want(http.StatusSeeOther)
	p = b.get(stopsPath).want(http.StatusOK).wantText("Stopped. MCP servers hear it within seconds.", s.Acme.UserEmail, "Lost laptop.", "Demo editor")
	if !p.has(`button[data-copy="` + s.Acme.UserID + `"]`) {
		t.Error("the user's id cannot be copied")
	}
	b.get(confirm).want(http.StatusOK).wantText("It is stopped already")
	action := p.Find(`form[action$="/lift"]`).AttrOr("action", "")
	b.post(action, url.Values{}).want(http.StatusSeeOther)
	b.get(stopsPath).want(http.StatusOK).wantText("Nothing is stopped", "Lifted", s.Acme.UserEmail)
	b.post(action, url.Values{}).want(http.StatusNotFound)
}

// The list of what was lifted ends somewhere, and says so.
func TestStops_OlderOnesAreNotListed(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.signedIn(t, s.Acme, tenants.RoleEditor)
	for n := range tenants.ListedHistory + 1 {
		stop, err := s.Stops.Create(s.Acme.Operator(), tenants.NewStop{Kind: policy.StopHost, Value: fmt.Sprintf("host-%03d.example", n)})
		if err != nil {
			t.Fatal(err)
		}
		if n == tenants.ListedHistory-1 {
			if strings.Contains(b.get(stopsPath).want(http.StatusOK).text, "The latest") {
				t.Error("a list that is whole says that it is not")
			}
		}
		s.Clock.Advance(time.Second)
		if _, err := s.Stops.Lift(s.Acme.Operator(), stop.ID); err != nil {
			t.Fatal(err)
		}
	}
	if p := b.get(stopsPath).want(http.StatusOK).wantText("The latest 100", "host-100.example"); strings.Contains(p.text, "host-000.example") {
		t.Error("more is listed than that")
	}
}

// However much is stopped, a page shows a part of it, and lifting leads back to where one was.
func TestStops_LiveOnesArePaged(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.signedIn(t, s.Acme, tenants.RoleEditor)
	stop := func(at *tenanttest.Tenant, value string) {
		t.Helper()
		if _, err := s.Stops.Create(at.Operator(), tenants.NewStop{Kind: policy.StopHost, Value: value}); err != nil {
			t.Fatal(err)
		}
		s.Clock.Advance(time.Second)
	}
	for n := range 51 {
		stop(s.Acme, fmt.Sprintf("host-%02d.example", n))
		stop(s.Neighbour, fmt.Sprintf("their-%02d.example", n))
	}
	lifts := func(p *page) int { return p.Find(`form[action*="/lift"]`).Length() }
	first := b.get(stopsPath).want(http.StatusOK).wantText("1 to 25 of 51 stops", "host-50.example", "host-26.example")
	if strings.Contains(first.text, "host-25.example") || lifts(first) != 25 || first.has(`a[rel="prev"]`) {
		t.Errorf("the first page lists %d", lifts(first))
	}
	second := b.get(first.Find(`a[rel="next"]`).AttrOr("href", "")).want(http.StatusOK).wantText("26 to 50 of 51 stops", "host-25.example")
	last := b.get(second.Find(`a[rel="next"]`).AttrOr("href", "")).want(http.StatusOK).wantText("51 to 51 of 51 stops", "host-00.example")
	if lifts(last) != 1 || last.has(`a[rel="next"]`) || strings.Contains(first.text+second.text+last.text, "their-") {
		t.Errorf("the last page lists %d", lifts(last))
	}
	// The only one of the last page is lifted: that page is no more, and the one before it is shown.
	action := last.Find(`form[action*="/lift"]`).AttrOr("action", "")
	back := b.post(action, url.Values{}).want(http.StatusSeeOther).location()
	if back != stopsPath+"?page=3" {
		t.Errorf("lifting leads to %s", back)
	}
	b.get(back).want(http.StatusOK).wantText("26 to 50 of 50 stops", "host-01.example")
	for _, odd := range []string{"?page=0", "?page=-1", "?page=//evil.example", "?page=99999999999999999999", "?page=1%0d%0aX:y"} {
		b.get(stopsPath + odd).want(http.StatusOK).wantText("1 to 25 of 50 stops")
	}
	other := b.get(stopsPath).Find(`form[action*="/lift"]`).AttrOr("action", "")
	if back := b.post(other+"?page=//evil.example", url.Values{}).want(http.StatusSeeOther).location(); back != stopsPath {
		t.Errorf("lifting leads to %s", back)
	}
}

func TestStops_EveryKindHasItsForm(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.signedIn(t, s.Acme, tenants.RoleOwner)
	for kind, value := range map[policy.StopKind]string{
		policy.StopTool: "run_query", policy.StopHost: "chatgpt", policy.StopOrganization: s.Acme.OrganizationID, policy.StopServer: "",
	} {
		p := b.get(stopsPath + "/new?kind=" + string(kind)).want(http.StatusOK)
		form := p.form(stopsPath + "/new")
		if _, asks := form["value"]; asks != (kind != policy.StopServer) || p.has("select") != (kind == policy.StopTool || kind == policy.StopServer) {
			t.Errorf("%s: fields %v", kind, form)
		}
		form.Set("value", value)
		if p.has("select") {
			form.Set("server", p.Find("select option").AttrOr("value", ""))
		}
		confirm := b.post(stopsPath+"/new", form).want(http.StatusSeeOther).location()
		p = b.get(confirm).want(http.StatusOK)
		b.post(stopsPath, p.form(stopsPath)).want(http.StatusSeeOther)
	}
	if live, _, err := s.Stops.List(s.Acme.Operator()); err != nil || len(live) != 4 {
		t.Errorf("%d stopped, %v", len(live), err)
	}
	b.get(stopsPath + "/new?kind=everything").want(http.StatusOK).wantText("Tool")
	b.get(stopsPath + "/new?value=" + url.QueryEscape(`"><script>`)).want(http.StatusOK)
	b.get(stopsPath + "/confirm").want(http.StatusUnprocessableEntity)
	b.post(stopsPath, url.Values{"kind": {"everything"}}).want(http.StatusUnprocessableEntity)
	b.post(stopsPath, url.Values{"kind": {"host"}, "value": {"chatgpt"}}).want(http.StatusConflict)
}

func TestStops_BelongToTheirTenantAndItsEditors(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	theirs, err := s.Stops.Create(s.Neighbour.Operator(), tenants.NewStop{Kind: policy.StopHost, Value: "their-host", Reason: "Secret."})
	if err != nil {
		t.Fatal(err)
	}
	ours, err := s.Stops.Create(s.Acme.Operator(), tenants.NewStop{Kind: policy.StopHost, Value: "chatgpt"})
	if err != nil {
		t.Fatal(err)
	}
	owner := s.signedIn(t, s.Acme, tenants.RoleOwner)
	if p := owner.get(stopsPath).want(http.StatusOK); strings.Contains(p.text, "their-host") {
		t.Error("the list shows the neighbour's stop")
	}
	owner.post(stopsPath+"/"+theirs.ID+"/lift", url.Values{}).want(http.StatusNotFound)
	for _, foreign := range []url.Values{
		{"kind": {"user"}, "value": {s.Neighbour.UserID}}, {"kind": {"server"}, "server": {s.Neighbour.ResourceID}},
		{"kind": {"tool"}, "server": {s.Neighbour.ResourceID}, "value": {"run_query"}},
	} {
		owner.get(stopsPath + "/confirm?" + foreign.Encode()).want(http.StatusUnprocessableEntity)
		owner.post(stopsPath, foreign).want(http.StatusUnprocessableEntity)
	}
	viewer := s.signedIn(t, s.Acme, tenants.RoleViewer)
	if p := viewer.get(stopsPath).want(http.StatusOK).wantText("chatgpt"); p.has(`form[action$="/lift"]`) || p.has(`a[href$="/new"]`) {
		t.Error("a viewer has buttons")
	}
	viewer.post(stopsPath+"/"+ours.ID+"/lift", url.Values{}).want(http.StatusForbidden)
	viewer.post(stopsPath, url.Values{"kind": {"host"}, "value": {"claude"}}).want(http.StatusForbidden)
	s.browser(t).get(stopsPath).want(http.StatusSeeOther)
	if live, _, err := s.Stops.List(s.Acme.Operator()); err != nil || len(live) != 1 {
		t.Errorf("%d stopped, %v", len(live), err)
	}
}
