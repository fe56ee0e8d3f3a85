package oauth_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"gorm.io/gorm"

	"github.com/ostiary/ostiary/app/apptest/host"
	"github.com/ostiary/ostiary/oauth/attemptlog"
	"github.com/ostiary/ostiary/oauth/ratelimit"
	"github.com/ostiary/ostiary/tenants/tenanttest"
)

var caseOnPage = regexp.MustCompile(`OST-[A-Z2-7]{5}-[A-Z2-7]{5}`)

// findAttempt returns the steps of a case.
func findAttempt(t *testing.T, s *host.Stack, caseID string) []attemptlog.Step {
	t.Helper()
	s.FlushAttempts(t)
	steps, err := s.App.AttemptReader().Find(s.Acme.Operator(), caseID)
	if err != nil {
		t.Fatalf("case %q: %v", caseID, err)
	}
	return steps
}

// latestAttempt returns the attempt that began last.
func latestAttempt(t *testing.T, s *host.Stack) attemptlog.Attempt {
	t.Helper()
	s.FlushAttempts(t)
	list, _, err := s.App.AttemptReader().List(s.Acme.Operator(), attemptlog.AttemptFilter{})
	if err != nil || len(list) == 0 {
		t.Fatalf("no attempt: %v", err)
	}
	return list[0]
}

func story(steps []attemptlog.Step) string {
	var out []string
	for _, s := range steps {
		word := string(s.Kind) + ":" + string(s.Outcome)
		if s.Reason != "" {
			word += ":" + s.Reason
		}
		out = append(out, word)
	}
	return strings.Join(out, " ")
}

func TestAttempt_WholeHandshakeUnderOneCase(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	host.Get(t, s.Acme.Issuer+"/.well-known/openid-configuration")
	c := s.Register(t, s.Acme, nil)
	s.Connect(t, host.NewBrowser(t), s.Acme, c.Authorize(), "data:read")
	steps := findAttempt(t, s, latestAttempt(t, s).CaseID)
	want := "metadata:ok register:ok authorize:ok login:waiting login:ok consent:waiting consent:ok code:ok token:ok"
	if got := story(steps); got != want {
		t.Fatalf("the handshake reads\n%s\nwant\n%s", got, want)
	}
	last := steps[len(steps)-1]
	if last.ClientID != c.ID || last.ClientName != "Test host" || last.UserID != s.Acme.UserID || last.Host != "127.0.0.1" {
		t.Errorf("token step %+v", last)
	}
	if !strings.Contains(steps[6].Detail, "Allowed 1 of ") {
		t.Errorf("consent says %q", steps[6].Detail)
	}
}

func TestAttempt_FailuresSayWhatDiffers(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	for name, try := range map[string]struct {
		edit            func(url.Values)
		reason          string
		asked, expected string
	}{
		"verifier":    {func(v url.Values) { v.Set("code_verifier", strings.Repeat("x", 43)) }, "pkce_differs", "", ""},
		"no verifier": {func(v url.Values) { v.Del("code_verifier") }, "pkce_missing", "", ""},
		"redirect": {func(v url.Values) { v.Set("redirect_uri", host.Redirect+"/?secret=x") }, "redirect_uri_differs",
			host.Redirect + "/", host.Redirect},
		"resource": {func(v url.Values) { v.Set("resource", "https://other.example/mcp?key=1") }, "resource_differs",
			"https://other.example/mcp", tenanttest.Identifier},
	} {
		t.Run(name, func(t *testing.T) {
			a := s.Register(t, s.Acme, map[string]any{"client_name": name}).Authorize()
			b := host.NewBrowser(t)
			code := b.Decide(t, b.SignIn(t, a.URL(), s.Acme.UserEmail), "approve", "data:read").Param("code")
			form := a.TokenForm(code)
			try.edit(form)
			if answer := a.Client.Token(t, form); answer.Status != http.StatusBadRequest {
				t.Fatalf("token: %d %s", answer.Status, answer.Raw)
			}
			s.Clock.Advance(1)
			s.FlushAttempts(t)
			list, _, err := s.App.AttemptReader().List(s.Acme.Operator(), attemptlog.AttemptFilter{ClientID: a.Client.ID})
			if err != nil || len(list) != 1 {
				t.Fatalf("%d attempts, %v", len(list), err)
			}
			last := list[0].Last
			if last.Kind != attemptlog.KindToken || last.Reason != try.reason || last.Asked != try.asked || last.Expected != try.expected {
				t.Errorf("last step %+v", last)
			}
			if steps := findAttempt(t, s, list[0].CaseID); !strings.HasPrefix(story(steps), "register:ok authorize:ok login:waiting") {
				t.Errorf("the handshake reads %s", story(steps))
			}
		})
	}
}

func TestAttempt_ErrorPagesShowTheCaseTheyAreLoggedUnder(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	c := s.Register(t, s.Acme, nil)
	a := c.Authorize()
	a.Params.Set("redirect_uri", "https://evil.example/take?state=s")
	p := host.NewBrowser(t).Open(t, a.URL())
	steps := findAttempt(t, s, caseOnPage.FindString(p.Doc.Text()))
	last := steps[len(steps)-1]
	if story(steps) != "register:ok authorize:refused:redirect_uri_unknown" || last.Asked != "https://evil.example/take" ||
		last.Expected != host.Redirect || last.ClientName != "Test host" {
		t.Errorf("%s: %+v", story(steps), last)
	}

	// The interaction's case replaces the page's: another browser and a late user find the handshake they belong to.
	a = c.Authorize()
	first := host.NewBrowser(t)
	form := first.Open(t, a.URL()).Form(t, "password")
	id := latestAttempt(t, s).CaseID
	p = host.NewBrowser(t).Send(t, form.Action, form.Values, nil)
	if got := caseOnPage.FindString(p.Doc.Text()); got != id {
		t.Errorf("the other browser shows %s, the attempt is %s", got, id)
	}
	form.Values.Set("email", s.Acme.UserEmail)
	form.Values.Set("password", "wrong")
	first.Send(t, form.Action, form.Values, nil)
	s.Clock.Advance(11 * 60 * 1e9)
	p = first.Send(t, form.Action, form.Values, nil)
	if got := caseOnPage.FindString(p.Doc.Text()); got != id {
		t.Errorf("the late page shows %s, the attempt is %s", got, id)
	}
	want := "register:ok authorize:ok login:waiting login:refused:interaction_other_browser login:refused:password_wrong " +
		"login:refused:interaction_expired"
	if got := story(findAttempt(t, s, id)); got != want {
		t.Errorf("the handshake reads\n%s\nwant\n%s", got, want)
	}
}

func TestAttempt_RefusalsWithoutACaseAreListed(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	host.PostJSON(t, s.Acme.Issuer+"/register", map[string]any{"client_name": "Bad", "redirect_uris": []string{"javascript:alert(1)"}})
	if a := latestAttempt(t, s); a.Last.Kind != attemptlog.KindRegister || a.Last.Reason != "invalid_redirect_uri" || a.ClientName != "Bad" {
		t.Errorf("registration: %+v", a)
	}
	s.Clock.Advance(1e9)
	var long []string
	for n := range 10 { // within every bound, but too much for a client_id
		long = append(long, "https://h.example/"+strconv.Itoa(n)+"/"+strings.Repeat("x", 200))
	}
	host.PostJSON(t, s.Acme.Issuer+"/register", map[string]any{"client_name": "Large", "redirect_uris": long})
	if a := latestAttempt(t, s); a.Last.Kind != attemptlog.KindRegister || a.Last.Reason != "invalid_client_metadata" || a.ClientName != "Large" {
		t.Errorf("a registration that is too large: %+v", a)
	}
	s.Clock.Advance(1e9)
	c := s.Register(t, s.Acme, nil)
	c.Refresh(t, "ort_not-a-token")
	if a := latestAttempt(t, s); a.Last.Kind != attemptlog.KindRefresh || a.Last.Reason != "refresh_refused" || a.ClientName != "Test host" {
		t.Errorf("refresh: %+v", a)
	}
	s.Clock.Advance(1e9)
	a := c.Authorize()
	a.Params.Set("resource", "https://other.example/mcp")
	host.NewBrowser(t).Open(t, a.URL())
	if a := latestAttempt(t, s); a.Last.Reason != "invalid_target" || a.Last.Asked != "https://other.example/mcp" ||
		a.Last.Expected != tenanttest.Identifier {
		t.Errorf("authorize: %+v", a)
	}
}

func TestAttempt_RegistrationsOverTheirBoundAreListed(t *testing.T) {
	t.Parallel()
	s := host.New(t, host.WithRateLimit(10), host.WithNodes(1)) // one registration a minute
	s.Clock.BeginWindow(ratelimit.Window)
	metadata := map[string]any{"client_name": "Eager", "redirect_uris": []string{host.Redirect}}
	if first := host.PostJSON(t, s.Acme.Issuer+"/register", metadata); first.Status != http.StatusCreated {
		t.Fatalf("the first: %d %s", first.Status, first.Raw)
	}
	s.Clock.Advance(1e9)
	refused(t, "the second", host.PostJSON(t, s.Acme.Issuer+"/register", metadata), http.StatusTooManyRequests, "temporarily_unavailable")
	a := latestAttempt(t, s)
	if a.Last.Kind != attemptlog.KindRegister || a.Last.Reason != "rate_limited" || a.Last.Outcome != attemptlog.OutcomeRefused {
		t.Errorf("%+v", a)
	}
	if list, _, err := s.App.AttemptReader().List(s.Neighbour.Operator(), attemptlog.AttemptFilter{}); err != nil || len(list) != 0 {
		t.Errorf("the neighbour sees %d attempts, %v", len(list), err)
	}
}

// lockedBuffer is a log that several goroutines write.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func TestAttempt_KeepsNothingThatCouldBeUsed(t *testing.T) {
	t.Parallel()
	log := &lockedBuffer{}
	s := host.New(t, host.WithLogger(slog.New(slog.NewTextHandler(log, nil))))
	c := s.Register(t, s.Acme, map[string]any{"token_endpoint_auth_method": "client_secret_post"})
	a := c.Authorize()
	a.Params.Set("nonce", "nonce-that-nobody-else-may-see")
	b := host.NewBrowser(t)
	p := b.SignIn(t, a.URL(), s.Acme.UserEmail)
	interaction := p.Form(t, "scope").Values.Get("interaction")
	code := b.Decide(t, p, "approve", "data:read").Param("code")
	wrong := a.TokenForm(code)
	wrong.Set("code_verifier", strings.Repeat("w", 50))
	c.Token(t, wrong)
	tokens := a.Redeem(t, code)
	a.Redeem(t, code)
	c.Refresh(t, tokens.Str("refresh_token"))
	c.Revoke(t, tokens.Str("access_token"))
	// Every parameter where another one belongs: what refusals repeat of a request must not repeat these.
	for _, name := range []string{"resource", "redirect_uri", "client_id", "scope", "prompt", "response_type"} {
		again := c.Authorize()
		again.Params.Set(name, "https://a.example/?token="+tokens.Str("access_token")+"&v="+a.Verifier)
		host.NewBrowser(t).Open(t, again.URL())
	}
	s.FlushAttempts(t)
	var rows []string
	err := s.DB.InTenant(s.Acme.Operator(), func(_ context.Context, tx *gorm.DB) error {
		return tx.Raw("select to_jsonb(attempt_steps)::text from attempt_steps").Scan(&rows).Error
	})
	if err != nil || len(rows) < 15 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	kept := strings.Join(rows, "\n")
	for name, value := range map[string]string{
		"code": code, "verifier": a.Verifier, "state": a.State, "access token": tokens.Str("access_token"),
		"refresh token": tokens.Str("refresh_token"), "client secret": c.Secret, "password": tenanttest.Password,
		"challenge": a.Params.Get("code_challenge"), "nonce": a.Params.Get("nonce"), "interaction": interaction,
		"address": `"127.0.0.1"}`, "query": "token=",
	} {
		if value == "" {
			t.Errorf("the test has no %s", name)
		}
		if strings.Contains(kept, value) {
			t.Errorf("the log keeps the %s", name)
		}
	}
	if strings.Contains(kept, `"address": "127.0.0.1"`) || strings.Contains(kept, `"address": "::1"`) {
		t.Error("the log keeps network addresses")
	}
}
