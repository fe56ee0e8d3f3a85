package oauth_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/ostiary/ostiary/app/apptest"
	"github.com/ostiary/ostiary/app/apptest/host"
	"github.com/ostiary/ostiary/tenants/tenanttest"
)

// everything returns all rows of all tables as text, whoever's they are.
func everything(t *testing.T, s *host.Stack) map[string]string {
	t.Helper()
	admin, err := url.Parse(apptest.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	own, err := url.Parse(s.Database.AppURL)
	if err != nil {
		t.Fatal(err)
	}
	admin.Path = own.Path
	conn, err := pgx.Connect(t.Context(), admin.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context()) //nolint:errcheck // the database goes with the test
	rows, err := conn.Query(t.Context(), `select tablename from pg_tables where schemaname = 'public'`)
	if err != nil {
		t.Fatal(err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, table := range tables {
		text := ""
		statement := `select coalesce(string_agg(to_jsonb(r)::text, E'\n'), '') from ` + pgx.Identifier{table}.Sanitize() + ` r`
		if err := conn.QueryRow(t.Context(), statement).Scan(&text); err != nil {
			t.Fatalf("%s: %v", table, err)
		}
		all[table] = text
	}
	return all
}

// Who reads the whole database can be nobody with it: no request, client or token is stored, only what was decided about them.
func TestFlow_StoresNothingThatCouldBeUsed(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	c := s.Register(t, s.Acme, map[string]any{"token_endpoint_auth_method": "client_secret_post", "redirect_uris": []string{host.WebRedirect}})
	a, b := c.Authorize("data:read", "openid"), host.NewBrowser(t)
	a.Params.Set("nonce", "nonce-of-this-request")
	p := b.SignIn(t, a.URL(), s.Acme.UserEmail)
	interaction := p.Form(t, "interaction").Values.Get("interaction")
	code := b.Decide(t, p, "approve", "data:read").Param("code")
	first := a.Redeem(t, code)
	second := c.Refresh(t, first.Str("refresh_token"))
	if second.Status != http.StatusOK {
		t.Fatal(second.Raw)
	}
	page, err := url.Parse(a.URL())
	if err != nil {
		t.Fatal(err)
	}
	secrets := map[string]string{
		"client's secret": c.Secret, "code": code, "verifier": a.Verifier, "challenge": a.Params.Get("code_challenge"), "state": a.State,
		"nonce": a.Params.Get("nonce"), "interaction": interaction, "first access token": first.Str("access_token"),
		"first refresh token": first.Str("refresh_token"), "second access token": second.Str("access_token"),
		"second refresh token": second.Str("refresh_token"), "id_token": first.Str("id_token"), "password": tenanttest.Password,
	}
	for _, cookie := range b.Client.Jar.Cookies(page) {
		secrets["cookie "+cookie.Name] = cookie.Value
	}
	sum := sha256.Sum256([]byte(c.Secret))
	secrets["hash of the client's secret"] = hex.EncodeToString(sum[:])
	secrets["hash of the client's secret in base64"] = base64.RawURLEncoding.EncodeToString(sum[:])
	if len(secrets) < 16 {
		t.Fatalf("only %d secrets", len(secrets))
	}
	kept := everything(t, s)
	if !strings.Contains(kept["grants"], c.ID) || !strings.Contains(kept["consents"], c.ID) {
		t.Fatal("the connection itself is not among what was read")
	}
	for name, secret := range secrets {
		if len(secret) < 8 {
			t.Errorf("the test has no %s", name)
			continue
		}
		for table, text := range kept {
			if strings.Contains(text, secret) {
				t.Errorf("%s keeps the %s", table, name)
			}
		}
	}
}

// A pushed request could be somebody else's than who authenticates (RFC 9126 §2.1): none is taken, and none is offered.
func TestAuthorize_NothingIsPushed(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	metadata := host.Get(t, s.Acme.Issuer+"/.well-known/openid-configuration")
	for name := range metadata.Body {
		if strings.Contains(name, "pushed") {
			t.Errorf("metadata offers %s", name)
		}
	}
	c := web(t, s)
	a := c.Authorize("data:read")
	for _, path := range []string{"/par", "/authorize/par", "/as/par"} {
		if answer := host.PostForm(t, s.Acme.Issuer+path, a.Params); answer.Status != http.StatusNotFound {
			t.Errorf("%s: %d %s", path, answer.Status, answer.Raw)
		}
	}
	a.Params.Set("request_uri", "urn:ietf:params:oauth:request_uri:6esc_11ACC5bwc014ltc14eY22c")
	if p := host.NewBrowser(t).Open(t, a.URL()); !strings.HasPrefix(p.Param("error"), "request_") || p.Param("code") != "" || p.Param("state") != a.State {
		t.Errorf("%d %v", p.Status, p.Location)
	}
}
