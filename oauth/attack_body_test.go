package oauth_test

import (
	"bytes"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/ostiary/ostiary/app/apptest/host"
)

// A body that fosite could read, but our checks of it could not, would pass parameters twice and hide who is limited.
func TestToken_TakesNoOtherBodies(t *testing.T) {
	t.Parallel()
	s := host.New(t, host.WithRateLimit(20))
	c, tokens := connect(t, s)
	parts := func(pairs ...string) (string, []byte) {
		var body bytes.Buffer
		w := multipart.NewWriter(&body)
		for n := 0; n < len(pairs); n += 2 {
			if err := w.WriteField(pairs[n], pairs[n+1]); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return w.FormDataContentType(), body.Bytes()
	}
	refresh := []string{"grant_type", "refresh_token", "refresh_token", tokens.Refresh, "client_id", c.ID, "token", tokens.Refresh}
	for _, path := range []string{"/token", "/revoke", "/introspect"} {
		for name, pairs := range map[string][]string{"once": refresh, "twice": append(slices.Clone(refresh), refresh...)} {
			contentType, body := parts(pairs...)
			refused(t, path+" multipart, "+name, host.Post(t, c.Issuer+path, contentType, body, nil), 400, "invalid_request")
		}
		form := []byte(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {tokens.Refresh}, "client_id": {c.ID}}.Encode())
		for _, contentType := range []string{"application/json", "text/plain", ""} {
			refused(t, path+" as "+contentType, host.Post(t, c.Issuer+path, contentType, form, nil), 400, "invalid_request")
		}
	}
	contentType, body := parts(refresh...)
	for range 100 { // far beyond what a client may ask for: nothing of it is counted as the client's
		refused(t, "a flood", host.Post(t, c.Issuer+"/token", contentType, body, nil), 400, "invalid_request")
	}
	empty, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.Issuer+"/token", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	refused(t, "nothing at all", host.Do(t, empty), 400, "invalid_request")
	if got := c.Refresh(t, tokens.Refresh); got.Status != http.StatusOK {
		t.Errorf("what was refused did something: %s", got.Raw)
	}
}

func TestAuthorize_TakesNoOtherBodies(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	a := s.Register(t, s.Acme, nil).Authorize()
	target, query, _ := strings.Cut(a.URL(), "?")
	if got := host.Post(t, target, "application/x-www-form-urlencoded", []byte(query), nil); got.Status != http.StatusOK {
		t.Errorf("a form: %d", got.Status)
	}
	body := "--x\r\nContent-Disposition: form-data; name=\"%s\"\r\n\r\n%s\r\n--x--\r\n"
	for name, value := range map[string]string{"request_uri": "https://h.example/r", "scope": "openid", "client_id": "nobody"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, a.URL(), strings.NewReader(fmt.Sprintf(body, name, value)))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "multipart/form-data; boundary=x")
		if answer := host.Do(t, r); answer.Status != http.StatusOK {
			t.Errorf("%s in the body of a GET counts: %d %s", name, answer.Status, answer.Header.Get("Location"))
		}
	}
	if got := host.Post(t, a.URL(), "multipart/form-data; boundary=x", []byte("--x--\r\n"), nil); got.Status != http.StatusUnprocessableEntity {
		t.Errorf("multipart: %d", got.Status)
	}
}
