package dashboard_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/PuerkitoBio/goquery"

	"github.com/ostiary/ostiary/app/apptest"
	"github.com/ostiary/ostiary/app/web"
	"github.com/ostiary/ostiary/dashboard"
	"github.com/ostiary/ostiary/oauth/clients"
	"github.com/ostiary/ostiary/templates/htmltest"
	"github.com/ostiary/ostiary/tenants"
	"github.com/ostiary/ostiary/tenants/tenanttest"
)

func TestMain(m *testing.M) { apptest.Main(m) }

// site is a running dashboard over a world of two tenants.
type site struct {
	*tenanttest.World
	server *httptest.Server
	log    *logBuffer
}

type logBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func newSite(t *testing.T, opts ...tenanttest.Option) *site {
	t.Helper()
	s := &site{World: tenanttest.New(t, apptest.Database(t).AppURL, opts...), log: &logBuffer{}}
	logger := slog.New(slog.NewTextHandler(s.log, nil))
	hosts, err := clients.LoadHosts()
	if err != nil {
		t.Fatal(err)
	}
	d := dashboard.New(dashboard.Deps{
		Services: s.Deps, Logger: logger, Now: s.Clock.Now, URL: "http://localhost:8080", Hosts: hosts.All(),
	})
	e := web.New(web.Deps{Logger: logger, ErrorHandler: d.HandleError, BodyLimit: "64K"})
	d.Register(e)
	s.server = httptest.NewServer(e)
	t.Cleanup(s.server.Close)
	return s
}

// browser keeps cookies and does not follow redirects.
type browser struct {
	t      *testing.T
	base   string
	client *http.Client
}

func (s *site) browser(t *testing.T) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{t: t, base: s.server.URL, client: &http.Client{
		Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// signedIn returns a browser in which a member of the tenant is signed in.
func (s *site) signedIn(t *testing.T, tenant *tenanttest.Tenant, role tenants.Role) *browser {
	t.Helper()
	b := s.browser(t)
	p := b.post("/sign-in", url.Values{"email": {tenant.MemberOf(role).Email}, "password": {tenanttest.Password}})
	p.want(http.StatusSeeOther)
	return b
}

// page is an answer.
type page struct {
	t      *testing.T
	status int
	header http.Header
	text   string
	*goquery.Document
}

func (b *browser) get(path string) *page {
	b.t.Helper()
	return b.do(http.MethodGet, path, "", nil)
}

func (b *browser) post(path string, form url.Values) *page {
	b.t.Helper()
	return b.do(http.MethodPost, path, form.Encode(), http.Header{"Content-Type": {"application/x-www-form-urlencoded"}})
}

func (b *browser) do(method, path, body string, header http.Header) *page {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.base+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	for name, values := range header {
		r.Header[name] = values
	}
	res, err := b.client.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	doc, err := goquery.NewDocumentFromReader(strings.NewReader(string(text)))
	if err != nil {
		b.t.Fatal(err)
	}
	p := &page{t: b.t, status: res.StatusCode, header: res.Header, text: string(text), Document: doc}
	if strings.HasPrefix(res.Header.Get("Content-Type"), "text/html") && strings.Contains(p.text, "<html") {
		for _, problem := range htmltest.Problems(p.text, true) {
			b.t.Errorf("%s %s: %s", method, path, problem)
		}
	}
	return p
}

func (p *page) want(status int) *page {
	p.t.Helper()
	if p.status != status {
		p.t.Fatalf("status %d, want %d: %s", p.status, status, p.title())
	}
	return p
}

func (p *page) title() string { return strings.TrimSpace(p.Find("h1").First().Text()) }

func (p *page) location() string { return p.header.Get("Location") }

func (p *page) has(selector string) bool { return p.Find(selector).Length() > 0 }

// main is what the page says, in one line.
func (p *page) main() string {
	return strings.Join(strings.Fields(p.Find("main, body").First().Text()), " ")
}

func (p *page) wantText(parts ...string) *page {
	p.t.Helper()
	for _, part := range parts {
		if !strings.Contains(p.main(), part) {
			p.t.Errorf("the page does not say %q: %s", part, p.main())
		}
	}
	return p
}

// form returns the fields of the form that posts to action, as a browser would send them.
func (p *page) form(action string) url.Values {
	p.t.Helper()
	form := p.Find(`form[action="` + action + `"]`)
	if form.Length() != 1 {
		p.t.Fatalf("%d forms post to %s", form.Length(), action)
	}
	values := url.Values{}
	form.Find("input[name], textarea[name]").Each(func(_ int, s *goquery.Selection) {
		value := s.AttrOr("value", "")
		if goquery.NodeName(s) == "textarea" {
			value = strings.TrimPrefix(s.Text(), "\n")
		}
		values.Add(s.AttrOr("name", ""), value)
	})
	return values
}

func serverPath(tenant *tenanttest.Tenant, parts ...string) string {
	return strings.Join(append([]string{"/environments/" + tenant.Environment + "/servers/" + tenant.ResourceID},
		parts...), "/")
}

func permissionID(t *testing.T, s *site, tenant *tenanttest.Tenant, name string) string {
	t.Helper()
	d, err := s.Resources.Get(tenant.Operator(), tenant.ResourceID)
	if err != nil {
		t.Fatal(err)
	}
	for _, scope := range d.Scopes {
		if scope.Name == name {
			return scope.ID
		}
	}
	t.Fatalf("no permission %s", name)
	return ""
}
