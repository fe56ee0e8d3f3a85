package oauth_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ostiary/ostiary/app/apptest/host"
	"github.com/ostiary/ostiary/tenants/apply"
	"github.com/ostiary/ostiary/tenants/tenanttest"
)

// publisher is a host on loopback that serves a client's metadata document.
type publisher struct {
	*httptest.Server
	asked atomic.Int32

	mu      sync.Mutex
	status  int
	members map[string]any
}

// publish serves a document with these members besides the required ones; nil takes one away.
func publish(t *testing.T, members map[string]any) *publisher {
	t.Helper()
	p := &publisher{status: http.StatusOK, members: map[string]any{
		"client_name": "Published", "redirect_uris": []string{host.WebRedirect}, "token_endpoint_auth_method": "none",
	}}
	p.change(members)
	p.Server = httptest.NewServer(http.HandlerFunc(p.serve))
	t.Cleanup(p.Close)
	return p
}

func (p *publisher) serve(w http.ResponseWriter, _ *http.Request) {
	p.asked.Add(1)
	p.mu.Lock()
	defer p.mu.Unlock()
	document := map[string]any{"client_id": p.id()}
	for name, value := range p.members {
		if document[name] = value; value == nil {
			delete(document, name)
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "max-age=60")
	w.WriteHeader(p.status)
	_ = json.NewEncoder(w).Encode(document)
}

func (p *publisher) id() string { return p.URL + "/client.json" }

func (p *publisher) change(members map[string]any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for name, value := range members {
		p.members[name] = value
	}
}

func (p *publisher) answer(status int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status = status
}

// client is the client of a document at one of a tenant's issuers.
func clientAt(tenant *tenanttest.Tenant, id, redirectURI string) *host.Client {
	return &host.Client{
		Issuer: tenant.Issuer, ID: id, RedirectURI: redirectURI, Resource: tenant.File.Environments[0].Resources[0].Identifier,
	}
}

// onLoopback is a server whose issuers may read documents on this machine: any but those on domains of their own.
func onLoopback(t *testing.T, opts ...host.Option) *host.Stack {
	t.Helper()
	if os.Getenv("OSTIARY_TEST_ISSUERS") == string(host.DomainForm) {
		opts = append(opts, host.WithIssuers(host.PathForm))
	}
	return host.New(t, opts...)
}

func TestDocument_IsAllAClientNeeds(t *testing.T) {
	t.Parallel()
	s, p := onLoopback(t, host.WithNodes(1)), publish(t, nil) // each node remembers for itself
	c := clientAt(s.Acme, p.id(), host.WebRedirect)
	b := host.NewBrowser(t)
	tokens := s.Connect(t, b, s.Acme, c.Authorize("data:read"), "data:read")
	if got := claims(t, tokens.Access)["client_id"]; got != p.id() {
		t.Errorf("client_id %v", got)
	}
	if answer := c.Refresh(t, tokens.Refresh); answer.Status != http.StatusOK {
		t.Errorf("refresh: %d %s", answer.Status, answer.Raw)
	}
	if again := b.Open(t, c.Authorize("data:read").URL()); again.Param("code") == "" {
		t.Errorf("a consent for a web address is remembered: %d %q", again.Status, again.Text("h1"))
	}
	if n := p.asked.Load(); n != 1 {
		t.Errorf("the document was fetched %d times in a minute", n)
	}
	var metadata map[string]any
	if err := json.Unmarshal([]byte(host.Get(t, s.Acme.Issuer+"/.well-known/oauth-authorization-server").Raw), &metadata); err != nil {
		t.Fatal(err)
	}
	if metadata["client_id_metadata_document_supported"] != true {
		t.Error("hosts look for client_id_metadata_document_supported")
	}
}

func TestDocument_RedirectsAreTheDocuments(t *testing.T) {
	t.Parallel()
	s := onLoopback(t)
	p := publish(t, map[string]any{"redirect_uris": []string{"http://localhost/callback", "http://127.0.0.1/callback", host.WebRedirect}})
	b := host.NewBrowser(t)
	for uri, want := range map[string]bool{
		"http://localhost:53123/callback": true, "http://127.0.0.1:1/callback": true, host.WebRedirect: true,
		"http://localhost:53123/other": false, "https://evil.example/callback": false, "http://[::1]:1/callback": false,
	} {
		page := b.SignIn(t, clientAt(s.Acme, p.id(), uri).Authorize().URL(), s.Acme.UserEmail)
		if asked := page.Doc.Find(`[name="scope"]`).Length() > 0; asked != want || page.Location != nil {
			t.Errorf("%s: %d %q", uri, page.Status, page.Text("h1"))
		}
	}
}

func TestDocument_ErrorsSayWhatIsWrong(t *testing.T) {
	t.Parallel()
	s := onLoopback(t)
	b := host.NewBrowser(t)
	for name, tt := range map[string]struct {
		members map[string]any
		status  int
		words   string
	}{
		"secret":            {map[string]any{"client_secret": "x"}, 200, "client_secret"},
		"another client_id": {map[string]any{"client_id": "https://other.example/c"}, 200, "client_id is not the address"},
		"no name":           {map[string]any{"client_name": nil}, 200, "client_name is missing"},
		"method":            {map[string]any{"token_endpoint_auth_method": "tls_client_auth"}, 200, "tls_client_auth"},
		"not there":         {nil, 404, "status 404"},
		"down":              {nil, 503, "status 503"},
	} {
		p := publish(t, tt.members)
		p.answer(tt.status)
		page := b.Open(t, clientAt(s.Acme, p.id(), host.WebRedirect).Authorize().URL())
		if page.Status != http.StatusUnprocessableEntity || page.Location != nil || !strings.Contains(page.Text("body"), tt.words) {
			t.Errorf("%s: %d %v %q", name, page.Status, page.Location, page.Text("body"))
		}
	}
	for _, id := range []string{
		"https://10.0.0.1/c", "https://h.example/../c", "https://user@h.example/c", "https://h.example", "https://0x7f.1/c", "https://[::1]/c",
		"http://h.example/c", "https://h.example/c#f",
	} {
		page := b.Open(t, clientAt(s.Acme, id, host.WebRedirect).Authorize().URL())
		if page.Status != http.StatusUnprocessableEntity || page.Location != nil {
			t.Errorf("%s: %d %v", id, page.Status, page.Location)
		}
	}
}

func TestDocument_SwitchedOffIsUnknown(t *testing.T) {
	t.Parallel()
	off := false
	p := publish(t, nil)
	s := onLoopback(t, host.WithFile(func(f *apply.File) { f.Environments[0].Settings.MetadataDocuments = &off }))
	page := host.NewBrowser(t).Open(t, clientAt(s.Acme, p.id(), host.WebRedirect).Authorize().URL())
	if page.Status != http.StatusUnprocessableEntity || !strings.Contains(page.Text("h1"), "not known") || p.asked.Load() != 0 {
		t.Errorf("%d %q, %d fetches", page.Status, page.Text("h1"), p.asked.Load())
	}
	var metadata map[string]any
	_ = json.Unmarshal([]byte(host.Get(t, s.Acme.Issuer+"/.well-known/oauth-authorization-server").Raw), &metadata)
	if metadata["client_id_metadata_document_supported"] != false {
		t.Error("it is advertised")
	}
}

// Nobody makes us fetch anything through the endpoints that continue something.
func TestDocument_IsFetchedForAuthorizationOnly(t *testing.T) {
	t.Parallel()
	s, p := onLoopback(t), publish(t, nil)
	for _, path := range []string{"/token", "/revoke"} {
		answer := host.PostForm(t, s.Acme.Issuer+path, url.Values{
			"client_id": {p.id()}, "grant_type": {"authorization_code"}, "code": {"x"}, "code_verifier": {"x"}, "token": {"x"},
		})
		refused(t, path, answer, http.StatusUnauthorized, "invalid_client")
	}
	if n := p.asked.Load(); n != 0 {
		t.Errorf("%d fetches", n)
	}
}

func TestDocument_ChangesTakeEffect(t *testing.T) {
	t.Parallel()
	s, p := onLoopback(t), publish(t, nil)
	b := host.NewBrowser(t)
	c := clientAt(s.Acme, p.id(), host.WebRedirect)
	begun := b.SignIn(t, c.Authorize("data:read").URL(), s.Acme.UserEmail)
	const elsewhere = "https://host.example/elsewhere"
	p.change(map[string]any{"redirect_uris": []string{elsewhere}})
	s.Clock.Advance(2 * time.Minute)
	if page := b.Decide(t, begun, "approve", "data:read"); page.Location != nil || page.Status != http.StatusUnprocessableEntity {
		t.Errorf("the answer went where the document no longer leads: %v", page.Location)
	}
	if page := b.Open(t, c.Authorize("data:read").URL()); page.Location != nil || page.Status != http.StatusUnprocessableEntity {
		t.Errorf("the old redirect: %d", page.Status)
	}
	if page := b.Open(t, clientAt(s.Acme, p.id(), elsewhere).Authorize("data:read").URL()); page.Doc.Find(`[name="scope"]`).Length() == 0 {
		t.Errorf("the new redirect: %d %q", page.Status, page.Text("h1"))
	}
}

// Whoever gets hold of the document's address later gets nothing that was allowed to the app that had it before.
func TestDocument_TakenOverAfterConsentInheritsNothing(t *testing.T) {
	t.Parallel()
	s, p := onLoopback(t), publish(t, nil)
	b := host.NewBrowser(t)
	s.Connect(t, b, s.Acme, clientAt(s.Acme, p.id(), host.WebRedirect).Authorize("data:read", "profiles:read"), "data:read", "profiles:read")
	const stolen = "https://evil.example/callback"
	p.change(map[string]any{"redirect_uris": []string{stolen}})
	s.Clock.Advance(2 * time.Minute)
	a := clientAt(s.Acme, p.id(), stolen).Authorize("data:read")
	page := b.Open(t, a.URL())
	if page.Location != nil {
		t.Fatalf("a code went to %v without asking", page.Location.Host)
	}
	if !strings.Contains(page.Text("body"), "evil.example") || strings.Contains(page.Text("body"), "Already allowed") {
		t.Errorf("the page does not say where it goes, or counts what was allowed before: %q", page.Text("body"))
	}
	a.Params.Set("prompt", "none")
	if page = b.Open(t, a.URL()); page.Param("error") != "consent_required" {
		t.Errorf("silently: %v", page.Location)
	}
	if n := countWhere(t, s, `audit_events where action = 'client.document_changed'`); n != 1 {
		t.Errorf("%d audit events say that the document changed", n)
	}
}

func TestDocument_DisabledClientsStayOut(t *testing.T) {
	t.Parallel()
	s, p := onLoopback(t), publish(t, nil)
	c := clientAt(s.Acme, p.id(), host.WebRedirect)
	tokens := s.Connect(t, host.NewBrowser(t), s.Acme, c.Authorize("data:read"), "data:read")
	exec(t, s, `update clients set disabled_at = now()`)
	s.Clock.Advance(2 * time.Minute)
	refused(t, "refresh", c.Refresh(t, tokens.Refresh), http.StatusUnauthorized, "invalid_client")
	if page := host.NewBrowser(t).Open(t, c.Authorize().URL()); page.Status != http.StatusUnprocessableEntity {
		t.Errorf("authorize: %d", page.Status)
	}
	other := clientAt(s.Neighbour, p.id(), host.WebRedirect)
	s.Connect(t, host.NewBrowser(t), s.Neighbour, other.Authorize("data:read"), "data:read")
}

// The document's host is away and every node was restarted: nobody is logged out, and who comes anew hears what is wrong.
func TestDocument_ARestartWhileItsHostIsAwayLogsNobodyOut(t *testing.T) {
	t.Parallel()
	s, p := onLoopback(t), publish(t, nil)
	c := clientAt(s.Acme, p.id(), host.WebRedirect)
	b := host.NewBrowser(t)
	tokens := s.Connect(t, b, s.Acme, c.Authorize("data:read"), "data:read")
	p.answer(http.StatusServiceUnavailable)
	s.Restart(t)
	answer := c.Refresh(t, tokens.Refresh)
	if answer.Status != http.StatusOK {
		t.Fatalf("refresh: %d %s", answer.Status, answer.Raw)
	}
	if page := b.Open(t, c.Authorize("data:read").URL()); page.Param("code") == "" {
		t.Errorf("connecting again: %d %q", page.Status, page.Text("h1"))
	}
	s.Clock.Advance(8 * 24 * time.Hour)
	late := c.Refresh(t, answer.Str("refresh_token"))
	refused(t, "after a week", late, http.StatusServiceUnavailable, "temporarily_unavailable")
	p.answer(http.StatusOK)
	s.Clock.Advance(time.Minute)
	if answer = c.Refresh(t, answer.Str("refresh_token")); answer.Status != http.StatusOK {
		t.Errorf("when it is back: %d %s", answer.Status, answer.Raw)
	}
}

// The copy in the database is confirmed again while the document goes on unchanged, so that a week is counted from yesterday and
// not from the day of the consent.
func TestDocument_TheKeptCopyStaysYoung(t *testing.T) {
	t.Parallel()
	s, p := onLoopback(t), publish(t, nil)
	c := clientAt(s.Acme, p.id(), host.WebRedirect)
	tokens := s.Connect(t, host.NewBrowser(t), s.Acme, c.Authorize("data:read"), "data:read")
	refresh := tokens.Refresh
	for range 3 {
		s.Clock.Advance(5 * 24 * time.Hour)
		answer := c.Refresh(t, refresh)
		if answer.Status != http.StatusOK {
			t.Fatalf("refresh: %d %s", answer.Status, answer.Raw)
		}
		refresh = answer.Str("refresh_token")
	}
	p.answer(http.StatusServiceUnavailable)
	s.Restart(t)
	s.Clock.Advance(6 * 24 * time.Hour)
	if answer := c.Refresh(t, refresh); answer.Status != http.StatusOK {
		t.Errorf("three weeks after the consent, six days after the last good fetch: %d %s", answer.Status, answer.Raw)
	}
}

func countWhere(t *testing.T, s *host.Stack, from string) (n int) {
	t.Helper()
	err := s.DB.Pipe(s.Acme.Context(), func(b *pgx.Batch) {
		b.Queue(`select count(*) from ` + from).QueryRow(func(row pgx.Row) error { return row.Scan(&n) })
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}
