package oauth_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ostiary/ostiary/app/apptest/host"
	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/tenants"
	"github.com/ostiary/ostiary/tenants/attempts"
)

// web registers a client on a host that can be checked, for which consent is remembered.
func web(t *testing.T, s *host.Stack) *host.Client {
	t.Helper()
	return s.Register(t, s.Acme, map[string]any{"client_name": "Web host", "redirect_uris": []string{host.WebRedirect}})
}

func TestConsent_SaysWhoWhatWhereAndForWhom(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	b := host.NewBrowser(t)
	p := b.SignIn(t, s.Register(t, s.Acme, nil).Authorize().URL(), s.Acme.UserEmail)
	text := p.Text("body")
	for _, want := range []string{
		"127.0.0.1", "Not verified", "Test host", "Acme Data", "Northwind Logistics", s.Acme.UserEmail,
		"Query your data", "run_query", "Delete segments", "this computer",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	ticked := p.Form(t, "scope").Values["scope"]
	if !slices.Equal(ticked, []string{"data:read", "profiles:read", "signals:write"}) {
		t.Errorf("ticked at load: %v; what destroys never is", ticked)
	}
	for name, want := range map[string]string{
		"X-Frame-Options": "DENY", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff",
	} {
		if got := p.Header.Get(name); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	csp := p.Header.Get("Content-Security-Policy")
	if !strings.Contains(csp, "frame-ancestors 'none'") || strings.Contains(csp, "form-action") {
		t.Errorf("CSP %q: framing must be refused, and form-action would break the way back", csp)
	}
	if p.Header.Get("Cross-Origin-Opener-Policy") == "same-origin" {
		t.Error("popup hosts would lose their window")
	}
}

func TestConsent_GrantsWhatIsTickedOnly(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	a := s.Register(t, s.Acme, nil).Authorize("data:read", "signals:write")
	b := host.NewBrowser(t)
	p := b.SignIn(t, a.URL(), s.Acme.UserEmail)
	// A form that ticks more than was asked gets no more than was asked.
	p = b.Decide(t, p, "approve", "data:read", "segments:delete", "nothing:here")
	answer := a.Redeem(t, p.Param("code"))
	if answer.Str("scope") != "data:read" {
		t.Errorf("granted %q", answer.Str("scope"))
	}
	access := claims(t, answer.Str("access_token"))
	if access["iss"] != s.Acme.Issuer || access["aud"] != a.Client.Resource || access["sub"] != s.Acme.UserID ||
		access["client_id"] != a.Client.ID || access["org_id"] != s.Acme.OrganizationID || access["grant_id"] == nil ||
		access["exp"].(float64)-access["iat"].(float64) != 3600 {
		t.Errorf("claims %v", access)
	}
}

func TestAuthorize_StateIsTheClientsOwn(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	for name, change := range map[string]func(url.Values){
		"short":  func(p url.Values) { p.Set("state", "x") },
		"absent": func(p url.Values) { p.Del("state") },
		"empty":  func(p url.Values) { p.Set("state", "") },
		"odd":    func(p url.Values) { p.Set("state", "a b&c=d#%e\u00e9") },
	} {
		a := s.Register(t, s.Acme, nil).Authorize("data:read")
		change(a.Params)
		b := host.NewBrowser(t)
		p := b.Decide(t, b.SignIn(t, a.URL(), s.Acme.UserEmail), "approve", "data:read")
		if p.Param("code") == "" || p.Param("state") != a.Params.Get("state") || p.Location.Query().Has("state") != a.Params.Has("state") {
			t.Errorf("%s: %v", name, p.Location)
		}
	}
}

func TestConsent_Presets(t *testing.T) {
	t.Parallel()
	for preset, want := range map[string]string{
		"all":  "data:read profiles:read signals:write",
		"read": "data:read profiles:read",
	} {
		s := host.New(t)
		a := s.Register(t, s.Acme, nil).Authorize()
		b := host.NewBrowser(t)
		f := b.SignIn(t, a.URL(), s.Acme.UserEmail).Form(t, "scope")
		f.Values.Set("preset", preset)
		f.Values.Set("decision", "approve")
		f.Values["scope"] = nil
		p := b.Send(t, f.Action, f.Values, nil)
		if got := a.Redeem(t, p.Param("code")).Str("scope"); got != want {
			t.Errorf("%s grants %q, want %q", preset, got, want)
		}
	}
}

func TestConsent_DenyAnswersAccessDenied(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	a := s.Register(t, s.Acme, nil).Authorize()
	b := host.NewBrowser(t)
	p := b.Decide(t, b.SignIn(t, a.URL(), s.Acme.UserEmail), "deny", "data:read")
	if p.Status != http.StatusSeeOther || p.Param("error") != "access_denied" || p.Param("state") != a.State ||
		p.Param("iss") != s.Acme.Issuer || p.Param("code") != "" {
		t.Errorf("%d %v", p.Status, p.Location)
	}
}

func TestConsent_NothingTickedIsAskedAgain(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	b := host.NewBrowser(t)
	p := b.Decide(t, b.SignIn(t, s.Register(t, s.Acme, nil).Authorize().URL(), s.Acme.UserEmail), "approve")
	if p.Status != http.StatusUnprocessableEntity || !strings.Contains(p.Text("body"), "Nothing is ticked") {
		t.Errorf("%d %q", p.Status, p.Text("h1"))
	}
}

func TestConsent_RememberedForHostsThatCanBeChecked(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	c := web(t, s)
	b := host.NewBrowser(t)
	first := c.Authorize("data:read", "profiles:read")
	s.Connect(t, b, s.Acme, first, "data:read", "profiles:read")
	again := c.Authorize("data:read")
	p := b.Open(t, again.URL())
	if p.Param("code") == "" {
		t.Fatalf("asked again for what is allowed: %d %q", p.Status, p.Text("h1"))
	}
	if got := again.Redeem(t, p.Param("code")).Str("scope"); got != "data:read profiles:read" {
		t.Errorf("connecting again gives %q; it must not take away what was allowed", got)
	}
	more := c.Authorize("data:read", "signals:write")
	p = b.Open(t, more.URL())
	boxes := p.Doc.Find(`[name="scope"]`)
	if boxes.Length() != 1 || boxes.AttrOr("value", "") != "signals:write" {
		t.Fatalf("asked about %d permissions, want the new one only", boxes.Length())
	}
	p = b.Decide(t, p, "approve", "signals:write")
	if got := more.Redeem(t, p.Param("code")).Str("scope"); got != "data:read profiles:read signals:write" {
		t.Errorf("after the step up: %q", got)
	}
	forced := c.Authorize("data:read")
	forced.Params.Set("prompt", "consent")
	if p = b.Open(t, forced.URL()); p.Location != nil {
		t.Error("prompt=consent was not honoured")
	}
	s.Clock.Advance(31 * 24 * time.Hour)
	if p = b.SignIn(t, c.Authorize("data:read").URL(), s.Acme.UserEmail); p.Location != nil {
		t.Error("a consent for 30 days lasted longer")
	}
}

func TestAuthorize_LoginAndConsentAreBothAsked(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	c := web(t, s)
	for _, prompt := range []string{"login consent", "consent login", "select_account consent"} {
		b := host.NewBrowser(t)
		s.Connect(t, b, s.Acme, c.Authorize("data:read"), "data:read")
		again := c.Authorize("data:read")
		again.Params.Set("prompt", prompt)
		if p := b.Open(t, again.URL()); p.Location != nil || p.Doc.Find(`[name="password"]`).Length() == 0 {
			t.Fatalf("prompt=%s asks nobody to sign in: %d %v", prompt, p.Status, p.Location)
		}
		p := b.SignIn(t, again.URL(), s.Acme.UserEmail)
		if p.Location != nil || p.Doc.Find(`[name="decision"]`).Length() == 0 {
			t.Fatalf("prompt=%s asks for no consent after the sign-in: %d %v", prompt, p.Status, p.Location)
		}
		if p = b.Decide(t, p, "approve", "data:read"); p.Param("code") == "" {
			t.Errorf("prompt=%s: both were answered, and there is no code: %d %v", prompt, p.Status, p.Location)
		}
	}
	for _, prompt := range []string{"none login", "consent none", "none create"} {
		a := c.Authorize("data:read")
		a.Params.Set("prompt", prompt)
		if p := host.NewBrowser(t).Open(t, a.URL()); p.Param("error") != "invalid_request" {
			t.Errorf("prompt=%s: %d %v", prompt, p.Status, p.Location)
		}
	}
}

func TestConsent_LoopbackClientsAreAlwaysAsked(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	c := s.Register(t, s.Acme, nil)
	b := host.NewBrowser(t)
	s.Connect(t, b, s.Acme, c.Authorize("data:read"), "data:read")
	if p := b.Open(t, c.Authorize("data:read").URL()); p.Location != nil {
		t.Errorf("a client anything could pretend to be got a code without a question: %v", p.Location)
	}
}

func TestConsent_CannotBeForged(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	a := s.Register(t, s.Acme, nil).Authorize()
	victim := host.NewBrowser(t)
	page := victim.SignIn(t, a.URL(), s.Acme.UserEmail)
	f := page.Form(t, "scope")
	f.Values.Set("decision", "approve")
	noCode := func(name string, p host.Page) {
		t.Helper()
		if p.Location != nil && p.Param("code") != "" {
			t.Errorf("%s: got a code", name)
		}
		if p.Status < 400 {
			t.Errorf("%s: status %d", name, p.Status)
		}
	}
	cross := http.Header{"Sec-Fetch-Site": {"cross-site"}, "Origin": {"https://evil.example"}}
	noCode("posted from another site", victim.Send(t, f.Action, f.Values, cross))
	noCode("posted from another site by an old browser", victim.Send(t, f.Action, f.Values, http.Header{"Sec-Fetch-Site": nil, "Origin": {"https://evil.example"}}))

	attacker := host.NewBrowser(t)
	theirs := attacker.SignIn(t, a.URL(), s.Acme.UserEmail).Form(t, "scope")
	theirs.Values.Set("decision", "approve")
	noCode("an interaction of another browser", victim.Send(t, f.Action, theirs.Values, nil))
	noCode("without cookies", host.NewBrowser(t).Send(t, f.Action, f.Values, nil))

	neighbour := host.NewBrowser(t)
	n := s.Register(t, s.Neighbour, nil).Authorize()
	foreign := neighbour.SignIn(t, n.URL(), s.Neighbour.UserEmail).Form(t, "scope")
	foreign.Values.Set("decision", "approve")
	noCode("a consent form of another tenant", victim.Send(t, f.Action, foreign.Values, nil))

	broken := url.Values{"interaction": {f.Values.Get("interaction")[:40] + "AAAA"}, "decision": {"approve"}, "scope": {"data:read"}}
	noCode("an altered interaction", victim.Send(t, f.Action, broken, nil))

	s.Clock.Advance(11 * time.Minute)
	noCode("an interaction that waited too long", victim.Send(t, f.Action, f.Values, nil))
}

// cookiesOf returns the cookies a browser sends to an issuer.
func cookiesOf(t *testing.T, b *host.Browser, issuer string) ([]*http.Cookie, *url.URL) {
	t.Helper()
	u, err := url.Parse(issuer + "/authorize")
	if err != nil {
		t.Fatal(err)
	}
	return b.Client.Jar.Cookies(u), u
}

// A session is its issuer's: whoever carries it elsewhere is asked to sign in, and so is who made it up.
func TestSession_OfAnotherTenantSignsNobodyIn(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	mine, theirs := web(t, s), s.Register(t, s.Neighbour, nil)
	there := host.NewBrowser(t)
	there.SignIn(t, theirs.Authorize().URL(), s.Neighbour.UserEmail)
	stolen, _ := cookiesOf(t, there, s.Neighbour.Issuer)
	if len(stolen) < 2 { // session and browser
		t.Fatalf("cookies %v", stolen)
	}
	here := host.NewBrowser(t)
	own, at := cookiesOf(t, here, s.Acme.Issuer)
	if len(own) != 0 {
		t.Fatalf("a new browser has %v", own)
	}
	for _, value := range []func(string) string{
		func(v string) string { return v },
		func(string) string { return strings.Repeat("A", 52) },
		func(string) string { return "" },
	} {
		var cookies []*http.Cookie
		for _, c := range stolen {
			cookies = append(cookies, &http.Cookie{Name: c.Name, Value: value(c.Value), Path: "/", Secure: at.Scheme == "https"})
		}
		here.Client.Jar.SetCookies(at, cookies)
		if p := here.Open(t, mine.Authorize("data:read").URL()); p.Location != nil || p.Doc.Find(`[name="password"]`).Length() != 1 {
			t.Errorf("signed in by a session of another tenant: %d %v", p.Status, p.Location)
		}
	}
	if p := there.Open(t, theirs.Authorize().URL()); p.Doc.Find(`[name="password"]`).Length() != 0 {
		t.Error("where it was made it no longer works")
	}
}

// The decision is about the user and the wording that the page showed.
func TestConsent_IsAboutWhatWasShown(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	a := s.Register(t, s.Acme, nil).Authorize()
	b := host.NewBrowser(t)
	f := b.SignIn(t, a.URL(), s.Acme.UserEmail).Form(t, "scope")
	f.Values.Set("decision", "approve")
	// The same browser signs in as somebody else in another tab.
	exec(t, s, `insert into users (tenant_id, environment_id, id, email, name, password_hash, created_at)
		select tenant_id, environment_id, 'usr_AAAAAAAAAAAAAAAAAAAAAAAAAA', 'other@northwind.example', 'Other', password_hash, created_at from users`)
	sw := b.Open(t, a.URL()).Form(t, "scope")
	login := b.Send(t, strings.Replace(sw.Action, "/consent", "/switch", 1), url.Values{"interaction": sw.Values["interaction"]}, nil).Form(t, "password")
	login.Values.Set("email", "other@northwind.example")
	login.Values.Set("password", "correct horse battery")
	b.Send(t, login.Action, login.Values, nil)
	p := b.Send(t, f.Action, f.Values, nil)
	if p.Location != nil || !strings.Contains(p.Text("body"), "signed in as somebody else") {
		t.Errorf("a decision was taken for another user: %d %v", p.Status, p.Location)
	}
}

func TestConsent_KeepsTheReceipt(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	c := s.Register(t, s.Acme, nil)
	s.Connect(t, host.NewBrowser(t), s.Acme, c.Authorize("data:read", "segments:delete"), "data:read")
	var shown, scopes string
	var events int
	err := s.DB.Pipe(s.Acme.Context(), func(b *pgx.Batch) {
		b.Queue(`select receipt::text, array_to_string(scopes, ' ') from consents`).QueryRow(func(row pgx.Row) error { return row.Scan(&shown, &scopes) })
		b.Queue(`select count(*) from audit_events where action = 'consent.given'`).QueryRow(func(row pgx.Row) error { return row.Scan(&events) })
	})
	if err != nil || scopes != "data:read" || events != 1 || !strings.Contains(shown, "Remove saved segments for everyone") {
		t.Errorf("receipt %s, scopes %q, %d events, %v", shown, scopes, events, err)
	}
}

// What the statements record that begin a session and take a decision: each once, by the user, and nothing where nothing happened.
func TestAudit_OfSignInAndConsent(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	count := func(action string) (n int) {
		query(t, s, `select count(*) from audit_events where action = $1 and actor_kind = 'user' and actor_id = $2 and request_id <> ''`,
			&n, action, s.Acme.UserID)
		return n
	}
	c, b := s.Register(t, s.Acme, nil), host.NewBrowser(t)
	page := b.SignIn(t, c.Authorize("data:read").URL(), s.Acme.UserEmail)
	if signedIn, given := count("user.signed_in"), count("consent.given"); signedIn != 1 || given != 0 {
		t.Errorf("after signing in: %d and %d events", signedIn, given)
	}
	// The session ends while the page is open: the proof that drew the page decides nothing.
	var sessions int
	query(t, s, `with ended as (delete from sessions returning 1) select count(*) from ended`, &sessions)
	if p := b.Decide(t, page, "approve", "data:read"); sessions != 1 || p.Param("code") != "" || p.Doc.Find(`[name="password"]`).Length() == 0 {
		t.Errorf("%d sessions ended; the decision is answered with %d %v", sessions, p.Status, p.Location)
	}
	if given := count("consent.given"); given != 0 {
		t.Errorf("%d consents are recorded that were not given", given)
	}
	s.Connect(t, host.NewBrowser(t), s.Acme, c.Authorize("data:read"), "data:read")
	if signedIn, given := count("user.signed_in"), count("consent.given"); signedIn != 2 || given != 1 {
		t.Errorf("at the end: %d and %d events", signedIn, given)
	}
}

func TestLogin_DoesNotTellWhoExists(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	a := s.Register(t, s.Acme, nil).Authorize()
	try := func(email, password string) host.Page {
		b := host.NewBrowser(t)
		f := b.Open(t, a.URL()).Form(t, "password")
		f.Values.Set("email", email)
		f.Values.Set("password", password)
		return b.Send(t, f.Action, f.Values, nil)
	}
	s.Clock.BeginWindow(attempts.Window)
	known, unknown, foreign := try(s.Acme.UserEmail, "wrong"), try("nobody@northwind.example", "wrong"), try(s.Neighbour.UserEmail, "correct horse battery")
	for name, p := range map[string]host.Page{"known": known, "unknown": unknown, "another tenant's": foreign} {
		if p.Status != http.StatusUnprocessableEntity || !strings.Contains(p.Text("body"), "do not match") {
			t.Errorf("%s: %d %q", name, p.Status, p.Text("body"))
		}
		if v := p.Doc.Find(`[name="password"]`).AttrOr("value", ""); v != "" {
			t.Errorf("%s: the password is printed", name)
		}
	}
	for range 12 {
		known = try(s.Acme.UserEmail, "wrong")
	}
	if known.Status != http.StatusTooManyRequests || known.Header.Get("Retry-After") == "" {
		t.Errorf("after 13 wrong passwords: %d", known.Status)
	}
	// They count for the address they came from, and hold nobody up elsewhere.
	for address, want := range map[string]errs.Kind{"127.0.0.1": errs.RateLimited, "192.0.2.1": errs.Unauthenticated} {
		_, err := s.Users.Authenticate(s.Acme.Context(), tenants.Credentials{Email: s.Acme.UserEmail, Password: "wrong", Address: address}, nil)
		if !errs.Is(err, want) {
			t.Errorf("from %s: %v, want %s", address, err, want)
		}
	}
}
