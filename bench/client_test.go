package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// echoing answers in each of the ways a server of ours does.
func echoing(t testing.TB) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /long", func(w http.ResponseWriter, _ *http.Request) { // too long for a Content-Length by itself
		for range 10 {
			_, _ = io.WriteString(w, strings.Repeat("0123456789", 100))
		}
	})
	mux.HandleFunc("POST /form", func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "a", Value: "1", Path: "/", HttpOnly: true})
		http.SetCookie(w, &http.Cookie{Name: "b", Value: "2"})
		w.Header().Set("Location", "https://host.example/callback?code="+r.PostFormValue("code"))
		w.WriteHeader(http.StatusSeeOther)
	})
	mux.HandleFunc("GET /short", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Header.Get("X-Forwarded-For")+" "+r.Header.Get("Cookie"))
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

func TestClient_ReadsWhatNetHTTPWrites(t *testing.T) {
	t.Parallel()
	s := echoing(t)
	c, err := dial(s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	for range 3 { // one connection, one request after the other
		if err := c.do(request{path: "/long", host: "x"}); err != nil || c.expect(200) != nil {
			t.Fatal(err, c.status)
		}
		if want := strings.Repeat("0123456789", 1000); string(c.body) != want {
			t.Errorf("a chunked body has %d bytes, want %d", len(c.body), len(want))
		}
		err := c.do(request{post: true, path: "/form", host: "x", contentType: formType, body: []byte("code=abc&more=1")})
		if err != nil || c.expect(303) != nil {
			t.Fatal(err, c.status)
		}
		if got := between(c.location, "code=", "&"); string(got) != "abc" || string(c.cookies) != "a=1; b=2" || len(c.body) != 0 {
			t.Errorf("location %q, cookies %q, body %q", c.location, c.cookies, c.body)
		}
		if err := c.do(request{path: "/short", host: "x", cookies: "a=1", address: "10.0.0.1"}); err != nil {
			t.Fatal(err)
		}
		if string(c.body) != "10.0.0.1 a=1" {
			t.Errorf("body %q", c.body)
		}
		if err := c.do(request{path: "/nothing", host: "x"}); err != nil {
			t.Fatal(err)
		}
		if err := c.expect(200); err == nil || !strings.Contains(err.Error(), "404") {
			t.Errorf("a wrong status: %v", err)
		}
	}
	if err := c.redial(); err != nil {
		t.Fatal(err)
	}
	if err := c.do(request{path: "/short", host: "x"}); err != nil || c.expect(200) != nil {
		t.Errorf("after redial: %v, %d", err, c.status)
	}
}

// BenchmarkDriver says what the driver's client saves over net/http's: the server is the same.
func BenchmarkDriver(b *testing.B) {
	b.Run("ours", func(b *testing.B) {
		c, err := dial(echoing(b).Listener.Addr().String())
		if err != nil {
			b.Fatal(err)
		}
		defer c.close()
		b.ReportAllocs()
		for b.Loop() {
			if err := c.do(request{path: "/short", host: "x"}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("net-http", func(b *testing.B) {
		url := echoing(b).URL + "/short"
		client, body := &http.Client{}, &bytes.Buffer{}
		b.ReportAllocs()
		for b.Loop() {
			answer, err := client.Get(url)
			if err != nil {
				b.Fatal(err)
			}
			body.Reset()
			_, _ = body.ReadFrom(answer.Body)
			_ = answer.Body.Close()
		}
	})
}
