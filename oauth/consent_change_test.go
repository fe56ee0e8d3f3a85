package oauth_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/ostiary/ostiary/app/apptest/host"
	"github.com/ostiary/ostiary/tenants"
)

// Two tabs ask for different things before either is answered: the second decision goes on from the first.
func TestConsent_DecidedInAnotherTabMeanwhile(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	c := web(t, s)
	b := host.NewBrowser(t)
	first, second := c.Authorize("data:read"), c.Authorize("signals:write")
	tab := b.SignIn(t, first.URL(), s.Acme.UserEmail)
	other := b.Open(t, second.URL())
	if p := b.Decide(t, tab, "approve", "data:read"); p.Param("code") == "" {
		t.Fatalf("%d %q", p.Status, p.Text("h1"))
	}
	p := b.Decide(t, other, "approve", "signals:write")
	if got := second.Redeem(t, p.Param("code")).Str("scope"); got != "data:read signals:write" {
		t.Errorf("the second tab gives %q; it must not take away what the first allowed", got)
	}
}

// Whoever may not sign in any more decides nothing, even on a page that was shown before.
func TestConsent_OfSomebodyDisabledMeanwhile(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	a := s.Register(t, s.Acme, nil).Authorize("data:read")
	b := host.NewBrowser(t)
	page := b.SignIn(t, a.URL(), s.Acme.UserEmail)
	if err := s.Users.Disable(s.Acme.Member(tenants.RoleAdmin), s.Acme.UserID, true); err != nil {
		t.Fatal(err)
	}
	p := b.Decide(t, page, "approve", "data:read")
	if p.Status != http.StatusOK || p.Param("code") != "" || !strings.Contains(p.Doc.Text(), "Password") {
		t.Errorf("%d %v %q, want the sign-in page", p.Status, p.Location, p.Text("h1"))
	}
}
