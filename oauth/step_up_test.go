package oauth_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/ostiary/ostiary/app/apptest/host"
	"github.com/ostiary/ostiary/tenants/apply"
)

// sorted returns the scopes of an answer in alphabetical order.
func sorted(scope string) string {
	list := strings.Fields(scope)
	slices.Sort(list)
	return strings.Join(list, " ")
}

// smallBaseline leaves data:read as the only permission that is asked for when a host names none.
func smallBaseline(f *apply.File) {
	scopes := slices.Clone(f.Environments[0].Resources[0].Scopes)
	for i := range scopes {
		scopes[i].Baseline = scopes[i].Name == "data:read"
	}
	f.Environments[0].Resources[0].Scopes = scopes
}

// Without a scope a host asks for the baseline, the same that the MCP server's metadata lists; everything else is in the
// catalogue and comes by step-up.
func TestStepUp_BeginsWithTheBaseline(t *testing.T) {
	t.Parallel()
	s := host.New(t, host.WithFile(smallBaseline))
	b := host.NewBrowser(t)
	c := web(t, s)
	p := b.SignIn(t, c.Authorize().URL(), s.Acme.UserEmail)
	if boxes := p.Doc.Find(`[name="scope"]`); boxes.Length() != 1 || boxes.AttrOr("value", "") != "data:read" {
		t.Fatalf("asked about %d permissions", boxes.Length())
	}
	b.Decide(t, p, "approve", "data:read")
	// The host asks for the union of what it asked for and what it was challenged for (MCP 2026-07-28).
	more := c.Authorize("data:read", "signals:write", "segments:delete")
	p = b.Open(t, more.URL())
	form := p.Form(t, "scope")
	offered := p.Doc.Find(`[name="scope"]`)
	if offered.Length() != 2 || !slices.Equal(form.Values["scope"], []string{"signals:write"}) {
		t.Errorf("the page asks about %d permissions and ticks %v; want the two new ones, what destroys unticked",
			offered.Length(), form.Values["scope"])
	}
	if !strings.Contains(p.Text(".kept"), "Query your data") || !strings.Contains(p.Text(".kept"), "1 permission") {
		t.Errorf("what is allowed already is not said: %q", p.Text(".kept"))
	}
	p = b.Decide(t, p, "approve", "signals:write")
	if got := sorted(more.Redeem(t, p.Param("code")).Str("scope")); got != "data:read signals:write" {
		t.Errorf("granted %q", got)
	}
}

// Saying no to more takes nothing away.
func TestStepUp_RefusedKeepsWhatWas(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	b := host.NewBrowser(t)
	c := web(t, s)
	first := signIn(t, s, b, c.Authorize("data:read"), "data:read")
	p := b.Decide(t, b.Open(t, c.Authorize("data:read", "signals:write").URL()), "deny", "signals:write")
	if p.Param("error") != "access_denied" {
		t.Fatalf("%v", p.Location)
	}
	again := c.Authorize("data:read")
	if p = b.Open(t, again.URL()); p.Param("code") == "" {
		t.Errorf("asked again: %q", p.Text("h1"))
	} else if got := again.Redeem(t, p.Param("code")).Str("scope"); got != "data:read" {
		t.Errorf("granted %q", got)
	}
	if answer := c.Refresh(t, first.Str("refresh_token")); answer.Status != http.StatusOK || answer.Str("scope") != "data:read" {
		t.Errorf("the first connection: %s", answer.Raw)
	}
}

// One user connects one client on several computers: each connection lives and dies by itself, and none is narrowed or
// widened by another.
func TestStepUp_SeveralConnectionsLiveSideBySide(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	c := web(t, s)
	server := credential(t, s, s.Acme, s.Acme.ResourceID, "main").knows(t)
	laptop, desk := host.NewBrowser(t), host.NewBrowser(t)
	one := signIn(t, s, laptop, c.Authorize("data:read"), "data:read")
	two := signIn(t, s, desk, c.Authorize("data:read", "signals:write"), "signals:write")
	if got := sorted(two.Str("scope")); got != "data:read signals:write" {
		t.Fatalf("the second connection has %q: it must not lose what the first was allowed", got)
	}
	ones := c.Refresh(t, one.Str("refresh_token"))
	if got := ones.Str("scope"); got != "data:read" {
		t.Errorf("the first connection has %q: it was not asked about more", got)
	}
	c.Revoke(t, one.Str("refresh_token"))
	inactive(t, "the ended connection", server.ask(t, ones.Str("access_token")))
	if server.ask(t, two.Str("access_token")).Body["active"] != true {
		t.Error("ending one connection ended the other")
	}
	if answer := c.Refresh(t, two.Str("refresh_token")); answer.Status != http.StatusOK {
		t.Errorf("the other connection: %s", answer.Raw)
	}
	if answer := c.Refresh(t, one.Str("refresh_token")); answer.Str("error") != "invalid_grant" {
		t.Errorf("the ended connection: %d %s", answer.Status, answer.Raw)
	}
}

// Connecting again, with fewer scopes or none, drops nothing: permissions, identity and the wish to stay connected.
func TestStepUp_ConnectingAgainDropsNothing(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	c := web(t, s)
	b := host.NewBrowser(t)
	all := "data:read email offline_access openid signals:write"
	first := signIn(t, s, b, c.Authorize(strings.Fields(all)...), "data:read", "signals:write", "email")
	if sorted(first.Str("scope")) != all {
		t.Fatalf("granted %q", first.Str("scope"))
	}
	for _, asked := range [][]string{{"data:read"}, {"openid"}, {"signals:write", "email", "openid"}} {
		a := c.Authorize(asked...)
		p := b.Open(t, a.URL())
		if p.Param("code") == "" && slices.Contains(asked, "openid") && len(asked) == 1 {
			// openid alone means the baseline, of which more is new here.
			p = b.Decide(t, p, "approve")
			if p.Status != http.StatusUnprocessableEntity {
				t.Errorf("%v: nothing ticked gives %d", asked, p.Status)
			}
			continue
		}
		if got := sorted(a.Redeem(t, p.Param("code")).Str("scope")); got != all {
			t.Errorf("asking for %v gives %q", asked, got)
		}
	}
}

// A wider request than before never widens without the user: a client that skips the page gets nothing.
func TestStepUp_NeverWidensSilently(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	c := web(t, s)
	b := host.NewBrowser(t)
	first := signIn(t, s, b, c.Authorize("data:read"), "data:read")
	for _, asked := range []string{"signals:write", "email openid", "segments:delete"} {
		a := c.Authorize(strings.Fields(asked + " data:read")...)
		a.Params.Set("prompt", "none")
		if p := b.Open(t, a.URL()); p.Param("error") != "consent_required" {
			t.Errorf("%s: %v", asked, p.Location)
		}
		form := c.RefreshForm(first.Str("refresh_token"))
		form.Set("scope", "data:read "+asked)
		first = c.Token(t, form)
		if first.Str("scope") != "data:read" {
			t.Errorf("a refresh that asks for %s gives %q", asked, first.Str("scope"))
		}
	}
}
