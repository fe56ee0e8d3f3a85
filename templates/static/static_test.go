package static

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func serveOnce(t *testing.T, method, path string, header http.Header) *http.Response {
	t.Helper()
	req := httptest.NewRequest(method, path, nil)
	for k, v := range header {
		req.Header[k] = v
	}
	rec := httptest.NewRecorder()
	Handler().ServeHTTP(rec, req)
	return rec.Result()
}

func body(t *testing.T, r io.Reader) string {
	t.Helper()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestHandler_ServesEachFileForEverWithItsType(t *testing.T) {
	t.Parallel()
	for name, kind := range map[string]string{
		"app.css": "text/css; charset=utf-8", "app.js": "text/javascript; charset=utf-8",
		"htmx.js": "text/javascript; charset=utf-8", "favicon.svg": "image/svg+xml",
	} {
		plain := serveOnce(t, http.MethodGet, URL(name), nil)
		if plain.StatusCode != http.StatusOK || plain.Header.Get("Content-Type") != kind ||
			plain.Header.Get("Cache-Control") != "public, max-age=31536000, immutable" || plain.Header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("%s: %d %v", name, plain.StatusCode, plain.Header)
		}
		zipped := serveOnce(t, http.MethodGet, URL(name), http.Header{"Accept-Encoding": {"br, gzip;q=0.8"}})
		if zipped.Header.Get("Content-Encoding") != "gzip" {
			t.Fatalf("%s: not compressed", name)
		}
		zr, err := gzip.NewReader(zipped.Body)
		if err != nil {
			t.Fatal(err)
		}
		if body(t, zr) != body(t, plain.Body) {
			t.Errorf("%s: compressed and plain differ", name)
		}
	}
}

func TestHandler_RefusesWhatItDoesNotServe(t *testing.T) {
	t.Parallel()
	for _, path := range []string{
		"/static/", "/static/app.css", "/static/0000000000000000/app.css", "/static/../embed.go",
		strings.Replace(URL("app.css"), "app.css", "embed.go", 1), strings.Replace(URL("app.css"), "app.css", "app.js", 1), URL("app.css") + "/x",
	} {
		res := serveOnce(t, http.MethodGet, path, nil)
		if res.StatusCode != http.StatusNotFound || res.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: status %d, %s", path, res.StatusCode, res.Header.Get("Cache-Control"))
		}
	}
	if res := serveOnce(t, http.MethodPost, URL("app.css"), nil); res.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: status %d", res.StatusCode)
	}
}

func TestHandler_AnswersHeadAndConditionalRequestsWithoutABody(t *testing.T) {
	t.Parallel()
	head := serveOnce(t, http.MethodHead, URL("app.css"), nil)
	if head.StatusCode != http.StatusOK || body(t, head.Body) != "" || head.Header.Get("Content-Length") == "0" {
		t.Errorf("HEAD: %d %v", head.StatusCode, head.Header)
	}
	again := serveOnce(t, http.MethodGet, URL("app.css"), http.Header{"If-None-Match": {head.Header.Get("ETag")}})
	if again.StatusCode != http.StatusNotModified || body(t, again.Body) != "" {
		t.Errorf("conditional: %d", again.StatusCode)
	}
}

func TestAcceptsGzip_HonoursRefusal(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]bool{
		"": false, "gzip": true, "GZIP": true, "br, gzip": true, "gzip;q=0": false, "gzip; q=0.0": false, "gzip;q=0.5": true, "identity": false,
	} {
		if acceptsGzip(header) != want {
			t.Errorf("%q: got %v", header, !want)
		}
	}
}

func sheets(t *testing.T) map[string]string {
	t.Helper()
	names, err := filepath.Glob("css/*.css")
	if err != nil || len(names) == 0 {
		t.Fatalf("no stylesheets: %v", err)
	}
	out := make(map[string]string)
	for _, name := range names {
		src, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		out[filepath.Base(name)] = regexp.MustCompile(`(?s)/\*.*?\*/`).ReplaceAllString(string(src), "")
	}
	return out
}

// Colours live in tokens.css, as the value of a token, and nowhere else.
func TestStylesheet_HasNoRawColourOutsideATokenDefinition(t *testing.T) {
	t.Parallel()
	raw := regexp.MustCompile(`(?i)#[0-9a-f]{3,8}\b|\b(?:rgba?|hsla?|hwb|lab|lch|oklab|oklch|color)\(|` +
		`\b(?:black|white|red|green|blue|gray|grey|silver|yellow|orange|purple|pink|navy|teal|maroon|olive|aqua|lime|fuchsia|gold|tan)\b`)
	declaration := regexp.MustCompile(`([a-z-]+)\s*:\s*([^;{}]+);`)
	for name, css := range sheets(t) {
		for _, d := range declaration.FindAllStringSubmatch(css, -1) {
			token := name == "tokens.css" && strings.HasPrefix(d[1], "--")
			if found := raw.FindString(d[2]); found != "" && !token && d[1] != "white-space" {
				t.Errorf("%s: %s: %s holds the raw colour %q", name, d[1], d[2], found)
			}
		}
	}
}

func TestStylesheet_UsesOnlyTokensThatExistAndDefinesOnlyTokensThatAreUsed(t *testing.T) {
	t.Parallel()
	all := ""
	for _, css := range sheets(t) {
		all += css
	}
	defined, used := make(map[string]bool), make(map[string]bool)
	for _, m := range regexp.MustCompile(`(?:^|[\s;{])(--[a-z0-9-]+)\s*:`).FindAllStringSubmatch(all, -1) {
		defined[m[1]] = true
	}
	for _, m := range regexp.MustCompile(`var\((--[a-z0-9-]+)`).FindAllStringSubmatch(all, -1) {
		used[m[1]] = true
	}
	for token := range used {
		if !defined[token] {
			t.Errorf("%s is used and not defined", token)
		}
	}
	for token := range defined {
		if scale := strings.HasPrefix(token, "--n-"); !used[token] && !scale {
			t.Errorf("%s is defined and not used", token)
		}
	}
}

func TestSources_AskNoOtherHostForAnything(t *testing.T) {
	t.Parallel()
	for name, css := range sheets(t) {
		if strings.Contains(css, "url(") || strings.Contains(css, "@import") {
			t.Errorf("%s loads something", name)
		}
	}
	script, err := os.ReadFile("js/app.js")
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"http:", "https:", "eval(", "Function(", "innerHTML", ".style"} {
		if strings.Contains(string(script), word) {
			t.Errorf("app.js contains %q", word)
		}
	}
}
