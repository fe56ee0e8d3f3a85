package app_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/ostiary/ostiary/app/apptest/host"
	"github.com/ostiary/ostiary/tenants/apply"
	"github.com/ostiary/ostiary/tenants/attempts"
	"github.com/ostiary/ostiary/tenants/tenanttest"
)

var forms = []host.IssuerForm{host.PathForm, host.HostForm, host.DomainForm}

// askAs sends a request to where target is served, under another Host.
func askAs(t *testing.T, target, name string, header http.Header) host.Answer {
	t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, target, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = name
	for key, values := range header {
		r.Header[key] = values
	}
	return host.Do(t, r)
}

// hostOf returns the host and port of a URL.
func hostOf(t *testing.T, raw string) string {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}

// Whatever the form: a host that is nobody's gets nothing, on every path, and never another tenant's document.
func TestHosts_StrangersGetABare404(t *testing.T) {
	t.Parallel()
	for _, form := range forms {
		t.Run(string(form), func(t *testing.T) {
			t.Parallel()
			s := host.New(t, host.WithIssuers(form))
			port := hostOf(t, s.URL)[len("localhost"):]
			for _, name := range []string{
				"evil.example", "evil.example" + port, "localhost.evil.example" + port, "localhost." + port, "10.0.0.1" + port,
				"acme-dev.auth.localhost.evil.example" + port, "nobody.auth.localhost" + port, ".auth.localhost" + port,
				"acme-dev.acme-dev.auth.localhost" + port, "xn--acme-dev.auth.localhost" + port, "acme-dev.test", "[::2]" + port,
				"user@localhost" + port, "localhost" + port + ":1",
			} {
				for _, path := range []string{
					"/", "/sign-in", "/authorize?client_id=x", "/register", "/.well-known/jwks.json", "/i/acme-dev/authorize",
					"/.well-known/openid-configuration", "/.well-known/oauth-authorization-server/i/acme-dev", "/i/acme-dev/.well-known/jwks.json",
				} {
					answer := askAs(t, s.URL+path, name, http.Header{"X-Forwarded-Host": {hostOf(t, s.Acme.Issuer)}})
					bad := answer.Status == http.StatusBadRequest && strings.Contains(answer.Raw, "Host") // net/http itself
					if !bad && (answer.Status != http.StatusNotFound || answer.Raw != "" || answer.Header.Get("Set-Cookie") != "") {
						t.Errorf("%s%s: %d %q", name, path, answer.Status, answer.Raw)
					}
				}
			}
		})
	}
}

// The dashboard is on its own host only, and issuers are not on the dashboard's unless they share it by path.
func TestHosts_DashboardAndIssuersStayApart(t *testing.T) {
	t.Parallel()
	for _, form := range []host.IssuerForm{host.HostForm, host.DomainForm} {
		s := host.New(t, host.WithIssuers(form))
		for _, path := range []string{"/sign-in", "/", "/servers"} {
			if answer := host.Get(t, s.Acme.Issuer+path); answer.Status != http.StatusNotFound || answer.Raw != "" {
				t.Errorf("%s: the dashboard's %s on an issuer's host: %d", form, path, answer.Status)
			}
		}
		for _, path := range []string{"/authorize", "/token", "/interaction", "/i/acme-dev/authorize", "/i/acme-dev/.well-known/openid-configuration"} {
			if answer := host.Get(t, s.URL+path); answer.Status != http.StatusNotFound || strings.Contains(answer.Raw, s.Acme.Issuer) {
				t.Errorf("%s: an issuer's %s on the dashboard's host: %d", form, path, answer.Status)
			}
		}
		if answer := host.Get(t, s.URL+"/sign-in"); answer.Status != http.StatusOK {
			t.Errorf("%s: dashboard: %d", form, answer.Status)
		}
	}
	s := host.New(t, host.WithIssuers(host.PathForm))
	for _, name := range []string{"127.0.0.1:1", "LOCALHOST", "[::1]:8080"} { // this computer, however people and tunnels call it
		if answer := askAs(t, s.URL+"/sign-in", name, nil); answer.Status != http.StatusOK {
			t.Errorf("%s: dashboard: %d", name, answer.Status)
		}
		if answer := askAs(t, s.Acme.Issuer+"/.well-known/openid-configuration", name, nil); answer.Str("issuer") != s.Acme.Issuer {
			t.Errorf("%s: issuer: %d %s", name, answer.Status, answer.Raw)
		}
	}
}

// A custom domain stands beside the operator's pattern, on one installation.
func TestHosts_CustomDomainBesideAPattern(t *testing.T) {
	t.Parallel()
	for _, form := range []host.IssuerForm{host.PathForm, host.HostForm} {
		s := host.New(t, host.WithIssuers(form), host.WithFile(func(f *apply.File) {
			own := f.Environments[0]
			own.Slug, own.Issuer = "acme-own", "https://Login.Acme.example:443/"
			f.Environments = append(f.Environments, own)
		}))
		for _, name := range []string{"login.acme.example", "LOGIN.acme.example", "login.acme.example:443"} {
			answer := askAs(t, s.URL+"/.well-known/oauth-authorization-server", name, nil)
			if answer.Str("issuer") != "https://login.acme.example" {
				t.Errorf("%s as %s: %d %s", form, name, answer.Status, answer.Raw)
			}
		}
		for _, name := range []string{"login.acme.example:8443", "acme.example", "login.acme.example.", "http://login.acme.example"} {
			if answer := askAs(t, s.URL+"/.well-known/oauth-authorization-server", name, nil); strings.Contains(answer.Raw, "issuer") {
				t.Errorf("%s answers as %s: %s", form, name, answer.Raw)
			}
		}
		if answer := host.Get(t, s.Acme.Issuer+"/.well-known/openid-configuration"); answer.Str("issuer") != s.Acme.Issuer {
			t.Errorf("%s: the pattern's own issuer: %d", form, answer.Status)
		}
	}
}

// Cookies are as strict as the form allows: bound to the issuer's host or path, and to TLS where there is any.
func TestHosts_CookiesBelongToTheirIssuer(t *testing.T) {
	t.Parallel()
	for _, form := range forms {
		s := host.New(t, host.WithIssuers(form))
		c := s.Register(t, s.Acme, nil)
		r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, c.Authorize().URL(), nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := host.Transport().RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		cookies := answer.Cookies()
		if len(cookies) == 0 {
			t.Fatalf("%s: no cookie", form)
		}
		issuer, err := url.Parse(s.Acme.Issuer)
		if err != nil {
			t.Fatal(err)
		}
		for _, cookie := range cookies {
			secure := issuer.Scheme == "https"
			if cookie.Secure != secure || strings.HasPrefix(cookie.Name, "__Host-") != secure || !cookie.HttpOnly ||
				cookie.SameSite != http.SameSiteLaxMode || cookie.Domain != "" || cookie.Path != issuer.Path+"/" {
				t.Errorf("%s: %s", form, cookie)
			}
		}
		b := host.NewBrowser(t)
		b.SignIn(t, c.Authorize().URL(), s.Acme.UserEmail)
		for _, target := range []string{s.URL + "/", s.Neighbour.Issuer + "/"} {
			u, err := url.Parse(target)
			if err != nil {
				t.Fatal(err)
			}
			if got := b.Client.Jar.Cookies(u); len(got) != 0 {
				t.Errorf("%s: %s gets cookies of another issuer", form, target)
			}
		}
	}
}

func TestHosts_StaticFilesAreOnEveryHost(t *testing.T) {
	t.Parallel()
	for _, form := range forms {
		s := host.New(t, host.WithIssuers(form))
		p := host.NewBrowser(t).Open(t, s.Register(t, s.Acme, nil).Authorize().URL())
		href, ok := p.Doc.Find(`link[rel="stylesheet"]`).First().Attr("href")
		if !ok {
			t.Fatalf("%s: no stylesheet", form)
		}
		u, err := p.URL.Parse(href)
		if err != nil {
			t.Fatal(err)
		}
		answer := host.Get(t, u.String())
		if u.Host != hostOf(t, s.Acme.Issuer) || answer.Status != http.StatusOK || !strings.HasPrefix(answer.Header.Get("Content-Type"), "text/css") {
			t.Errorf("%s: %s: %d %q", form, u, answer.Status, answer.Header.Get("Content-Type"))
		}
	}
}

// Behind a proxy the address that counts for limits is the client's, and a client cannot choose it.
func TestHosts_AddressesComeFromTheProxyOnly(t *testing.T) {
	t.Parallel()
	s := host.New(t, host.WithNodes(2))
	auth := s.Register(t, s.Acme, nil).Authorize()
	s.Clock.BeginWindow(attempts.Window)
	limited := false
	for i := range 14 {
		b := host.NewBrowser(t)
		f := b.Open(t, auth.URL()).Form(t, "password")
		f.Values.Set("email", s.Acme.UserEmail)
		f.Values.Set("password", tenanttest.Password+"x")
		forged := http.Header{"X-Forwarded-For": {"203.0.113." + string(rune('0'+i%10))}}
		limited = b.Send(t, f.Action, f.Values, forged).Status == http.StatusTooManyRequests
	}
	if !limited {
		t.Error("a forged address escapes the limit on wrong passwords")
	}
}
