package oauth_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/ostiary/ostiary/app/apptest/host"
	"github.com/ostiary/ostiary/tenants/apply"
)

const afterLogout = "https://host.example/signed-out"

// signedInHost is a client with a place to return to after a sign-out, and the browser of a user who connected it.
func signedInHost(t *testing.T, s *host.Stack) (*host.Client, *host.Browser, host.Answer) {
	t.Helper()
	c := s.Register(t, s.Acme, map[string]any{
		"redirect_uris": []string{host.WebRedirect}, "post_logout_redirect_uris": []string{afterLogout, "http://127.0.0.1/bye"},
	})
	b := host.NewBrowser(t)
	return c, b, signIn(t, s, b, c.Authorize("openid", "data:read"), "data:read")
}

// signedIn reports whether the browser is signed in: a request for what was allowed is answered without a question.
func signedIn(t *testing.T, b *host.Browser, c *host.Client) bool {
	t.Helper()
	a := c.Authorize("openid", "data:read")
	a.Params.Set("prompt", "none")
	p := b.Open(t, a.URL())
	if p.Param("code") == "" && p.Param("error") != "login_required" {
		t.Fatalf("neither signed in nor out: %d %v", p.Status, p.Location)
	}
	return p.Param("code") != ""
}

func logoutURL(issuer string, query url.Values) string { return issuer + "/logout?" + query.Encode() }

func TestLogout_ByAClientThatProvesWhoIsSignedIn(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	c, b, answer := signedInHost(t, s)
	s.Clock.Advance(2 * time.Hour) // the id_token has expired; as a hint it still serves
	p := b.Open(t, logoutURL(s.Acme.Issuer, url.Values{
		"id_token_hint": {answer.Str("id_token")}, "client_id": {c.ID}, "post_logout_redirect_uri": {afterLogout}, "state": {"a b&c"},
	}))
	if p.Status != http.StatusSeeOther || p.Location.String() != afterLogout+"?state=a+b%26c" {
		t.Errorf("%d %v", p.Status, p.Location)
	}
	if signedIn(t, b, c) {
		t.Error("still signed in")
	}
	if again := c.Refresh(t, answer.Str("refresh_token")); again.Status != http.StatusOK {
		t.Errorf("signing out of the browser disconnected the app: %s", again.Raw)
	}
	var events int
	query(t, s, `select count(*) from audit_events where action = 'user.signed_out'`, &events)
	if events != 1 {
		t.Errorf("%d audit events", events)
	}
	// Signed out already. Anybody can register a client and get an id_token for their own account; a link to us that led on by
	// itself would be an open redirect.
	p = b.Open(t, logoutURL(s.Acme.Issuer, url.Values{
		"id_token_hint": {answer.Str("id_token")}, "post_logout_redirect_uri": {"http://127.0.0.1:49152/bye"},
	}))
	link := p.Doc.Find(`a[href="http://127.0.0.1:49152/bye"]`)
	if p.Location != nil || p.Text("h1") != "You are signed out" || !strings.Contains(link.Text(), "Go on to 127.0.0.1") {
		t.Errorf("loopback, any port: %d %v %q", p.Status, p.Location, p.Text("body"))
	}
}

// A client that the tenant named gets its user back in any case.
func TestLogout_ReturnsToNamedClients(t *testing.T) {
	t.Parallel()
	s := host.New(t, host.WithFile(func(f *apply.File) {
		f.Environments[0].Clients = []apply.Client{{
			ID: "portal", Name: "Portal", Auth: apply.AuthSecret, Secret: machineSecret,
			RedirectURIs: []string{host.WebRedirect}, PostLogoutRedirectURIs: []string{afterLogout},
		}}
	}))
	c := &host.Client{
		Issuer: s.Acme.Issuer, ID: "portal", Secret: machineSecret, RedirectURI: host.WebRedirect,
		Resource: s.Acme.File.Environments[0].Resources[0].Identifier,
	}
	b := host.NewBrowser(t)
	answer := signIn(t, s, b, c.Authorize("openid", "data:read"), "data:read")
	for range 2 { // the second time nobody is signed in
		p := b.Open(t, logoutURL(s.Acme.Issuer, url.Values{
			"id_token_hint": {answer.Str("id_token")}, "post_logout_redirect_uri": {afterLogout},
		}))
		if p.Location == nil || p.Location.String() != afterLogout || signedIn(t, b, c) {
			t.Errorf("%d %v", p.Status, p.Location)
		}
	}
}

// A link, an image or a form on somebody's page signs nobody out.
func TestLogout_AsksBeforeItBelievesALink(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	c, b, answer := signedInHost(t, s)
	for name, query := range map[string]url.Values{
		"nothing":                   {},
		"client_id alone":           {"client_id": {c.ID}, "post_logout_redirect_uri": {afterLogout}},
		"nonsense as a hint":        {"id_token_hint": {"nonsense"}},
		"an access token as a hint": {"id_token_hint": {answer.Str("access_token")}},
		"a refresh token as a hint": {"id_token_hint": {answer.Str("refresh_token")}},
		"an altered hint":           {"id_token_hint": {answer.Str("id_token")[:len(answer.Str("id_token"))-4] + "AAAA"}},
		"an unsigned hint":          {"id_token_hint": {"eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0." + strings.Split(answer.Str("id_token"), ".")[1] + "."}},
		"an unknown client":         {"client_id": {"other"}},
	} {
		p := b.Open(t, logoutURL(s.Acme.Issuer, query))
		if p.Location != nil || p.Status != http.StatusOK || !strings.Contains(p.Text("h1"), "Sign out of Acme Data?") {
			t.Errorf("%s: %d %v %q", name, p.Status, p.Location, p.Text("h1"))
		}
		if !signedIn(t, b, c) {
			t.Fatalf("%s signed the user out", name)
		}
	}
	contradiction := b.Open(t, logoutURL(s.Acme.Issuer, url.Values{"id_token_hint": {answer.Str("id_token")}, "client_id": {"other"}}))
	if contradiction.Status != http.StatusUnprocessableEntity || !signedIn(t, b, c) {
		t.Errorf("another client's hint: %d %q", contradiction.Status, contradiction.Text("h1"))
	}
}

func TestLogout_ByTheUsersOwnAnswer(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	c, b, _ := signedInHost(t, s)
	page := b.Open(t, s.Acme.Issuer+"/logout")
	if !strings.Contains(page.Text("body"), s.Acme.UserEmail) || page.Header.Get("X-Frame-Options") != "DENY" {
		t.Errorf("the page does not say who, or may be framed: %q", page.Text("body"))
	}
	f := page.Form(t, "interaction")
	for name, header := range map[string]http.Header{
		"another site":                {"Sec-Fetch-Site": {"cross-site"}, "Origin": {"https://evil.example"}},
		"another site, older browser": {"Sec-Fetch-Site": nil, "Origin": {"https://evil.example"}},
	} {
		if p := b.Send(t, f.Action, f.Values, header); p.Status != http.StatusForbidden || !signedIn(t, b, c) {
			t.Errorf("posted from %s: %d", name, p.Status)
		}
	}
	// The attacker's own form, sent by the victim's browser.
	attacker := host.NewBrowser(t)
	attacker.SignIn(t, c.Authorize("data:read").URL(), s.Acme.UserEmail)
	theirs := attacker.Open(t, s.Acme.Issuer+"/logout").Form(t, "interaction")
	if p := b.Send(t, f.Action, theirs.Values, nil); p.Status < 400 || !signedIn(t, b, c) {
		t.Errorf("a form shown in another browser: %d", p.Status)
	}
	interaction := b.Open(t, c.Authorize("data:read", "signals:write").URL()).Form(t, "interaction")
	if p := b.Send(t, f.Action, url.Values{"interaction": interaction.Values["interaction"]}, nil); p.Status < 400 || !signedIn(t, b, c) {
		t.Errorf("an authorization request as a sign-out: %d", p.Status)
	}
	p := b.Send(t, f.Action, f.Values, nil)
	if p.Status != http.StatusOK || p.Text("h1") != "You are signed out" || p.URL.RawQuery != "" {
		t.Errorf("%d %q at %v", p.Status, p.Text("h1"), p.URL)
	}
	if signedIn(t, b, c) {
		t.Error("still signed in")
	}
	page = b.Open(t, s.Acme.Issuer+"/logout")
	if page.Text("h1") != "You are signed out" {
		t.Errorf("signed out already: %q", page.Text("h1"))
	}
}

func TestLogout_LeadsNobodyElsewhere(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	for name, target := range map[string]string{
		"not registered":          "https://evil.example/",
		"a redirect URI":          host.WebRedirect,
		"prefix":                  afterLogout + "/../../evil",
		"more query":              afterLogout + "?next=https://evil.example",
		"another port":            "https://host.example:8443/signed-out",
		"user name":               "https://host.example@evil.example/signed-out",
		"script":                  "javascript:alert(1)",
		"scheme-relative":         "//evil.example/signed-out",
		"loopback, another path":  "http://127.0.0.1:5000/other",
		"loopback by name":        "http://localhost/bye",
		"line break":              afterLogout + "\r\nSet-Cookie: a=b",
		"backslash":               `https://host.example\@evil.example/`,
		"case of the path":        "https://host.example/Signed-Out",
		"trailing slash":          afterLogout + "/",
		"fragment":                afterLogout + "#x",
		"cleartext":               "http://host.example/signed-out",
		"the issuer's own logout": "",
	} {
		_, b, answer := signedInHost(t, s)
		p := b.Open(t, logoutURL(s.Acme.Issuer, url.Values{"id_token_hint": {answer.Str("id_token")}, "post_logout_redirect_uri": {target}}))
		if p.Location != nil || p.Text("h1") != "You are signed out" {
			t.Errorf("%s: %d %v %q", name, p.Status, p.Location, p.Text("h1"))
		}
	}
	// Registration is open to everybody: being registered alone leads nowhere.
	c, b, _ := signedInHost(t, s)
	for _, browser := range []*host.Browser{b, host.NewBrowser(t)} {
		p := browser.Open(t, logoutURL(s.Acme.Issuer, url.Values{"client_id": {c.ID}, "post_logout_redirect_uri": {afterLogout}}))
		if p.Location != nil {
			t.Errorf("led to %v without an id_token", p.Location)
		}
	}
}

// Browsers keep the session cookie back when another site posts; the client still reaches the user (§2: GET and POST).
func TestLogout_ByPost(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	c, b, answer := signedInHost(t, s)
	p := b.Send(t, s.Acme.Issuer+"/logout", url.Values{
		"id_token_hint": {answer.Str("id_token")}, "post_logout_redirect_uri": {afterLogout}, "state": {"s"}, "x": {"y"},
	}, http.Header{"Sec-Fetch-Site": {"cross-site"}, "Origin": {"https://host.example"}})
	if p.Location == nil || p.Location.String() != afterLogout+"?state=s" || signedIn(t, b, c) {
		t.Errorf("%d %v", p.Status, p.Location)
	}
}

// An id_token of one user does not sign another one out.
func TestLogout_OfSomebodyElseAsks(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	_, _, answer := signedInHost(t, s)
	exec(t, s, `insert into users (tenant_id, environment_id, id, email, name, password_hash, created_at)
		select tenant_id, environment_id, 'usr_AAAAAAAAAAAAAAAAAAAAAAAAAA', 'other@northwind.example', 'Other', password_hash, created_at from users`)
	c := web(t, s)
	b := host.NewBrowser(t)
	if p := b.Decide(t, b.SignIn(t, c.Authorize("data:read").URL(), "other@northwind.example"), "approve", "data:read"); p.Param("code") == "" {
		t.Fatal("no code")
	}
	p := b.Open(t, logoutURL(s.Acme.Issuer, url.Values{"id_token_hint": {answer.Str("id_token")}, "post_logout_redirect_uri": {afterLogout}}))
	if p.Location != nil || !strings.Contains(p.Text("h1"), "Sign out of") || !signedIn(t, b, c) ||
		!strings.Contains(p.Text("body"), "Next, you go back to host.example.") {
		t.Fatalf("%d %v %q", p.Status, p.Location, p.Text("h1"))
	}
	f := p.Form(t, "interaction")
	if p = b.Send(t, f.Action, f.Values, nil); p.Location == nil || p.Location.String() != afterLogout || signedIn(t, b, c) {
		t.Errorf("after the user's own answer: %d %v", p.Status, p.Location)
	}
}

func TestLogout_HintOfAnotherTenantIsNone(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	_, _, answer := signedInHost(t, s)
	c := s.Register(t, s.Neighbour, map[string]any{"redirect_uris": []string{host.WebRedirect}, "post_logout_redirect_uris": []string{afterLogout}})
	b := host.NewBrowser(t)
	p := b.Decide(t, b.SignIn(t, c.Authorize("data:read").URL(), s.Neighbour.UserEmail), "approve", "data:read")
	if p.Param("code") == "" {
		t.Fatal("no code")
	}
	p = b.Open(t, logoutURL(s.Neighbour.Issuer, url.Values{"id_token_hint": {answer.Str("id_token")}, "post_logout_redirect_uri": {afterLogout}}))
	if p.Location != nil || !signedIn(t, b, c) {
		t.Errorf("%d %v", p.Status, p.Location)
	}
}
