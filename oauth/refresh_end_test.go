package oauth_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/ostiary/ostiary/app/apptest/host"
	"github.com/ostiary/ostiary/templates/flow"
	"github.com/ostiary/ostiary/tenants"
)

const day = 24 * time.Hour

// connectFor connects a client that can be checked, for as long as the user chooses on the page, and returns the refresh token.
func connectFor(t *testing.T, s *host.Stack, c *host.Client, duration string) string {
	t.Helper()
	a, b := c.Authorize("data:read"), host.NewBrowser(t)
	form := b.SignIn(t, a.URL(), s.Acme.UserEmail).Form(t, flow.FieldScope)
	form.Values.Set(flow.FieldDuration, duration)
	form.Values.Set(flow.FieldDecision, flow.DecisionAllow)
	answer := a.Redeem(t, b.Send(t, form.Action, form.Values, nil).Param("code"))
	if answer.Status != http.StatusOK {
		t.Fatal(answer.Raw)
	}
	return answer.Str("refresh_token")
}

// refreshAfter refreshes after a while and returns the answer and the newest token.
func refreshAfter(t *testing.T, s *host.Stack, c *host.Client, token string, wait time.Duration) (host.Answer, string) {
	t.Helper()
	s.Clock.Advance(wait)
	answer := c.Refresh(t, token)
	if answer.Status != http.StatusOK {
		t.Fatalf("a refresh %s after the one before: %d %s", wait, answer.Status, answer.Raw)
	}
	return answer, answer.Str("refresh_token")
}

// What nobody uses ends, though the user allowed it until they revoke it; each use gives it the whole time anew.
func TestRefresh_EndsWhenNobodyUsesIt(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	c := web(t, s)
	token := connectFor(t, s, c, flow.DurationRevoke)
	idle := tenants.DefaultSettings().RefreshIdle
	for range 3 {
		_, token = refreshAfter(t, s, c, token, idle-time.Hour)
	}
	s.Clock.Advance(idle + time.Minute)
	refused(t, "a refresh token nobody used", c.Refresh(t, token), 400, "invalid_grant")
	other := s.Register(t, s.Acme, map[string]any{"client_name": "Other", "redirect_uris": []string{host.WebRedirect}})
	unused := connectFor(t, s, other, flow.DurationRevoke)
	s.Clock.Advance(idle + time.Minute)
	refused(t, "one that was never used at all", other.Refresh(t, unused), 400, "invalid_grant")
	wantRevocations(t, s) // it ran out; nobody revoked it
}

// However often it is used, a connection ends where the user or the environment said; no access token outlasts it.
func TestRefresh_EndsHoweverOftenItIsUsed(t *testing.T) {
	t.Parallel()
	for duration, life := range map[string]time.Duration{
		flow.DurationRevoke: tenants.DefaultSettings().RefreshAbsolute, flow.DurationMonth: 30 * day, flow.DurationHour: time.Hour,
	} {
		t.Run(duration, func(t *testing.T) {
			t.Parallel()
			s := host.New(t)
			c := web(t, s)
			token := connectFor(t, s, c, duration)
			rest := 10 * time.Minute
			step := min(20*day, life/4)
			passed := time.Duration(0)
			for ; passed+step < life-rest; passed += step {
				_, token = refreshAfter(t, s, c, token, step)
			}
			answer, token := refreshAfter(t, s, c, token, life-rest-passed)
			if seconds, _ := answer.Body["expires_in"].(float64); seconds <= 0 || seconds > rest.Seconds() {
				t.Errorf("%v seconds of a token whose grant ends in %s", answer.Body["expires_in"], rest)
			}
			s.Clock.Advance(rest + time.Second)
			refused(t, "after the end", c.Refresh(t, token), 400, "invalid_grant")
			wantRevocations(t, s)
		})
	}
}
