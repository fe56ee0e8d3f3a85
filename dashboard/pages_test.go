package dashboard_test

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/PuerkitoBio/goquery"

	"github.com/ostiary/ostiary/app/policy"
	"github.com/ostiary/ostiary/tenants"
	"github.com/ostiary/ostiary/tenants/apply"
	"github.com/ostiary/ostiary/tenants/tenanttest"
)

func TestServers_ListShowsStateAndCounts(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.signedIn(t, s.Acme, tenants.RoleViewer)
	p := b.get("/environments/acme-dev/servers").want(http.StatusOK)
	p.wantText("MCP servers", "Acme Data", tenanttest.Identifier, "Published", "1 server")
	if strings.Contains(p.text, "neighbour") || strings.Contains(p.text, "Neighbour") {
		t.Error("the page knows the neighbour")
	}
	if !p.has(`a[href="` + serverPath(s.Acme) + `"]`) {
		t.Error("the server has no link")
	}
	for name, want := range map[string]string{
		"Cache-Control": "no-store", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer",
		"X-Content-Type-Options": "nosniff",
	} {
		if got := p.header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestServers_EmptySearchAndPages(t *testing.T) {
	t.Parallel()
	s := newSite(t, tenanttest.WithFile(func(f *apply.File) {
		f.Environments = append(f.Environments, apply.Environment{Slug: "acme-prod", Name: "Production",
			Kind: tenants.KindProduction})
		for i := range 24 {
			r := f.Environments[0].Resources[0]
			r.Identifier, r.Name = fmt.Sprintf("https://s%d.acme.example/mcp", i), fmt.Sprintf("Server %02d", i)
			f.Environments[0].Resources = append(f.Environments[0].Resources, r)
		}
	}))
	b := s.signedIn(t, s.Acme, tenants.RoleViewer)
	b.get("/environments/acme-prod/servers").want(http.StatusOK).wantText("Add your first MCP server",
		"ostiary apply tenant.yaml")

	p := b.get("/environments/acme-dev/servers").want(http.StatusOK).wantText("1 to 20 of 25 servers")
	next := p.Find(`a[rel="next"]`).AttrOr("href", "")
	p = b.get(next).want(http.StatusOK).wantText("21 to 25 of 25 servers", "Server 23")
	if p.has(`a[rel="next"]`) || !p.has(`a[rel="prev"]`) {
		t.Error("the last page leads on")
	}
	p = b.get("/environments/acme-dev/servers?q=" + url.QueryEscape("server 0")).want(http.StatusOK).wantText("10 servers")
	if got := p.Find(`input[name="q"]`).AttrOr("value", ""); got != "server 0" {
		t.Errorf("the search shows %q", got)
	}
	evil := `"><script>alert(1)</script>%_`
	p = b.get("/environments/acme-dev/servers?q=" + url.QueryEscape(evil)).want(http.StatusOK).wantText("No server found")
	if got := p.Find(`input[name="q"]`).AttrOr("value", ""); got != evil {
		t.Errorf("the search shows %q", got)
	}
	for _, query := range []string{"page=0", "page=-1", "page=x", "page=99999999999999999999", "q=" + strings.Repeat("x",
		5000), "q=%00", "q=%ff"} {
		b.get("/environments/acme-dev/servers?" + query).want(http.StatusOK)
	}
	b.get("/environments/acme-dev/servers?page=7").want(http.StatusOK).wantText("No server found")
}

func TestServer_TabsShowTheDraft(t *testing.T) {
	t.Parallel()
	s := newSite(t, tenanttest.WithFile(func(f *apply.File) {
		r := &f.Environments[0].Resources[0]
		r.Tools = append(r.Tools, apply.Tool{Name: "export_rows", Wording: "Write results to a file"})
		r.Aliases = []string{"http://localhost:8090/mcp/"}
	}))
	b := s.signedIn(t, s.Acme, tenants.RoleViewer)
	p := b.get(serverPath(s.Acme)).want(http.StatusOK)
	p.wantText("Acme Data", "Revision 1", "1 unmapped tool", s.Acme.ResourceID, s.Acme.Issuer,
		"http://localhost:8090/mcp/",
		"claude mcp add --transport http acme-data http://localhost:8090/mcp",
		"ostiary gate --issuer "+s.Acme.Issuer+" --server "+s.Acme.ResourceID)

	p = b.get(serverPath(s.Acme, "tools")).want(http.StatusOK)
	p.wantText("run_query", "Run one query, up to 10,000 rows", "Unmapped: blocked", "8 tools")
	deletes := permissionID(t, s, s.Acme, "segments:delete")
	if !p.has(`a[href="` + serverPath(s.Acme, "wording", deletes) + `"]`) {
		t.Error("no link to the wording of a permission")
	}
	p = b.get(serverPath(s.Acme, "tools")+"?q=RUN").want(http.StatusOK).wantText("run_query", "1 tool")
	if strings.Contains(p.Find("table").Text(), "delete_segment") {
		t.Error("the search shows everything")
	}
	b.get(serverPath(s.Acme, "tools") + "?q=zzz").want(http.StatusOK).wantText("No tool found")

	p = b.get(serverPath(s.Acme, "permissions")).want(http.StatusOK).wantText("Which permission does each tool need?",
		"1 unmapped tool.")
	if rows, columns := p.Find("tbody tr").Length(), p.Find("thead th").Length(); rows != 8 || columns != 5 {
		t.Errorf("matrix of %d rows and %d columns", rows, columns)
	}
	p = b.get(serverPath(s.Acme, "wording")).want(http.StatusSeeOther)
	b.get(p.location()).want(http.StatusOK).wantText("Query your data")
}

func TestWording_EditPreviewSavePublish(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.signedIn(t, s.Acme, tenants.RoleEditor)
	path := serverPath(s.Acme, "wording", permissionID(t, s, s.Acme, "signals:write"))
	p := b.get(path).want(http.StatusOK)
	if !p.has("#preview [inert]") || p.has("#preview form") {
		t.Error("no preview, or one that can be pressed")
	}
	form := p.form(path)
	if form.Get("title") != "Route signals" || len(form) != 6 { // revision, title, description, warning, two tools
		t.Fatalf("the form has %v", form)
	}
	form.Set("title", "Send signals")
	form.Set("description", "  Send signals to Salesforce & Slack.  ")

	preview := b.post(path+"/preview", form).want(http.StatusOK)
	if !strings.Contains(preview.Text(), "Send signals to Salesforce & Slack.") || strings.Contains(preview.text,
		"<html") {
		t.Error("the preview does not show what is typed, as a fragment")
	}
	if title := publishedTitle(t, s, "signals:write"); title != "Route signals" {
		t.Fatalf("a preview published %q", title)
	}
	b.get(path).want(http.StatusOK).wantText("Route signals")

	p = b.post(path, form).want(http.StatusSeeOther)
	if p.location() != path {
		t.Errorf("after saving sent to %s", p.location())
	}
	p = b.get(path).want(http.StatusOK).wantText("Draft saved.", "Draft: 1 wording edited.",
		"signals:write: wording changed", "Edited")
	if got := p.form(path).Get("description"); got != "Send signals to Salesforce & Slack." {
		t.Errorf("saved %q", got)
	}
	if strings.Contains(b.get(path).main(), "Draft saved.") {
		t.Error("the confirmation is said twice")
	}
	if title := publishedTitle(t, s, "signals:write"); title != "Route signals" {
		t.Fatalf("saving published %q", title)
	}

	overview := b.get(serverPath(s.Acme)).want(http.StatusOK)
	publish := overview.form(serverPath(s.Acme, "publish"))
	overview.wantText("Publish 1 change")
	p = b.post(serverPath(s.Acme, "publish"), publish).want(http.StatusSeeOther)
	b.get(p.location()).want(http.StatusOK).wantText("Published.", "Revision 2")
	if title := publishedTitle(t, s, "signals:write"); title != "Send signals" {
		t.Errorf("published %q", title)
	}
}

func publishedTitle(t *testing.T, s *site, permission string) string {
	t.Helper()
	list, err := s.Resources.Published(s.Acme.Context())
	if err != nil {
		t.Fatal(err)
	}
	return list[0].Document.Scopes[permission].Title
}

func TestWording_RefusedTextIsKeptWithItsMessage(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.signedIn(t, s.Acme, tenants.RoleEditor)
	path := serverPath(s.Acme, "wording", permissionID(t, s, s.Acme, "data:read"))
	form := b.get(path).form(path)
	tool := ""
	for name := range form {
		if strings.HasPrefix(name, "tool.") {
			tool = name
		}
	}
	for name, c := range map[string]struct{ field, value string }{
		"empty title":    {"title", "   "},
		"long title":     {"title", strings.Repeat("x", 81)},
		"bidi title":     {"title", "Read \u202eetirw"},
		"control":        {"description", "a\x01b"},
		"line break":     {"description", "Nothing.\r\nEverything."},
		"zero width":     {"warning", "a\u200bb"},
		"tool too long":  {tool, strings.Repeat("x", 141)},
		"tool invisible": {tool, "a\u2063b"},
	} {
		edited := url.Values{}
		for key, values := range form {
			edited[key] = slices.Clone(values)
		}
		edited.Set(c.field, c.value)
		p := b.post(path, edited).want(http.StatusUnprocessableEntity)
		field := p.Find(`[name="` + c.field + `"]`)
		if field.AttrOr("aria-invalid", "") != "true" {
			t.Errorf("%s: the field is not marked", name)
		}
		described := field.AttrOr("aria-describedby", "")
		message := ""
		for id := range strings.FieldsSeq(described) {
			message += p.Find(`[id="` + id + `"]`).Text()
		}
		if message == "" {
			t.Errorf("%s: no message by the field", name)
		}
		other := "description"
		if c.field == other {
			other = "title"
		}
		if got := p.form(path).Get(other); got != form.Get(other) {
			t.Errorf("%s: %s became %q", name, other, got)
		}
	}
	if title := publishedTitle(t, s, "data:read"); title != "Query your data" {
		t.Errorf("published %q", title)
	}
	if d, err := s.Resources.Get(s.Acme.Operator(), s.Acme.ResourceID); err != nil || d.Resource.DraftChangedAt != nil {
		t.Errorf("a refused form left a draft: %+v, %v", d.Resource, err)
	}
}

// A text that looks like markup is a text: on the form, in the preview, in lists.
func TestWording_MarkupIsText(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.signedIn(t, s.Acme, tenants.RoleEditor)
	path := serverPath(s.Acme, "wording", permissionID(t, s, s.Acme, "data:read"))
	form := b.get(path).form(path)
	evil := `<img src=x onerror=alert(1)>"'&lt;/textarea>`
	for name := range form {
		if name != "revision" {
			form.Set(name, evil)
		}
	}
	preview := b.post(path+"/preview", form).want(http.StatusOK)
	b.post(path, form).want(http.StatusSeeOther)
	pages := []*page{preview, b.get(path), b.get(serverPath(s.Acme)), b.get(serverPath(s.Acme, "tools")),
		b.get(serverPath(s.Acme, "permissions"))}
	for i, p := range pages {
		if p.has("img[onerror]") || p.has("[onerror]") || strings.Contains(p.text, "<img src=x") {
			t.Errorf("page %d runs the text", i)
		}
	}
	if got := pages[1].form(path).Get("description"); got != evil {
		t.Errorf("the text became %q", got)
	}
}

func TestWording_TwoEditors(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	path := serverPath(s.Acme, "wording", permissionID(t, s, s.Acme, "data:read"))
	one, two := s.signedIn(t, s.Acme, tenants.RoleEditor), s.signedIn(t, s.Acme, tenants.RoleOwner)
	mine, theirs := one.get(path).form(path), two.get(path).form(path)
	theirs.Set("title", "See your data")
	two.post(path, theirs).want(http.StatusSeeOther)
	mine.Set("title", "Read your data")
	p := one.post(path, mine).want(http.StatusConflict).wantText("Somebody else changed this wording")
	again := p.form(path)
	if again.Get("title") != "Read your data" || again.Get("revision") == mine.Get("revision") {
		t.Errorf("the form has %v", again)
	}
	one.post(path, again).want(http.StatusSeeOther) // saving again is a decision
	one.get(path).wantText("Read your data")
}

func TestPublish_OnlyWhatWasOnTheScreen(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.signedIn(t, s.Acme, tenants.RoleEditor)
	ctx := s.Acme.Member(tenants.RoleEditor)
	if _, err := s.Resources.CreateTool(ctx, s.Acme.ResourceID, tenants.Tool{Name: "first"}); err != nil {
		t.Fatal(err)
	}
	seen := b.get(serverPath(s.Acme)).form(serverPath(s.Acme, "publish"))
	if _, err := s.Resources.CreateScope(ctx, s.Acme.ResourceID, tenants.Scope{Name: "sneaky", Risk: policy.RiskWrite,
		Title: "Sneaky"}); err != nil {
		t.Fatal(err)
	}
	b.post(serverPath(s.Acme, "publish"), seen).want(http.StatusConflict).wantText("changed")
	b.post(serverPath(s.Acme, "publish"), nil).want(http.StatusUnprocessableEntity)
	b.get(serverPath(s.Acme, "publish")).want(http.StatusNotFound)
	list, err := s.Resources.Published(s.Acme.Context())
	if err != nil || list[0].Document.Revision != 1 {
		t.Errorf("published %+v, %v", list, err)
	}
}

func TestRoles_ViewersChangeNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	editor, viewer := s.signedIn(t, s.Acme, tenants.RoleEditor), s.signedIn(t, s.Acme, tenants.RoleViewer)
	path := serverPath(s.Acme, "wording", permissionID(t, s, s.Acme, "data:read"))
	form := editor.get(path).form(path)
	form.Set("title", "See your data")
	viewer.get(path).want(http.StatusOK).wantText("You can look at this, not change it.")
	if viewer.get(path).has(`form[action="` + path + `"] button.btn--primary`) {
		t.Error("a viewer sees the save button")
	}
	viewer.post(path, form).want(http.StatusForbidden).wantText("Your role does not allow this")
	editor.post(path, form).want(http.StatusSeeOther)
	publish := editor.get(serverPath(s.Acme)).form(serverPath(s.Acme, "publish"))
	if viewer.get(serverPath(s.Acme)).has(`form[action="` + serverPath(s.Acme, "publish") + `"]`) {
		t.Error("a viewer sees the publish button")
	}
	viewer.post(serverPath(s.Acme, "publish"), publish).want(http.StatusForbidden)
	if title := publishedTitle(t, s, "data:read"); title != "Query your data" {
		t.Errorf("published %q", title)
	}
}

// What is the neighbour's and what does not exist answer with the same page, whatever the method.
func TestNeighbour_LooksLikeNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.signedIn(t, s.Acme, tenants.RoleOwner)
	theirs := permissionID(t, s, s.Neighbour, "data:read")
	mine := permissionID(t, s, s.Acme, "data:read")
	nothing := "res_" + strings.Repeat("A", 26)
	form := url.Values{"title": {"Mine"}, "revision": {"x"}, "draft": {"x"}}
	acme, foreign := "/environments/acme-dev/servers/", "/environments/neighbour-dev/servers"
	for _, c := range []struct{ method, theirs, nobodys string }{
		{"GET", foreign, "/environments/nobody-dev/servers"},
		{"GET", foreign + "/" + s.Neighbour.ResourceID, "/environments/nobody-dev/servers/" + nothing},
		{"GET", "/environments/neighbour-dev/brand.css", "/environments/nobody-dev/brand.css"},
		{"GET", acme + s.Neighbour.ResourceID, acme + nothing},
		{"GET", acme + s.Neighbour.ResourceID + "/tools", acme + nothing + "/tools"},
		{"GET", acme + s.Neighbour.ResourceID + "/permissions", acme + nothing + "/permissions"},
		{"GET", acme + s.Neighbour.ResourceID + "/wording", acme + nothing + "/wording"},
		{"GET", acme + s.Neighbour.ResourceID + "/wording/" + theirs, acme + nothing + "/wording/" + theirs},
		{"GET", acme + s.Acme.ResourceID + "/wording/" + theirs, acme + s.Acme.ResourceID + "/wording/scp_nothing"},
		{"POST", acme + s.Neighbour.ResourceID + "/wording/" + theirs, acme + nothing + "/wording/" + theirs},
		{"POST", acme + s.Acme.ResourceID + "/wording/" + theirs, acme + s.Acme.ResourceID + "/wording/scp_nothing"},
		{"POST", acme + s.Neighbour.ResourceID + "/wording/" + mine + "/preview",
			acme + nothing + "/wording/" + mine + "/preview"},
		{"POST", acme + s.Neighbour.ResourceID + "/publish", acme + nothing + "/publish"},
		{"POST", foreign + "/" + s.Neighbour.ResourceID + "/publish",
			"/environments/nobody-dev/servers/" + nothing + "/publish"},
	} {
		ask := func(path string) *page {
			if c.method == http.MethodPost {
				return b.post(path, form)
			}
			return b.get(path)
		}
		a, z := ask(c.theirs), ask(c.nobodys)
		if a.status != http.StatusNotFound || z.status != http.StatusNotFound || anonymous(a.text) != anonymous(z.text) {
			t.Errorf("%s %s answers %d, %s %d; the pages must be the same", c.method, c.theirs, a.status, c.nobodys, z.status)
		}
		if strings.Contains(a.text, "Neighbour") {
			t.Errorf("%s %s names the neighbour", c.method, c.theirs)
		}
	}
	// Tools of a permission that is not theirs to edit cannot be smuggled in.
	path := serverPath(s.Acme, "wording", mine)
	own := b.get(path).form(path)
	d, err := s.Resources.Get(s.Neighbour.Operator(), s.Neighbour.ResourceID)
	if err != nil {
		t.Fatal(err)
	}
	own.Set("tool."+d.Tools[0].ID, "Mine now")
	b.post(path, own).want(http.StatusNotFound)
}

// anonymous takes out what differs from request to request.
func anonymous(text string) string {
	text = regexp.MustCompile(`req_[A-Z2-7]{26}`).ReplaceAllString(text, "req")
	return regexp.MustCompile(`\d{1,2} \w{3} \d{4}, \d\d:\d\d UTC`).ReplaceAllString(text, "then")
}

func TestForms_Malformed(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.signedIn(t, s.Acme, tenants.RoleEditor)
	path := serverPath(s.Acme, "wording", permissionID(t, s, s.Acme, "data:read"))
	encoded := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	for name, c := range map[string]struct {
		body   string
		header http.Header
		status int
	}{
		"too large":     {"title=" + strings.Repeat("x", 70_000), encoded, http.StatusRequestEntityTooLarge},
		"broken escape": {"title=%zz", encoded, http.StatusUnprocessableEntity},
		"no revision":   {"title=Mine", encoded, http.StatusUnprocessableEntity},
		"JSON": {`{"title":"Mine"}`, http.Header{"Content-Type": {"application/json"}},
			http.StatusUnprocessableEntity},
		"nothing":         {"", nil, http.StatusUnprocessableEntity},
		"fields in query": {"", encoded, http.StatusUnprocessableEntity},
	} {
		target := path
		if name == "fields in query" {
			target += "?title=Mine&revision=x"
		}
		if p := b.do(http.MethodPost, target, c.body, c.header); p.status != c.status {
			t.Errorf("%s answers %d, want %d", name, p.status, c.status)
		}
	}
	b.do(http.MethodDelete, path, "", nil).want(http.StatusNotFound)
	b.get("/nowhere").want(http.StatusNotFound).wantText("There is nothing here")
}

func TestErrors_OwnFailuresSayNothingButACase(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.signedIn(t, s.Acme, tenants.RoleOwner)
	s.DB.Close()
	p := b.get("/environments/acme-dev/servers").want(http.StatusInternalServerError)
	words, rest, found := strings.Cut(p.text, p.header.Get("X-Request-Id")) // random, so it may spell anything
	if words += rest; !found || strings.Contains(words, "pool") || strings.Contains(words, "SQL") {
		t.Errorf("the page says %s", p.main())
	}
	if !strings.Contains(s.log.String(), "level=ERROR") {
		t.Error("nobody is told")
	}
}

func TestBrand_IsTheEnvironmentsOwn(t *testing.T) {
	t.Parallel()
	s := newSite(t, tenanttest.WithFile(func(f *apply.File) {
		f.Environments[0].Branding.Light = tenants.Colors{Brand: "#123456", Hover: "#102030", Soft: "#e0e8f0", On: "#ffffff"}
	}))
	b := s.signedIn(t, s.Acme, tenants.RoleViewer)
	p := b.get("/environments/acme-dev/brand.css").want(http.StatusOK)
	if !strings.HasPrefix(p.header.Get("Content-Type"), "text/css") || !strings.Contains(p.text, "#123456") {
		t.Errorf("brand: %s", p.text)
	}
	page := b.get(serverPath(s.Acme, "wording", permissionID(t, s, s.Acme, "data:read")))
	links := page.Find(`link[rel="stylesheet"]`).Map(func(_ int, l *goquery.Selection) string {
		return l.AttrOr("href",
			"")
	})
	if !slices.Contains(links, "/environments/acme-dev/brand.css") {
		t.Errorf("stylesheets %v", links)
	}
}
