package oauth_test

import (
	"net/http"
	"testing"

	"github.com/ostiary/ostiary/app/apptest/host"
)

// A host that hears invalid_client throws away its registration, and one that hears invalid_grant its tokens. While Postgres
// is away it must hear neither, and afterwards everything must go on.
func TestOutage_NobodyLosesAnything(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	c, tokens := connect(t, s)
	registered := s.Register(t, s.Acme, map[string]any{"client_name": "Other"})
	pending := c.Authorize()
	waiting := code(t, s, pending)
	browser := host.NewBrowser(t)
	page := browser.SignIn(t, c.Authorize("data:read").URL(), s.Acme.UserEmail)

	s.Cable.Cut()
	for name, answer := range map[string]host.Answer{
		"refresh":    c.Refresh(t, tokens.Refresh),
		"code":       pending.Redeem(t, waiting),
		"revocation": c.Revoke(t, tokens.Refresh),
	} {
		if answer.Status != http.StatusServiceUnavailable || answer.Str("error") != "temporarily_unavailable" || answer.Header.Get("Retry-After") == "" {
			t.Errorf("%s: %d %s", name, answer.Status, answer.Raw)
		}
	}
	if p := browser.Decide(t, page, "approve", "data:read"); p.Status != http.StatusServiceUnavailable || p.Location != nil {
		t.Errorf("consent: %d %v", p.Status, p.Location)
	}
	if p := browser.Open(t, registered.Authorize().URL()); p.Status != http.StatusServiceUnavailable || p.Location != nil {
		t.Errorf("authorize: %d %v", p.Status, p.Location)
	}
	for _, path := range []string{"/.well-known/openid-configuration", "/.well-known/jwks.json"} {
		if answer := host.Get(t, s.Acme.Issuer+path); answer.Status != http.StatusOK {
			t.Errorf("%s: %d; discovery needs no database", path, answer.Status)
		}
	}

	s.Cable.Mend()
	eventually(t, "the refresh", func() bool { return c.Refresh(t, tokens.Refresh).Status == http.StatusOK })
	if answer := pending.Redeem(t, waiting); answer.Status != http.StatusOK {
		t.Errorf("the code was lost: %s", answer.Raw)
	}
	if p := browser.Decide(t, page, "approve", "data:read"); p.Param("code") == "" {
		t.Errorf("the consent page was lost: %d %v", p.Status, p.Location)
	}
	s.Connect(t, host.NewBrowser(t), s.Acme, registered.Authorize("data:read"), "data:read")
}
