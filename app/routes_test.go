package app_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/ostiary/ostiary/app/apptest/host"
	"github.com/ostiary/ostiary/tenants/attempts"
)

func TestMain(m *testing.M) { host.Main(m) }

func TestRoutes_HealthSaysTheTruth(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	for _, path := range []string{"/healthz", "/readyz"} {
		if a := host.Get(t, s.URL+path); a.Status != http.StatusNoContent {
			t.Errorf("%s: %d", path, a.Status)
		}
	}
	s.Cable.Cut()
	if a := host.Get(t, s.URL+"/healthz"); a.Status != http.StatusNoContent {
		t.Errorf("a node without a database is alive: %d", a.Status)
	}
	if a := host.Get(t, s.URL+"/readyz"); a.Status != http.StatusServiceUnavailable {
		t.Errorf("a node without a database is not ready: %d", a.Status)
	}
}

func TestRoutes_CookiesOfIssuersAndDashboardStayApart(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	b := host.NewBrowser(t)
	b.SignIn(t, s.Register(t, s.Acme, nil).Authorize().URL(), s.Acme.UserEmail)
	for _, target := range []string{s.URL + "/", s.Neighbour.Issuer + "/"} {
		r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, target, nil)
		if err != nil {
			t.Fatal(err)
		}
		if cookies := b.Client.Jar.Cookies(r.URL); len(cookies) != 0 {
			t.Errorf("%s gets cookies of another part: %v", r.URL.Path, cookies[0].Name)
		}
	}
}

func TestRoutes_DashboardFormsRefuseOtherSites(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, s.URL+"/sign-in", strings.NewReader("email=a&password=b"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	r.Header.Set("Origin", "https://evil.example")
	if a := host.Do(t, r); a.Status != http.StatusForbidden {
		t.Errorf("a form of another site: %d", a.Status)
	}
}

func TestRoutes_BodiesAndPagesAreBounded(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	a := host.Post(t, s.Acme.Issuer+"/token", "application/x-www-form-urlencoded", []byte("x="+strings.Repeat("a", 1<<20)), nil)
	if a.Status != http.StatusRequestEntityTooLarge && a.Status != http.StatusBadRequest {
		t.Errorf("a megabyte of form: %d", a.Status)
	}
}

// Whoever sends a request slowly, or sends too much of it, costs one connection for seconds.
func TestRoutes_SlowAndEndlessHeadersAreCutOff(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	send := func(raw string) *bufio.Reader {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.Nodes[0].URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		_, _ = conn.Write([]byte(raw)) // the server may hang up in the middle
		return bufio.NewReader(conn)
	}
	slow := send("GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
	endless, err := http.ReadResponse(send("GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Long: "+strings.Repeat("a", 80<<10)), nil)
	if err != nil || endless.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("80 KB of header: %v, %v", endless, err)
	}
	if _, err := io.ReadAll(slow); err != nil { // until the server hangs up
		t.Errorf("a header that never ends: %v", err)
	}
}

// What one request says about where it comes from is not believed without a configured proxy.
func TestRoutes_ForwardedAddressesAreNotBelieved(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	auth := s.Register(t, s.Acme, nil).Authorize()
	s.Clock.BeginWindow(attempts.Window)
	limited := false
	for i := range 14 {
		b := host.NewBrowser(t)
		f := b.Open(t, auth.URL()).Form(t, "password")
		f.Values.Set("email", s.Acme.UserEmail)
		f.Values.Set("password", "wrong")
		spoofed := http.Header{"X-Forwarded-For": {"10.0.0." + string(rune('0'+i%10))}, "X-Real-Ip": {"10.1.1.1"}}
		limited = b.Send(t, f.Action, f.Values, spoofed).Status == http.StatusTooManyRequests
	}
	if !limited {
		t.Error("a forged address escapes the limit on wrong passwords")
	}
}
