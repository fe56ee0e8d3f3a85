package oauth_test

import (
	"net/http"
	"slices"
	"testing"

	"github.com/ostiary/ostiary/app/apptest/host"
	"github.com/ostiary/ostiary/tenants"
)

// unpublish takes permissions out of Acme's MCP server and publishes that, until the issuer has heard of it.
func unpublish(t *testing.T, s *host.Stack, names ...string) {
	t.Helper()
	ctx := s.Acme.Operator()
	draft, err := s.Resources.Get(ctx, s.Acme.ResourceID)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		at := slices.IndexFunc(draft.Scopes, func(s tenants.Scope) bool { return s.Name == name })
		if at < 0 {
			t.Fatalf("no permission %s", name)
		}
		if err := s.Resources.DeleteScope(ctx, s.Acme.ResourceID, draft.Scopes[at].ID); err != nil {
			t.Fatal(err)
		}
	}
	target := s.Acme.Issuer + "/resources/" + s.Acme.ResourceID + "/policy"
	before := host.Get(t, target).Header.Get("ETag")
	if _, err := s.Resources.Publish(ctx, s.Acme.ResourceID, ""); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the new policy", func() bool { return host.Get(t, target).Header.Get("ETag") != before })
}

// What a tenant takes out of its MCP server is in no token from then on, whatever was allowed before: neither by a refresh nor
// by a code that was on its way.
func TestTokens_FollowThePolicy(t *testing.T) {
	t.Parallel()
	s := host.New(t, host.WithNodes(1))
	c := s.Register(t, s.Acme, nil)
	b := host.NewBrowser(t)
	want := func(what string, answer host.Answer, scope string) string {
		t.Helper()
		if answer.Status != http.StatusOK || answer.Str("scope") != scope || claims(t, answer.Str("access_token"))["scope"] != scope {
			t.Errorf("%s gives %d %q, want %q", what, answer.Status, answer.Str("scope"), scope)
		}
		return answer.Str("refresh_token")
	}
	allow := func() (*host.Authorization, string) {
		t.Helper()
		a := c.Authorize("data:read", "profiles:read", "signals:write", "offline_access")
		p := b.Decide(t, b.SignIn(t, a.URL(), s.Acme.UserEmail), "approve", "data:read", "profiles:read")
		return a, p.Param("code")
	}
	neighbour := s.Register(t, s.Neighbour, nil)
	theirs := s.Connect(t, host.NewBrowser(t), s.Neighbour, neighbour.Authorize("data:read"), "data:read")
	a, first := allow()
	token := want("the code", a.Redeem(t, first), "data:read profiles:read offline_access")
	waiting, code := allow()
	last, lastCode := allow()

	unpublish(t, s, "profiles:read")
	form := c.RefreshForm(token)
	form.Set("scope", "data:read profiles:read")
	token = want("a refresh that names what is gone", c.Token(t, form), "data:read")
	token = want("a refresh", c.Refresh(t, token), "data:read offline_access")
	want("a code from before", waiting.Redeem(t, code), "data:read offline_access")

	unpublish(t, s, "data:read")
	refused(t, "a refresh with nothing left", c.Refresh(t, token), 400, "invalid_grant")
	form = c.RefreshForm(token)
	form.Set("scope", "offline_access")
	refused(t, "a refresh that asks for what needs no permission", c.Token(t, form), 400, "invalid_grant")
	refused(t, "a code with nothing left", last.Redeem(t, lastCode), 400, "invalid_grant")
	want("a neighbour's refresh", neighbour.Refresh(t, theirs.Refresh), "data:read")
}
