package oauth_test

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ostiary/ostiary/app/apptest/host"
)

// code runs a flow up to the code.
func code(t *testing.T, s *host.Stack, a *host.Authorization) string {
	t.Helper()
	b := host.NewBrowser(t)
	p := b.Decide(t, b.SignIn(t, a.URL(), s.Acme.UserEmail), "approve", "data:read")
	if p.Param("code") == "" {
		t.Fatalf("no code: %v", p.Location)
	}
	return p.Param("code")
}

func refused(t *testing.T, what string, a host.Answer, status int, code string) {
	t.Helper()
	if a.Status != status || a.Str("error") != code {
		t.Errorf("%s: %d %s, want %d %s", what, a.Status, a.Raw, status, code)
	}
	if a.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%s: Cache-Control %q", what, a.Header.Get("Cache-Control"))
	}
}

func TestToken_ReplayedCodeRevokesItsTokens(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	a := s.Register(t, s.Acme, nil).Authorize()
	c := code(t, s, a)
	first := a.Redeem(t, c)
	if first.Status != http.StatusOK {
		t.Fatal(first.Raw)
	}
	refused(t, "replayed code", a.Redeem(t, c), 400, "invalid_grant")
	refused(t, "refresh after the replay", a.Client.Refresh(t, first.Str("refresh_token")), 400, "invalid_grant")
}

func TestToken_CodeRaceHasOneWinner(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	a := s.Register(t, s.Acme, nil).Authorize()
	form := a.TokenForm(code(t, s, a))
	var wg sync.WaitGroup
	answers := make([]host.Answer, 4)
	for i := range answers {
		wg.Go(func() { answers[i] = a.Client.Token(t, form) })
	}
	wg.Wait()
	won := 0
	for _, answer := range answers {
		if answer.Status == http.StatusOK {
			won++
		} else {
			refused(t, "loser", answer, 400, "invalid_grant")
		}
	}
	if won != 1 {
		t.Errorf("%d of 4 redemptions won", won)
	}
}

func TestToken_PKCECannotBeSkipped(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	a := s.Register(t, s.Acme, nil).Authorize()
	c := code(t, s, a)
	without := a.TokenForm(c)
	without.Del("code_verifier")
	wrong := a.TokenForm(c)
	wrong.Set("code_verifier", strings.Repeat("x", 43))
	short := a.TokenForm(c)
	short.Set("code_verifier", "short")
	refused(t, "no verifier", a.Client.Token(t, without), 400, "invalid_grant")
	refused(t, "wrong verifier", a.Client.Token(t, wrong), 400, "invalid_grant")
	refused(t, "short verifier", a.Client.Token(t, short), 400, "invalid_grant")
	refused(t, "verifier dropped on retry", a.Client.Token(t, without), 400, "invalid_grant")
	if ok := a.Redeem(t, c); ok.Status != http.StatusOK {
		t.Errorf("the right verifier is refused after wrong ones: %s", ok.Raw)
	}
}

func TestAuthorize_RefusesWhatIsNotS256(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	c := s.Register(t, s.Acme, nil)
	for name, tt := range map[string]struct {
		change func(url.Values)
		code   string
	}{
		"no challenge":      {func(p url.Values) { p.Del("code_challenge") }, "invalid_request"},
		"plain":             {func(p url.Values) { p.Set("code_challenge_method", "plain") }, "invalid_request"},
		"method left out":   {func(p url.Values) { p.Del("code_challenge_method") }, "invalid_request"},
		"not a SHA-256":     {func(p url.Values) { p.Set("code_challenge", "abc") }, "invalid_request"},
		"token response":    {func(p url.Values) { p.Set("response_type", "token") }, "unsupported_response_type"},
		"no response type":  {func(p url.Values) { p.Del("response_type") }, "invalid_request"},
		"fragment response": {func(p url.Values) { p.Set("response_mode", "fragment") }, "invalid_request"},
		"request object":    {func(p url.Values) { p.Set("request", "eyJhbGciOiJub25lIn0.e30.") }, "request_not_supported"},
		"request uri":       {func(p url.Values) { p.Set("request_uri", "http://127.0.0.1:1/x") }, "request_uri_not_supported"},
		"state twice":       {func(p url.Values) { p.Add("state", "other") }, "invalid_request"},
		"unknown scope":     {func(p url.Values) { p.Set("scope", "nothing:here") }, "invalid_scope"},
		"foreign resource":  {func(p url.Values) { p.Set("resource", "https://elsewhere.example/mcp") }, "invalid_target"},
		"two resources":     {func(p url.Values) { p.Add("resource", "https://elsewhere.example/mcp") }, "invalid_target"},
		"relative resource": {func(p url.Values) { p.Set("resource", "/mcp") }, "invalid_target"},
		"prompt=none":       {func(p url.Values) { p.Set("prompt", "none") }, "login_required"},
	} {
		a := c.Authorize()
		tt.change(a.Params)
		p := host.NewBrowser(t).Open(t, a.URL())
		if p.Location == nil || !strings.HasPrefix(p.Location.String(), host.Redirect+"?") {
			t.Errorf("%s: status %d, location %v; the client must hear of it", name, p.Status, p.Location)
			continue
		}
		if p.Param("code") != "" || p.Param("error") != tt.code || p.Param("iss") != s.Acme.Issuer {
			t.Errorf("%s: %v, want %s", name, p.Location, tt.code)
		}
		if name != "state twice" && p.Param("state") != a.State {
			t.Errorf("%s: state %q", name, p.Param("state"))
		}
	}
}

func TestAuthorize_ShowsAPageWhileClientOrRedirectIsInDoubt(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	c := s.Register(t, s.Acme, nil)
	neighbour := s.Register(t, s.Neighbour, nil)
	for name, change := range map[string]func(url.Values){
		"unknown client":          func(p url.Values) { p.Set("client_id", "nobody") },
		"another tenant's client": func(p url.Values) { p.Set("client_id", neighbour.ID) },
		"no client":               func(p url.Values) { p.Del("client_id") },
		"two clients":             func(p url.Values) { p.Add("client_id", "x") },
		"no redirect":             func(p url.Values) { p.Del("redirect_uri") },
		"open redirect":           func(p url.Values) { p.Set("redirect_uri", "https://evil.example/cb") },
		"other path":              func(p url.Values) { p.Set("redirect_uri", "http://127.0.0.1:53682/other") },
		"script":                  func(p url.Values) { p.Set("redirect_uri", "javascript:alert(1)") },
		"data":                    func(p url.Values) { p.Set("redirect_uri", "data:text/html,<script>alert(1)</script>") },
		"userinfo":                func(p url.Values) { p.Set("redirect_uri", "http://x@127.0.0.1:53682/callback") },
		"two redirects":           func(p url.Values) { p.Add("redirect_uri", "https://evil.example/cb") },
	} {
		a := c.Authorize()
		change(a.Params)
		p := host.NewBrowser(t).Open(t, a.URL())
		if p.Location != nil || p.Status < 400 || p.Status >= 500 {
			t.Errorf("%s: status %d, location %v", name, p.Status, p.Location)
		}
		if p.Text("h1") == "" {
			t.Errorf("%s: the page says nothing", name)
		}
	}
}

func TestToken_ResourceIsNeverWidened(t *testing.T) {
	t.Parallel()
	s := host.New(t, host.WithFile(twoServers))
	a := s.Register(t, s.Acme, nil).Authorize()
	c := code(t, s, a)
	for name, resource := range map[string]string{"unknown": "https://elsewhere.example/mcp", "another of ours": secondServer} {
		form := a.TokenForm(c)
		form.Set("resource", resource)
		refused(t, "code for "+name, a.Client.Token(t, form), 400, "invalid_target")
	}
	form := a.TokenForm(c)
	form["resource"] = []string{a.Client.Resource, a.Client.Resource} // some hosts send it twice
	tokens := a.Client.Token(t, form)
	if tokens.Status != http.StatusOK {
		t.Fatal(tokens.Raw)
	}
	for name, resource := range map[string]string{"unknown": "https://elsewhere.example/mcp", "another of ours": secondServer} {
		form := a.Client.RefreshForm(tokens.Str("refresh_token"))
		form.Set("resource", resource)
		refused(t, "refresh for "+name, a.Client.Token(t, form), 400, "invalid_target")
	}
	form = a.Client.RefreshForm(tokens.Str("refresh_token"))
	form.Del("resource") // Go clients leave it out
	answer := a.Client.Token(t, form)
	if answer.Status != http.StatusOK || claims(t, answer.Str("access_token"))["aud"] != a.Client.Resource {
		t.Errorf("refresh without resource: %d %s", answer.Status, answer.Raw)
	}
}

func TestToken_AnotherTenantsSecretsOpenNothing(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	mine := s.Register(t, s.Acme, nil)
	theirs := s.Register(t, s.Neighbour, nil)
	a := mine.Authorize()
	c := code(t, s, a)
	crossed := *mine
	crossed.Issuer = s.Neighbour.Issuer
	refused(t, "client of another tenant", crossed.Token(t, a.TokenForm(c)), 401, "invalid_client")
	form := a.TokenForm(c)
	form.Set("client_id", theirs.ID)
	refused(t, "code of another tenant", theirs.Token(t, form), 400, "invalid_grant")
	tokens := a.Redeem(t, c)
	if tokens.Status != http.StatusOK {
		t.Fatal(tokens.Raw)
	}
	form = mine.RefreshForm(tokens.Str("refresh_token"))
	form.Set("client_id", theirs.ID)
	refused(t, "refresh token of another tenant", theirs.Token(t, form), 400, "invalid_grant")
	if answer := theirs.Revoke(t, tokens.Str("refresh_token")); answer.Status != http.StatusOK {
		t.Errorf("revocation of a foreign token: %d", answer.Status)
	}
	if answer := mine.Refresh(t, tokens.Str("refresh_token")); answer.Status != http.StatusOK {
		t.Errorf("another tenant ended the grant: %s", answer.Raw)
	}
}

func TestToken_AnotherClientsTokensAreNotForIt(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	a := s.Register(t, s.Acme, nil).Authorize()
	thief := s.Register(t, s.Acme, map[string]any{"client_name": "Thief"})
	c := code(t, s, a)
	form := a.TokenForm(c)
	form.Set("client_id", thief.ID)
	refused(t, "stolen code", thief.Token(t, form), 400, "invalid_grant")
	tokens := a.Redeem(t, c)
	form = a.Client.RefreshForm(tokens.Str("refresh_token"))
	form.Set("client_id", thief.ID)
	refused(t, "stolen refresh token", thief.Token(t, form), 400, "invalid_grant")
	if answer := thief.Revoke(t, tokens.Str("refresh_token")); answer.Status != http.StatusOK {
		t.Errorf("revocation: %d", answer.Status)
	}
	if answer := a.Client.Refresh(t, tokens.Str("refresh_token")); answer.Status != http.StatusOK {
		t.Errorf("another client ended the grant: %s", answer.Raw)
	}
}

func TestToken_ExpiredCodeIsRefused(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	a := s.Register(t, s.Acme, nil).Authorize()
	c := code(t, s, a)
	s.Clock.Advance(61 * time.Second)
	refused(t, "old code", a.Redeem(t, c), 400, "invalid_grant")
}

func TestToken_RefusesMalformedRequests(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	client := s.Register(t, s.Acme, nil)
	secret := s.Register(t, s.Acme, map[string]any{"token_endpoint_auth_method": "client_secret_basic"})
	a := client.Authorize()
	c := code(t, s, a)
	twice := a.TokenForm(c)
	twice.Add("code_verifier", a.Verifier)
	refused(t, "parameter twice", client.Token(t, twice), 400, "invalid_request")
	refused(t, "unknown grant type", client.Token(t, url.Values{"grant_type": {"password"}, "client_id": {client.ID}}), 400, "unsupported_grant_type")
	refused(t, "no grant type", client.Token(t, url.Values{"client_id": {client.ID}}), 400, "invalid_request")
	refused(t, "empty body", client.Token(t, url.Values{}), 400, "invalid_request")
	refused(t, "no client", client.Token(t, url.Values{"grant_type": {"authorization_code"}, "code": {c}}), 401, "invalid_client")
	refused(t, "unknown client", client.Token(t, url.Values{"grant_type": {"refresh_token"}, "client_id": {"gone"}}), 401, "invalid_client")
	refused(t, "wrong secret", client.Token(t, url.Values{
		"grant_type": {"refresh_token"}, "client_id": {secret.ID}, "client_secret": {"ocs_wrong"},
	}), 401, "invalid_client")
	refused(t, "secret left out", client.Token(t, url.Values{"grant_type": {"refresh_token"}, "client_id": {secret.ID}}), 401, "invalid_client")
	refused(t, "credentials in the URL", host.PostForm(t, client.Issuer+"/token?client_id="+client.ID, a.TokenForm(c)), 400, "invalid_request")
	other := a.TokenForm(c)
	other.Set("redirect_uri", host.WebRedirect)
	refused(t, "another redirect", client.Token(t, other), 400, "invalid_grant")
	get := host.Get(t, client.Issuer+"/token")
	if get.Status != http.StatusMethodNotAllowed && get.Status != http.StatusNotFound {
		t.Errorf("GET: %d", get.Status)
	}
	if ok := a.Redeem(t, c); ok.Status != http.StatusOK {
		t.Errorf("refused requests spent the code: %s", ok.Raw)
	}
}
