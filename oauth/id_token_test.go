package oauth_test

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/ostiary/ostiary/app/apptest/host"
	"github.com/ostiary/ostiary/tenants/apply"
)

// signIn runs a flow in which the user ticks exactly these permissions, and returns the token answer.
func signIn(t *testing.T, s *host.Stack, b *host.Browser, a *host.Authorization, ticked ...string) host.Answer {
	t.Helper()
	p := b.SignIn(t, a.URL(), s.Acme.UserEmail)
	if p.Location == nil {
		p = b.Decide(t, p, "approve", ticked...)
	}
	if p.Param("code") == "" {
		t.Fatalf("no code: status %d, %v, page %q", p.Status, p.Location, p.Text("h1"))
	}
	answer := a.Redeem(t, p.Param("code"))
	if answer.Status != http.StatusOK {
		t.Fatalf("token: %d %s", answer.Status, answer.Raw)
	}
	return answer
}

// verified returns header and claims of a JWT, checked against the issuer's JWKS by a library that is not ours.
func verified(t *testing.T, issuer, token string) (jose.Header, map[string]any) {
	t.Helper()
	var set jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(host.Get(t, issuer+"/.well-known/jwks.json").Raw), &set); err != nil {
		t.Fatal(err)
	}
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.ES256, jose.RS256, jose.EdDSA})
	if err != nil {
		t.Fatal(err)
	}
	keys := set.Key(jws.Signatures[0].Header.KeyID)
	if len(keys) != 1 {
		t.Fatalf("%d keys for kid %q", len(keys), jws.Signatures[0].Header.KeyID)
	}
	payload, err := jws.Verify(keys[0])
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	return jws.Signatures[0].Header, claims
}

// halfHash is at_hash of OpenID Connect Core §3.1.3.6, written down again.
func halfHash(alg, token string) string {
	if alg == "EdDSA" {
		sum := sha512.Sum512([]byte(token))
		return base64.RawURLEncoding.EncodeToString(sum[:32])
	}
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

func TestIDToken_SaysWhoToTheClientThatAsked(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	a := s.Register(t, s.Acme, nil).Authorize("openid", "profile", "email", "data:read")
	a.Params.Set("nonce", `n-0S6_WzA2Mj +/="<&`)
	before := s.Clock.Now().Add(-2 * time.Second)
	answer := signIn(t, s, host.NewBrowser(t), a, "data:read", "profile", "email")
	if got := answer.Str("scope"); got != "data:read profile email openid" {
		t.Errorf("scope %q", got)
	}
	header, id := verified(t, s.Acme.Issuer, answer.Str("id_token"))
	if typ := header.ExtraHeaders[jose.HeaderType]; typ != "JWT" {
		t.Errorf("typ %v", typ)
	}
	for name, want := range map[string]any{
		"iss": s.Acme.Issuer, "sub": s.Acme.UserID, "aud": a.Client.ID, "nonce": `n-0S6_WzA2Mj +/="<&`,
		"at_hash": halfHash(header.Algorithm, answer.Str("access_token")),
		"email":   s.Acme.UserEmail, "email_verified": true, "name": "Demo User",
	} {
		if id[name] != want {
			t.Errorf("%s: %v, want %v", name, id[name], want)
		}
	}
	for _, name := range []string{"iat", "auth_time"} {
		if at, _ := id[name].(float64); time.Unix(int64(at), 0).Before(before) {
			t.Errorf("%s: %v", name, id[name])
		}
	}
	if id["exp"].(float64) <= id["iat"].(float64) {
		t.Errorf("exp %v, iat %v", id["exp"], id["iat"])
	}
	if access := claims(t, answer.Str("access_token")); access["aud"] != a.Client.Resource || access["email"] != nil || access["name"] != nil {
		t.Errorf("access token %v: its audience is the MCP server, which learns no more than before", access)
	}
}

func TestIDToken_TellsNoMoreThanWasAllowed(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	for name, tt := range map[string]struct {
		asked, ticked []string
		scope         string
		has, lacks    []string
	}{
		"openid alone":            {[]string{"openid", "data:read"}, []string{"data:read"}, "data:read openid", []string{"sub"}, []string{"email", "name"}},
		"e-mail refused":          {[]string{"openid", "email", "profile", "data:read"}, []string{"data:read", "profile"}, "data:read openid profile", []string{"name"}, []string{"email", "email_verified"}},
		"ticked but not asked":    {[]string{"openid", "data:read"}, []string{"data:read", "email", "profile"}, "data:read openid", []string{"sub"}, []string{"email", "name"}},
		"nothing but the address": {[]string{"openid", "email", "data:read"}, []string{"email"}, "openid email", []string{"email"}, []string{"name"}},
	} {
		answer := signIn(t, s, host.NewBrowser(t), s.Register(t, s.Acme, nil).Authorize(tt.asked...), tt.ticked...)
		granted := strings.Fields(answer.Str("scope"))
		slices.Sort(granted)
		want := strings.Fields(tt.scope)
		slices.Sort(want)
		if !slices.Equal(granted, want) {
			t.Errorf("%s: scope %q", name, answer.Str("scope"))
		}
		id := claims(t, answer.Str("id_token"))
		for _, claim := range tt.has {
			if id[claim] == nil {
				t.Errorf("%s: no %s in %v", name, claim, id)
			}
		}
		for _, claim := range append(tt.lacks, "nonce") {
			if id[claim] != nil {
				t.Errorf("%s: %s in %v", name, claim, id)
			}
		}
	}
}

func TestIDToken_OnlyForOpenID(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	c := s.Register(t, s.Acme, nil)
	for name, asked := range map[string][]string{
		"no identity scope":    {"data:read"},
		"no scope":             nil,
		"profile and no more":  {"profile", "email"},
		"profile, then a tool": {"profile", "email", "data:read"},
	} {
		answer := signIn(t, s, host.NewBrowser(t), c.Authorize(asked...), "data:read")
		if _, has := answer.Body["id_token"]; has || answer.Str("scope") != "data:read" {
			t.Errorf("%s: %s", name, answer.Raw)
		}
	}
	// Hosts that ask for exactly what our metadata lists still want to use the MCP server.
	all := c.Authorize("openid", "profile", "email", "offline_access")
	answer := signIn(t, s, host.NewBrowser(t), all, "data:read", "profiles:read", "email")
	if got := answer.Str("scope"); got != "data:read profiles:read email openid offline_access" {
		t.Errorf("what the metadata lists gives %q", got)
	}
}

// OpenID Connect Core §12.2: a refreshed id_token is about the same sign-in, without the nonce, and as the user is now.
func TestIDToken_IsRefreshed(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	a := s.Register(t, s.Acme, nil).Authorize("openid", "email", "data:read")
	a.Params.Set("nonce", "once")
	first := signIn(t, s, host.NewBrowser(t), a, "data:read", "email")
	s.Clock.Advance(30 * time.Minute)
	exec(t, s, `update users set email = 'new@northwind.example', email_verified = false`)
	again := a.Client.Refresh(t, first.Str("refresh_token"))
	header, id := verified(t, s.Acme.Issuer, again.Str("id_token"))
	was := claims(t, first.Str("id_token"))
	for _, name := range []string{"iss", "sub", "aud", "auth_time"} {
		if id[name] != was[name] || id[name] == nil {
			t.Errorf("%s changed from %v to %v", name, was[name], id[name])
		}
	}
	if id["nonce"] != nil || id["iat"] == was["iat"] || id["email"] != "new@northwind.example" || id["email_verified"] != false ||
		id["at_hash"] != halfHash(header.Algorithm, again.Str("access_token")) {
		t.Errorf("refreshed id_token %v", id)
	}
	narrower := a.Client.RefreshForm(again.Str("refresh_token"))
	narrower.Set("scope", "data:read")
	if answer := a.Client.Token(t, narrower); answer.Body["id_token"] != nil || answer.Str("scope") != "data:read" {
		t.Errorf("narrowed to no openid: %s", answer.Raw)
	}
}

func TestIDToken_HashFollowsTheAlgorithm(t *testing.T) {
	t.Parallel()
	for _, alg := range []string{"RS256", "EdDSA"} {
		s := host.New(t, host.WithFile(func(f *apply.File) { f.Environments[0].Settings.SigningAlg = &alg }))
		answer := signIn(t, s, host.NewBrowser(t), s.Register(t, s.Acme, nil).Authorize("openid", "data:read"), "data:read")
		header, id := verified(t, s.Acme.Issuer, answer.Str("id_token"))
		if header.Algorithm != alg || id["at_hash"] != halfHash(alg, answer.Str("access_token")) {
			t.Errorf("%s: header %s, at_hash %v", alg, header.Algorithm, id["at_hash"])
		}
		if listed := host.Get(t, s.Acme.Issuer+"/.well-known/openid-configuration").Body["id_token_signing_alg_values_supported"]; !slices.Contains(listed.([]any), any(alg)) {
			t.Errorf("%s is not among %v", alg, listed)
		}
	}
}

func TestAuthorize_CarriesANonceOfBoundedLength(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	a := s.Register(t, s.Acme, nil).Authorize("openid", "data:read")
	a.Params.Set("nonce", strings.Repeat("n", 513))
	if p := host.NewBrowser(t).Open(t, a.URL()); p.Param("error") != "invalid_request" {
		t.Errorf("513 characters: %d %v", p.Status, p.Location)
	}
	a.Params.Set("nonce", "one")
	a.Params.Add("nonce", "two")
	if p := host.NewBrowser(t).Open(t, a.URL()); p.Param("error") != "invalid_request" {
		t.Errorf("two nonces: %d %v", p.Status, p.Location)
	}
}

// The consent page says in words what the app learns about the person, and the receipt keeps it.
func TestConsent_AsksAboutTheNameAndTheAddress(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	b := host.NewBrowser(t)
	a := s.Register(t, s.Acme, nil).Authorize("openid", "profile", "email", "data:read", "offline_access")
	p := b.SignIn(t, a.URL(), s.Acme.UserEmail)
	text := p.Text("body")
	for _, want := range []string{"Know your name", "Know your e-mail address"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	for _, silent := range []string{"openid", "offline_access"} {
		if p.Doc.Find(`[name="scope"][value="`+silent+`"]`).Length() != 0 {
			t.Errorf("%s is a box: it changes nothing that a person could judge", silent)
		}
	}
	b.Decide(t, p, "approve", "data:read", "email")
	var shown string
	query(t, s, `select receipt::text from consents`, &shown)
	if !strings.Contains(shown, "Know your name") || !strings.Contains(shown, "Know your e-mail address") {
		t.Errorf("receipt %s", shown)
	}
}

func TestConsent_OpenIDAloneIsNoNewQuestion(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	c := web(t, s)
	b := host.NewBrowser(t)
	signIn(t, s, b, c.Authorize("data:read"), "data:read")
	a := c.Authorize("openid", "offline_access", "data:read")
	p := b.Open(t, a.URL())
	if p.Param("code") == "" {
		t.Fatalf("asked again although nothing new is asked for: %d %q", p.Status, p.Text("h1"))
	}
	if answer := a.Redeem(t, p.Param("code")); answer.Str("id_token") == "" || answer.Str("scope") != "data:read openid offline_access" {
		t.Errorf("%s", answer.Raw)
	}
	more := b.Open(t, c.Authorize("openid", "email", "data:read").URL())
	boxes := more.Doc.Find(`[name="scope"]`)
	if boxes.Length() != 1 || boxes.AttrOr("value", "") != "email" {
		t.Errorf("asked about %d permissions, want the e-mail address only", boxes.Length())
	}
}

// An id_token_hint says whom the client expects (OpenID Connect Core §3.1.2.1).
func TestAuthorize_HonoursTheIDTokenHint(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	c := web(t, s)
	b := host.NewBrowser(t)
	mine := signIn(t, s, b, c.Authorize("openid", "data:read"), "data:read").Str("id_token")
	silent := func(hint string) host.Page {
		a := c.Authorize("openid", "data:read")
		a.Params.Set("prompt", "none")
		a.Params.Set("id_token_hint", hint)
		return b.Open(t, a.URL())
	}
	s.Clock.Advance(2 * time.Hour) // the hint has expired and still serves
	if p := silent(mine); p.Param("code") == "" {
		t.Errorf("the same user: %v", p.Location)
	}
	if p := silent("nonsense"); p.Param("code") == "" {
		t.Errorf("a hint that is none of ours is as if it were not there: %v", p.Location)
	}
	exec(t, s, `insert into users (tenant_id, environment_id, id, email, name, password_hash, created_at)
		select tenant_id, environment_id, 'usr_AAAAAAAAAAAAAAAAAAAAAAAAAA', 'other@northwind.example', 'Other', password_hash, created_at from users`)
	other := host.NewBrowser(t)
	p := other.SignIn(t, c.Authorize("openid", "data:read").URL(), "other@northwind.example")
	p = other.Decide(t, p, "approve", "data:read")
	if p.Param("code") == "" {
		t.Fatal("the other user gets no code")
	}
	b = other
	if p := silent(mine); p.Param("error") != "login_required" {
		t.Errorf("another user is signed in: %v", p.Location)
	}
}

// An id_token is no handle on a grant: whoever reads one in a log ends nothing with it (RFC 7009 §2.1).
func TestIDToken_RevokesNothing(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	c := s.Register(t, s.Acme, nil)
	answer := signIn(t, s, host.NewBrowser(t), c.Authorize("openid", "data:read"), "data:read")
	if revoked := c.Revoke(t, answer.Str("id_token")); revoked.Status != http.StatusOK {
		t.Errorf("an unknown token is answered like a revoked one: %d %s", revoked.Status, revoked.Raw)
	}
	form := c.RefreshForm(answer.Str("id_token"))
	refused(t, "an id_token as a refresh token", c.Token(t, form), 400, "invalid_grant")
	if again := c.Refresh(t, answer.Str("refresh_token")); again.Status != http.StatusOK {
		t.Errorf("the connection ended: %s", again.Raw)
	}
	if revoked := c.Revoke(t, answer.Str("access_token")); revoked.Status != http.StatusOK {
		t.Fatal(revoked.Raw)
	}
	refused(t, "refresh after the access token was revoked", c.Refresh(t, answer.Str("refresh_token")), 400, "invalid_grant")
}
