package host

import (
	"context"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"

	"github.com/PuerkitoBio/goquery"

	"github.com/ostiary/ostiary/tenants/tenanttest"
)

// Browser is a user's browser without script: it follows redirects on the issuer's host and stops where one leaves it.
type Browser struct {
	Client *http.Client
}

// NewBrowser returns a browser without cookies.
func NewBrowser(t testing.TB) *Browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &Browser{Client: &http.Client{Transport: transport(), Jar: jar, CheckRedirect: func(r *http.Request, via []*http.Request) error {
		if r.URL.Host != via[0].URL.Host {
			return http.ErrUseLastResponse
		}
		return nil
	}}}
}

// Page is what a browser shows, or where it was sent.
type Page struct {
	Status   int
	Header   http.Header
	URL      *url.URL
	Doc      *goquery.Document
	Location *url.URL // set when the answer leads to another host
}

// Param returns a parameter of the URL the page leads to.
func (p Page) Param(name string) string {
	if p.Location == nil {
		return ""
	}
	return p.Location.Query().Get(name)
}

// Text returns the visible words of the first element a selector matches.
func (p Page) Text(selector string) string {
	return strings.Join(strings.Fields(p.Doc.Find(selector).First().Text()), " ")
}

// Open goes to a URL.
func (b *Browser) Open(t testing.TB, target string) Page {
	t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, target, nil)
	if err != nil {
		t.Fatal(err)
	}
	return b.do(t, r)
}

// Send posts a form with the headers a browser sends from one of the issuer's own pages; header overrides them.
func (b *Browser) Send(t testing.TB, target string, form url.Values, header http.Header) Page {
	t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, target, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	for name, values := range header {
		r.Header[name] = values
	}
	return b.do(t, r)
}

func (b *Browser) do(t testing.TB, r *http.Request) Page {
	t.Helper()
	answer, err := b.Client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close() //nolint:errcheck // read to its end
	p := Page{Status: answer.StatusCode, Header: answer.Header, URL: answer.Request.URL}
	if p.Doc, err = goquery.NewDocumentFromReader(answer.Body); err != nil {
		t.Fatal(err)
	}
	if location := answer.Header.Get("Location"); location != "" {
		if p.Location, err = answer.Request.URL.Parse(location); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// Form is a form of a page as a browser would send it untouched.
type Form struct {
	Action string
	Values url.Values
}

// Form reads the form that holds a field with this name.
func (p Page) Form(t testing.TB, field string) Form {
	t.Helper()
	form := p.Doc.Find("form").FilterFunction(func(_ int, f *goquery.Selection) bool {
		return f.Find(`[name="`+field+`"]`).Length() > 0
	}).First()
	if form.Length() == 0 {
		t.Fatalf("status %d: no form with a field %q on the page %q", p.Status, field, p.Text("title"))
	}
	action, _ := form.Attr("action")
	target, err := p.URL.Parse(action)
	if err != nil {
		t.Fatal(err)
	}
	out := Form{Action: target.String(), Values: url.Values{}}
	form.Find("input, select").Each(func(_ int, in *goquery.Selection) {
		name, _ := in.Attr("name")
		kind := in.AttrOr("type", "text")
		_, checked := in.Attr("checked")
		_, disabled := in.Attr("disabled")
		switch {
		case name == "" || disabled || kind == "submit" || ((kind == "checkbox" || kind == "radio") && !checked):
		case goquery.NodeName(in) == "select":
			out.Values.Add(name, in.Find("option[selected]").AttrOr("value", ""))
		default:
			out.Values.Add(name, in.AttrOr("value", ""))
		}
	})
	return out
}

// SignIn opens a URL, and signs in when asked. It returns the page that follows.
func (b *Browser) SignIn(t testing.TB, target, email string) Page {
	t.Helper()
	p := b.Open(t, target)
	if p.Location != nil || p.Doc.Find(`[name="password"]`).Length() == 0 {
		return p
	}
	f := p.Form(t, "password")
	f.Values.Set("email", email)
	f.Values.Set("password", tenanttest.Password)
	return b.Send(t, f.Action, f.Values, nil)
}

// Decide sends the consent form of p with exactly these scopes ticked.
func (b *Browser) Decide(t testing.TB, p Page, decision string, scopes ...string) Page {
	t.Helper()
	f := p.Form(t, "scope")
	f.Values["scope"] = scopes
	f.Values.Set("decision", decision)
	return b.Send(t, f.Action, f.Values, nil)
}

// Tokens is what a whole flow gives a client.
type Tokens struct {
	Access, Refresh, Scope, Code string
}

// Connect runs a whole flow for a tenant's user who allows exactly these scopes.
func (s *Stack) Connect(t testing.TB, b *Browser, tenant *tenanttest.Tenant, a *Authorization, scopes ...string) Tokens {
	t.Helper()
	p := b.SignIn(t, a.URL(), tenant.UserEmail)
	if p.Location == nil {
		p = b.Decide(t, p, "approve", scopes...)
	}
	code := p.Param("code")
	if code == "" {
		t.Fatalf("no code: status %d, %v, page %q", p.Status, p.Location, p.Text("h1"))
	}
	answer := a.Redeem(t, code)
	if answer.Status != http.StatusOK {
		t.Fatalf("token: %d %s", answer.Status, answer.Raw)
	}
	return Tokens{Access: answer.Str("access_token"), Refresh: answer.Str("refresh_token"), Scope: answer.Str("scope"), Code: code}
}
