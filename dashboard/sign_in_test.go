package dashboard_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/ostiary/ostiary/tenants"
	"github.com/ostiary/ostiary/tenants/attempts"
	"github.com/ostiary/ostiary/tenants/tenanttest"
)

func TestSignIn_LeadsToWhereSomebodyWantedToGo(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.browser(t)
	target := "/environments/acme-dev/servers?q=data"
	p := b.get(target).want(http.StatusSeeOther)
	if p.location() != "/sign-in?next="+url.QueryEscape(target) {
		t.Fatalf("sent to %s", p.location())
	}
	p = b.get(p.location()).want(http.StatusOK)
	form := p.form("/sign-in")
	form.Set("email", s.Acme.OwnerEmail)
	form.Set("password", tenanttest.Password)
	p = b.post("/sign-in", form).want(http.StatusSeeOther)
	if p.location() != target {
		t.Errorf("after signing in sent to %s", p.location())
	}
	b.get(target).want(http.StatusOK).wantText("Acme Data")
	for path, want := range map[string]string{"/": "/environments/acme-dev/servers", "/sign-in": "/",
		"/environments/acme-dev": "/environments/acme-dev/servers"} {
		if p := b.get(path).want(http.StatusSeeOther); p.location() != want {
			t.Errorf("%s leads to %s, want %s", path, p.location(), want)
		}
	}
}

func TestSignIn_NextStaysOnThisHost(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for _, next := range []string{
		"https://evil.example/", "//evil.example", `/\evil.example`, `\\evil.example`, "/environments/../sign-out", "javascript:alert(1)",
		"/environments//\tevil", "///environments/x", "/sign-out", "environments/x", "http:/environments/acme-dev",
		"/%2f/evil.example",
		"/environments/x\r\nSet-Cookie: a=b",
	} {
		b := s.browser(t)
		p := b.get("/sign-in?next=" + url.QueryEscape(next)).want(http.StatusOK)
		if got := p.form("/sign-in").Get("next"); got != "" && got != "/environments/../sign-out" {
			t.Errorf("the form keeps next=%q", got)
		}
		p = b.post("/sign-in", url.Values{"email": {s.Acme.OwnerEmail}, "password": {tenanttest.Password}, "next": {next}})
		u, err := url.Parse(p.location())
		if err != nil || u.Host != "" || !strings.HasPrefix(p.location(), "/") || strings.HasPrefix(p.location(), "//") ||
			p.header.Get("Set-Cookie") == "a=b" {
			t.Errorf("next=%q leads to %q", next, p.location())
		}
	}
}

func TestSignIn_WrongInputKeepsWhatWasTyped(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.browser(t)
	p := b.post("/sign-in", url.Values{"next": {"/environments/acme-dev/servers"}}).want(http.StatusUnprocessableEntity)
	if p.Find("#email").AttrOr("aria-invalid", "") != "true" || p.Find("#password").AttrOr("aria-invalid", "") != "true" {
		t.Error("the empty fields are not marked")
	}
	evil := `"><script>alert(1)</script>@acme.example`
	p = b.post("/sign-in", url.Values{"email": {evil}, "password": {"wrong password"},
		"next": {"/environments/acme-dev/servers"}})
	p.want(http.StatusUnprocessableEntity).wantText("That e-mail and password do not match.")
	form := p.form("/sign-in")
	if form.Get("email") != evil || form.Get("next") != "/environments/acme-dev/servers" || form.Get("password") != "" {
		t.Errorf("the form has %v", form)
	}
	if strings.Contains(p.text, "wrong password") || len(p.header.Values("Set-Cookie")) != 0 {
		t.Error("the page repeats the password, or sets a cookie")
	}
	for _, word := range []string{"wrong password", tenanttest.Password, "script"} {
		if strings.Contains(s.log.String(), word) {
			t.Errorf("the log has %q", word)
		}
	}
}

func TestSignIn_IsLimited(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.browser(t)
	form := url.Values{"email": {s.Acme.OwnerEmail}, "password": {"wrong"}}
	s.Clock.BeginWindow(attempts.Window)
	for range 10 {
		b.post("/sign-in", form).want(http.StatusUnprocessableEntity)
	}
	form.Set("password", tenanttest.Password)
	p := b.post("/sign-in", form).want(http.StatusTooManyRequests).wantText("Too many attempts.")
	if p.header.Get("Retry-After") == "" || p.form("/sign-in").Get("email") != s.Acme.OwnerEmail {
		t.Errorf("Retry-After %q", p.header.Get("Retry-After"))
	}
}

func TestSession_CookieIsOutOfReach(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	p := s.browser(t).post("/sign-in", url.Values{"email": {s.Acme.OwnerEmail}, "password": {tenanttest.Password}})
	cookie := p.header.Get("Set-Cookie")
	for _, part := range []string{"ostiary_member=" + s.Acme.ID + ".", "; Path=/;", "HttpOnly", "SameSite=Lax"} {
		if !strings.Contains(cookie, part) {
			t.Errorf("cookie %q lacks %q", cookie, part)
		}
	}
	if strings.Contains(cookie, "Domain") {
		t.Errorf("cookie %q reaches sister hosts", cookie)
	}
}

func TestSession_SignOutEndsItOnTheServer(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.signedIn(t, s.Acme, tenants.RoleOwner)
	base, err := url.Parse(b.base)
	if err != nil {
		t.Fatal(err)
	}
	stolen := b.client.Jar.Cookies(base)
	p := b.post("/sign-out", nil).want(http.StatusSeeOther)
	if p.location() != "/sign-in" {
		t.Errorf("sent to %s", p.location())
	}
	thief := s.browser(t)
	thief.client.Jar.SetCookies(base, stolen)
	thief.get("/environments/acme-dev/servers").want(http.StatusSeeOther)
	b.post("/sign-out", nil).want(http.StatusSeeOther) // twice does no harm
	b.get("/sign-out").want(http.StatusNotFound)       // a link or an image must not sign anybody out
}

func TestSession_TamperedCookiesAreNobodys(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.signedIn(t, s.Acme, tenants.RoleOwner)
	base, err := url.Parse(b.base)
	if err != nil {
		t.Fatal(err)
	}
	value := b.client.Jar.Cookies(base)[0].Value
	_, token, _ := strings.Cut(value, ".")
	for name, forged := range map[string]string{
		"other tenant": s.Neighbour.ID + "." + token, "no tenant": token, "empty": "", "cut": value[:len(value)-2],
		"long": value + strings.Repeat("x", 3000), "injection": "ten_' or 1=1--aaaaaaaaaaaaaaaaa." + token,
	} {
		forger := s.browser(t)
		header := http.Header{"Cookie": {"ostiary_member=" + forged}}
		for _, path := range []string{"/environments/acme-dev/servers", "/environments/neighbour-dev/servers",
			serverPath(s.Acme)} {
			p := forger.do(http.MethodGet, path, "", header)
			if p.status != http.StatusSeeOther || !strings.HasPrefix(p.location(), "/sign-in") {
				t.Errorf("%s: %s answers %d to %s", name, path, p.status, p.location())
			}
		}
		p := forger.do(http.MethodPost, serverPath(s.Acme, "publish"), "draft=x", http.Header{
			"Cookie": header["Cookie"], "Content-Type": {"application/x-www-form-urlencoded"},
		})
		if p.status != http.StatusSeeOther || p.location() != "/sign-in" {
			t.Errorf("%s: publishing answers %d to %s", name, p.status, p.location())
		}
	}
	script := s.browser(t).do(http.MethodPost, serverPath(s.Acme, "wording", "x", "preview"), "",
		http.Header{"Hx-Request": {"true"}})
	if script.status != http.StatusUnauthorized || script.text != "" {
		t.Errorf("a script without session gets %d %q", script.status, script.text)
	}
}
