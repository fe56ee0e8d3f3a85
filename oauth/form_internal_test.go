package oauth

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/ostiary/ostiary/app/policy"
	"github.com/ostiary/ostiary/oauth/clients"
)

// post is a request to the token endpoint.
func post(target, authorization, body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/token", strings.NewReader(body))
	r.URL.RawQuery = target
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	return r
}

// What was posted is there once, whatever is asked for it.
func TestParsePost_LeavesOneValue(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]*http.Request{
		"a form": post("", "", "code=a"), "a form and a query": post("other=b", "", "code=a"),
	} {
		if err := parsePost(r); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := r.ParseMultipartForm(1 << 10); err != nil && !errors.Is(err, http.ErrNotMultipart) {
			t.Fatalf("%s: %v", name, err)
		}
		want := []string{"a"}
		if !slices.Equal(r.PostForm["code"], want) || !slices.Equal(r.Form["code"], want) {
			t.Errorf("%s: posted %v, all %v", name, r.PostForm, r.Form)
		}
		if got := r.Form.Get("other"); (got == "b") != (name == "a form and a query") {
			t.Errorf("%s: of the query %q", name, got)
		}
	}
}

func TestReadForm_TakesFormsOnly(t *testing.T) {
	t.Parallel()
	for contentType, want := range map[string]bool{
		"application/x-www-form-urlencoded": true, "application/x-www-form-urlencoded; charset=UTF-8": true,
		"Application/X-WWW-Form-Urlencoded": true,
		"":                                  false, "multipart/form-data; boundary=x": false, "multipart/mixed; boundary=x": false, "application/json": false,
		"text/plain": false, "application/x-www-form-urlencoded, multipart/form-data": false, "application/x-www-form-urlencoded2": false, ";": false,
	} {
		r := post("", "", "code=a")
		r.Header.Set("Content-Type", contentType)
		err := readForm(r)
		if (err == nil) != want || want && r.PostForm.Get("code") != "a" {
			t.Errorf("%q: %v, posted %v", contentType, err, r.PostForm)
		}
		if err == nil {
			continue
		}
		wantRefusal(t, err)
		if r.Form != nil || r.MultipartForm != nil {
			t.Errorf("%q: the body was read", contentType)
		}
	}
	empty := httptest.NewRequest(http.MethodPost, "/token", http.NoBody)
	if err := readForm(empty); err != nil {
		t.Errorf("nothing at all: %v; what is missing is told by whoever misses it", err)
	}
}

// A form has one reading, and a client proves itself in one way or is refused.
func FuzzForm(f *testing.F) {
	for _, body := range []string{
		"grant_type=authorization_code&code=oac_x&client_id=dcr_x&code_verifier=" + strings.Repeat("a", 43),
		"grant_type=refresh_token&client_id=a&client_secret=b&resource=x&resource=x", "client_id=a&client_id=b", "client_id=a&client%5fid=b",
		"client_assertion_type=" + url.QueryEscape(clients.AssertionType) + "&client_assertion=a.b.c", "a;b", "%", "=&=&", "client_id",
	} {
		f.Add("", "", body)
		f.Add("", "Basic YTpi", body)
	}
	f.Add("client_id=a", "", "client_secret=b")
	f.Add("", "Bearer x", "client_id=a")
	f.Add("", "Basic YSUzQTo=", "client_id=a%3A")
	f.Fuzz(func(t *testing.T, query, authorization, body string) {
		r := post(query, authorization, body)
		if err := readForm(r); err != nil {
			wantRefusal(t, err)
			return
		}
		if r.URL.RawQuery != "" {
			t.Fatalf("parameters in the URL pass: %q", query)
		}
		for name, values := range r.PostForm {
			if len(values) != 1 && name != "resource" {
				t.Fatalf("%q comes %d times in %q", name, len(values), body)
			}
		}
		c, err := readCredentials(r, r.PostForm)
		if err != nil {
			wantRefusal(t, err)
			return
		}
		ways := 0
		for _, used := range []bool{r.PostForm.Get("client_secret") != "", authorization != "", r.PostForm.Has("client_assertion")} {
			if used {
				ways++
			}
		}
		if ways > 1 || (authorization != "") != c.basic || (c.assertion != nil) != r.PostForm.Has("client_assertion") {
			t.Fatalf("%d proofs at once pass: %q and %q", ways, authorization, body)
		}
		if id := r.PostForm.Get("client_id"); id != "" && id != c.id {
			t.Fatalf("the body says client %q, it counts as %q", id, c.id)
		}
	})
}

// An authorization request that passes asks for a code, by S256, within bounds.
func FuzzAuthorizationRequest(f *testing.F) {
	challenge := "&code_challenge_method=S256&code_challenge=" + strings.Repeat("A", challengeLength)
	for _, query := range []string{
		"response_type=code" + challenge, "response_type=code&prompt=consent+none" + challenge, "response_type=token" + challenge,
		"response_type=code&code_challenge_method=plain&code_challenge=" + strings.Repeat("A", challengeLength),
		"response_type=code&response_type=code" + challenge, "response_type=code&request=e30" + challenge,
		"response_type=code&response_mode=fragment" + challenge, "response_type=code&prompt=login+select_account&state=%00" + challenge,
	} {
		f.Add(query)
	}
	f.Fuzz(func(t *testing.T, query string) {
		form, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		if err := checkProtocol(form); err != nil {
			wantRefusal(t, err)
			return
		}
		if form.Get("response_type") != "code" || form.Get("code_challenge_method") != "S256" || len(form.Get("code_challenge")) != challengeLength ||
			form.Has("request") || form.Has("request_uri") || len(form.Get("state")) > maxState || len(form.Get("nonce")) > maxNonce {
			t.Fatalf("passes: %q", query)
		}
		for name, values := range form {
			if len(values) > 1 && name != "resource" {
				t.Fatalf("%q comes %d times", name, len(values))
			}
		}
		prompt, err := readPrompt(form.Get("prompt"))
		if err != nil {
			wantRefusal(t, err)
			return
		}
		if !slices.Contains([]string{"", promptNone, promptLogin, promptConsent, promptLoginConsent}, prompt) {
			t.Fatalf("prompt %q is read as %q", form.Get("prompt"), prompt)
		}
	})
}

// wantRefusal fails unless err tells the client what it did wrong.
func wantRefusal(t *testing.T, err error) {
	t.Helper()
	var p *problem
	if !errors.As(err, &p) || p.status < 400 || p.status >= 500 || p.code == "" || p.description == "" {
		t.Fatalf("refused as %v", err)
	}
}

// Whatever is asked for, what is granted was asked for and is offered; each scope once.
func FuzzScopes(f *testing.F) {
	for _, scope := range []string{
		"", " ", "data:read", "data:read data:read", "openid profile email offline_access", "profile", "*", "data", "data:read.all",
		"data:read\tdata:write\nnothing:here", "\u00a0data:read", "DATA:READ", "offline_access",
	} {
		f.Add(scope, "data:read")
		f.Add("data:read data:write openid", scope)
	}
	offered := []string{"data:write", "data:read", "data"}
	r := &Resource{offered: offered}
	r.Document.Scopes = map[string]policy.Scope{"data:read": {Baseline: true}, "data:write": {}, "data": {Required: true}}
	f.Fuzz(func(t *testing.T, first, second string) {
		requested := splitScopes(first)
		for _, s := range requested {
			if s == "" || strings.ContainsAny(s, " \t\r\n") {
				t.Fatalf("%q holds %q", first, s)
			}
		}
		granted, ok := r.limitScopes(requested)
		if ok != (len(granted) > 0) {
			t.Fatalf("%q: granted %q, %v", first, granted, ok)
		}
		wantOnce(t, requested)
		wantOnce(t, granted)
		fallback := len(requested) == 0 || !slices.ContainsFunc(requested, func(s string) bool { return slices.Contains(offered, s) })
		for _, s := range granted {
			switch {
			case !slices.Contains(offered, s) && !isOwnScope(s):
				t.Fatalf("%q grants %q, which is not offered", first, s)
			case !slices.Contains(requested, s) && (!fallback || !slices.Contains(r.baseline(), s)):
				t.Fatalf("%q grants %q, which was not asked for", first, s)
			}
		}
		narrower, ok := narrow(granted, splitScopes(second))
		if ok != (len(narrower) > 0) {
			t.Fatalf("narrowed to %q, %v", narrower, ok)
		}
		wantOnce(t, narrower)
		for _, s := range narrower {
			if !slices.Contains(granted, s) {
				t.Fatalf("%q narrowed by %q has %q", granted, second, s)
			}
		}
	})
}

func wantOnce(t *testing.T, scopes []string) {
	t.Helper()
	sorted := slices.Sorted(slices.Values(scopes))
	if len(slices.Compact(sorted)) != len(scopes) {
		t.Fatalf("twice in %q", scopes)
	}
}
