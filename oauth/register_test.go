package oauth_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/ostiary/ostiary/app/apptest/host"
	"github.com/ostiary/ostiary/tenants/apply"
)

func TestRegister_AnswersAsHostsExpect(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	answer := host.PostJSON(t, s.Acme.Issuer+"/register", map[string]any{
		"client_name": "Cursor", "application_type": "web", "token_endpoint_auth_method": "none", "scope": "", "unknown": map[string]any{"a": 1},
		"grant_types": []string{"authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"},
		"redirect_uris": []string{
			"cursor://anysphere.cursor-mcp/oauth/callback", "https://www.cursor.com/agents/mcp/oauth/callback", "http://localhost:8787/callback",
		},
	})
	if answer.Status != http.StatusCreated || answer.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%d %s", answer.Status, answer.Raw)
	}
	for name, value := range answer.Body {
		if value == nil {
			t.Errorf("%s is null: SDKs refuse that", name)
		}
	}
	if uris, _ := answer.Body["redirect_uris"].([]any); len(uris) != 3 || uris[0] != "cursor://anysphere.cursor-mcp/oauth/callback" {
		t.Errorf("redirect_uris %v: must echo what was sent", uris)
	}
	if _, found := answer.Body["client_secret"]; found {
		t.Error("a public client got a secret")
	}
	secret := host.PostJSON(t, s.Acme.Issuer+"/register", map[string]any{"redirect_uris": []string{host.WebRedirect}})
	if secret.Str("client_secret") == "" || secret.Body["client_secret_expires_at"] != float64(0) {
		t.Errorf("without token_endpoint_auth_method a secret is owed (RFC 7591 §2): %s", secret.Raw)
	}
}

func TestRegister_RefusesWithTheRightCode(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	target := s.Acme.Issuer + "/register"
	for name, tt := range map[string]struct {
		body any
		code string
	}{
		"script":       {map[string]any{"redirect_uris": []string{"javascript:alert(1)"}}, "invalid_redirect_uri"},
		"data":         {map[string]any{"redirect_uris": []string{"data:text/html,x"}}, "invalid_redirect_uri"},
		"any scheme":   {map[string]any{"redirect_uris": []string{"myapp://cb"}, "token_endpoint_auth_method": "none"}, "invalid_redirect_uri"},
		"cleartext":    {map[string]any{"redirect_uris": []string{"http://example.com/cb"}}, "invalid_redirect_uri"},
		"no redirects": {map[string]any{"client_name": "x", "redirect_uris": []string{}, "grant_types": []string{}}, "invalid_redirect_uri"},
		"wrong type":   {map[string]any{"redirect_uris": "https://h.example/"}, "invalid_client_metadata"},
		"not metadata": {"hello", "invalid_client_metadata"},
		"too large":    {map[string]any{"client_name": strings.Repeat("x", 20<<10)}, "invalid_client_metadata"},
	} {
		refused(t, name, host.PostJSON(t, target, tt.body), 400, tt.code)
	}
	refused(t, "a form", host.PostForm(t, target, url.Values{"redirect_uris": {host.Redirect}}), 400, "invalid_client_metadata")
}

func TestRegister_CostsTheDatabaseNothing(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	c := s.Register(t, s.Acme, nil)
	if n := count(t, s, "clients"); n != 0 {
		t.Errorf("a registration wrote %d rows", n)
	}
	s.Connect(t, host.NewBrowser(t), s.Acme, c.Authorize("data:read"), "data:read")
	if n := count(t, s, "clients"); n != 1 {
		t.Errorf("after a consent there are %d clients", n)
	}
	if again := s.Register(t, s.Acme, nil); again.ID != c.ID {
		t.Error("the same public client got another id")
	}
}

func TestRegister_SecretWorksByBasicAndByPost(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	c := s.Register(t, s.Acme, map[string]any{"token_endpoint_auth_method": "client_secret_basic"})
	tokens := s.Connect(t, host.NewBrowser(t), s.Acme, c.Authorize("data:read"), "data:read") // by post, though it registered basic
	form := c.RefreshForm(tokens.Refresh)
	form.Del("client_id")
	form.Del("client_secret")
	r, err := http.NewRequest(http.MethodPost, c.Issuer+"/token", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(c.ID, c.Secret)
	if answer := host.Do(t, r); answer.Status != http.StatusOK {
		t.Errorf("basic: %d %s", answer.Status, answer.Raw)
	}
	r, _ = http.NewRequest(http.MethodPost, c.Issuer+"/token", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(c.ID, "wrong")
	answer := host.Do(t, r)
	refused(t, "wrong secret", answer, 401, "invalid_client")
	if answer.Header.Get("WWW-Authenticate") == "" {
		t.Error("a failed Basic authentication is owed a challenge (RFC 6749 §5.2)")
	}
	both := c.RefreshForm(tokens.Refresh)
	r, _ = http.NewRequest(http.MethodPost, c.Issuer+"/token", strings.NewReader(both.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(c.ID, c.Secret)
	refused(t, "two methods at once", host.Do(t, r), 400, "invalid_request")
}

func TestClients_DisabledOnesAreGoneEverywhere(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	c, tokens := connect(t, s)
	exec(t, s, `update clients set disabled_at = now()`)
	exec(t, s, `select pg_notify('ostiary_environment', $1)`, s.Acme.ID+" "+s.Acme.EnvironmentID)
	eventually(t, "the refusal", func() bool { return c.Refresh(t, tokens.Refresh).Status != http.StatusOK })
	refused(t, "refresh", c.Refresh(t, tokens.Refresh), 401, "invalid_client")
	if p := host.NewBrowser(t).Open(t, c.Authorize().URL()); p.Location != nil || p.Status != http.StatusUnprocessableEntity {
		t.Errorf("authorize: %d %v", p.Status, p.Location)
	}
}

func count(t *testing.T, s *host.Stack, table string) (n int) {
	t.Helper()
	err := s.DB.Pipe(s.Acme.Context(), func(b *pgx.Batch) {
		b.Queue(`select count(*) from ` + pgx.Identifier{table}.Sanitize()).QueryRow(func(row pgx.Row) error { return row.Scan(&n) })
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// A tenant lets a program that nobody here knows return to its scheme, and no browser run anything.
func TestRegister_TakesSchemesThatTheEnvironmentNames(t *testing.T) {
	t.Parallel()
	s := host.New(t, host.WithFile(func(f *apply.File) { f.Environments[0].Settings.RedirectSchemes = []string{"myapp", "javascript"} }))
	register := func(issuer, uri string) host.Answer {
		return host.PostJSON(t, issuer+"/register", map[string]any{"redirect_uris": []string{uri}, "token_endpoint_auth_method": "none"})
	}
	if answer := register(s.Acme.Issuer, "myapp://callback"); answer.Status != http.StatusCreated {
		t.Errorf("named by the environment: %d %s", answer.Status, answer.Raw)
	}
	refused(t, "not named", register(s.Acme.Issuer, "other://callback"), 400, "invalid_redirect_uri")
	refused(t, "run by browsers", register(s.Acme.Issuer, "javascript://callback"), 400, "invalid_redirect_uri")
	refused(t, "named by a neighbour", register(s.Neighbour.Issuer, "myapp://callback"), 400, "invalid_redirect_uri")
}

func TestRegister_PrivateSchemesAreTheTenantsDecision(t *testing.T) {
	t.Parallel()
	const app = "myapp://callback"
	s := host.New(t, host.WithFile(func(f *apply.File) {
		f.Environments[0].Clients = append(f.Environments[0].Clients, apply.Client{ID: "our-app", Name: "Ours", RedirectURIs: []string{app}})
	}))
	answer := host.PostJSON(t, s.Acme.Issuer+"/register", map[string]any{"redirect_uris": []string{app}, "token_endpoint_auth_method": "none"})
	refused(t, "registered by itself", answer, 400, "invalid_redirect_uri")
	if !strings.Contains(answer.Str("error_description"), "com.example.app") || !strings.Contains(answer.Str("error_description"), "tenant file") {
		t.Errorf("says not how to be accepted: %s", answer.Raw)
	}
	named := clientAt(s.Acme, "our-app", app).Authorize("data:read")
	b := host.NewBrowser(t)
	if p := b.Decide(t, b.SignIn(t, named.URL(), s.Acme.UserEmail), "approve", "data:read"); p.Param("code") == "" {
		t.Errorf("named by the tenant: %d %v", p.Status, p.Location)
	}
	theirs := clientAt(s.Neighbour, "our-app", app).Authorize("data:read")
	if p := host.NewBrowser(t).Open(t, theirs.URL()); p.Status != http.StatusUnprocessableEntity {
		t.Errorf("at the neighbour, who named nobody: %d", p.Status)
	}
}
