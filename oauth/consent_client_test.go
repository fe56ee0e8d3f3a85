package oauth_test

import (
	"bytes"
	"encoding/json"
	"image"
	"image/png"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/ostiary/ostiary/app/apptest/host"
)

const (
	codeDocument  = "https://vscode.dev/oauth/client-metadata.json"
	otherDocument = "https://apps.evil.example/oauth/client.json"
)

// withDocument answers for a document with these members.
func withDocument(t *testing.T, id string, members map[string]any) host.Option {
	t.Helper()
	members["client_id"] = id
	raw, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	return host.WithClientDocument(id, string(raw))
}

// A document proves its address and nothing it says: whoever borrows a name is shown with an address of their own.
func TestConsent_ADocumentProvesItsAddressOnly(t *testing.T) {
	t.Parallel()
	s := host.New(t, withDocument(t, otherDocument, published("Claude", map[string]any{"logo_uri": "https://apps.evil.example/claude.png"},
		"https://elsewhere.evil.example/callback", "http://localhost/callback")))
	b := host.NewBrowser(t)
	page := b.SignIn(t, clientAt(s.Acme, otherDocument, "https://elsewhere.evil.example/callback").Authorize().URL(), s.Acme.UserEmail)
	for selector, want := range map[string]string{
		"h1": "apps.evil.example wants to use Acme Data", ".seal": "Address verified", ".asker small": "calls itself “Claude”",
		".asker bdi": "apps.evil.example",
	} {
		if got := page.Text(selector); got != want {
			t.Errorf("%s: %q", selector, got)
		}
	}
	if text := page.Text("body"); !strings.Contains(text, "elsewhere.evil.example") {
		t.Error("the page does not say where the answer goes (MCP: the redirect's host must be displayed)")
	}
	if page.Doc.Find(".asker img").Length() > 0 {
		t.Error("a borrowed logo is shown")
	}
	page = b.Open(t, clientAt(s.Acme, otherDocument, "http://localhost:4000/callback").Authorize().URL())
	if text := page.Text("body"); !strings.Contains(text, "could say it is apps.evil.example") || !strings.Contains(text, "localhost:4000") {
		t.Errorf("on loopback: %q", text)
	}
}

// What was allowed to a web address is not given to any program on the computer that names the same document.
func TestConsent_AWebConsentIsNotForProgramsOnTheComputer(t *testing.T) {
	t.Parallel()
	s := host.New(t, withDocument(t, codeDocument, published("Visual Studio Code", nil, "http://127.0.0.1:33418/", "https://vscode.dev/redirect")))
	b := host.NewBrowser(t)
	web := clientAt(s.Acme, codeDocument, "https://vscode.dev/redirect")
	s.Connect(t, b, s.Acme, web.Authorize("data:read", "profiles:read"), "data:read", "profiles:read")
	if page := b.Open(t, web.Authorize("data:read").URL()); page.Param("code") == "" {
		t.Fatalf("for the web address it is remembered: %d", page.Status)
	}
	computer := clientAt(s.Acme, codeDocument, "http://127.0.0.1:33418/")
	for range 2 {
		a := computer.Authorize("data:read")
		page := b.Open(t, a.URL())
		if page.Location != nil || strings.Contains(page.Text("body"), "Already allowed") {
			t.Fatalf("on the computer: %v", page.Location)
		}
		if options := page.Doc.Find(`select[name="duration"] option`).Length(); options != 2 {
			t.Errorf("%d durations; there is none without an end", options)
		}
		if page = b.Decide(t, page, "approve", "data:read"); page.Param("code") == "" {
			t.Fatalf("%d", page.Status)
		}
		if got := a.Redeem(t, page.Param("code")).Str("scope"); got != "data:read" {
			t.Errorf("granted %q", got)
		}
	}
}

func TestConsent_ShowsTheLogoOfAKnownHostFromHere(t *testing.T) {
	t.Parallel()
	var logo bytes.Buffer
	if err := png.Encode(&logo, image.NewGray(image.Rect(0, 0, 64, 64))); err != nil {
		t.Fatal(err)
	}
	const logoURI = "https://vscode.dev/logo.png"
	s := host.New(t, host.WithClientDocument(logoURI, logo.String()),
		withDocument(t, codeDocument, published("Visual Studio Code", map[string]any{"logo_uri": logoURI}, "https://vscode.dev/redirect")),
		withDocument(t, otherDocument, published("Borrower", map[string]any{"logo_uri": logoURI}, "https://apps.evil.example/cb")))
	b := host.NewBrowser(t)
	client := clientAt(s.Acme, codeDocument, "https://vscode.dev/redirect")
	src := ""
	eventually(t, "the logo", func() bool {
		src = b.SignIn(t, client.Authorize().URL(), s.Acme.UserEmail).Doc.Find(".asker img").AttrOr("src", "")
		return src != ""
	})
	issuer, err := url.Parse(s.Acme.Issuer)
	if err != nil {
		t.Fatal(err)
	}
	target, err := issuer.Parse(src)
	if err != nil || target.Host != issuer.Host {
		t.Fatalf("the logo is at %q", src)
	}
	answer := host.Get(t, target.String())
	if answer.Status != http.StatusOK || answer.Header.Get("Content-Type") != "image/png" || answer.Header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%d %v", answer.Status, answer.Header)
	}
	if _, err := png.Decode(strings.NewReader(answer.Raw)); err != nil {
		t.Error(err)
	}
	for name, bad := range map[string]string{
		"another hash":   strings.Replace(target.String(), "/clients/logo/", "/clients/logo/x", 1),
		"no client":      strings.Split(target.String(), "?")[0],
		"not ours":       strings.Replace(target.String(), "vscode.dev", "apps.evil.example", 1),
		"another tenant": strings.Replace(target.String(), s.Acme.Environment, "nobody", 1),
	} {
		if got := host.Get(t, bad); got.Status != http.StatusNotFound {
			t.Errorf("%s: %d", name, got.Status)
		}
	}
}
