package storybook

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/PuerkitoBio/goquery"

	"github.com/ostiary/ostiary/templates/htmltest"
	"github.com/ostiary/ostiary/templates/static"
)

func TestStories_MatchTheirGoldens(t *testing.T) {
	t.Parallel()
	for _, s := range Stories() {
		t.Run(s.Slug, func(t *testing.T) {
			t.Parallel()
			htmltest.Golden(t, s.Slug+".html", content(s, htmltest.Render(t, s.Component)))
		})
	}
}

// content is what a story's golden holds: of a page its main part, since the shell round it is the same everywhere. Two
// stories hold the shells.
func content(s Story, src string) string {
	from, to := strings.Index(src, "<main"), strings.Index(src, "</main>")
	if s.Fragment || from < 0 || s.Slug == "login" || s.Slug == "servers" {
		return src
	}
	return src[from : to+len("</main>")]
}

func TestStories_AreWellFormedLabelledAndSelfContained(t *testing.T) {
	t.Parallel()
	for _, s := range Stories() {
		t.Run(s.Slug, func(t *testing.T) {
			t.Parallel()
			for _, p := range htmltest.Problems(htmltest.Render(t, s.page()), true) {
				t.Error(p)
			}
		})
	}
}

func TestStories_HaveOneSlugEach(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	for _, s := range Stories() {
		if seen[s.Slug] {
			t.Errorf("slug %q is used twice", s.Slug)
		}
		seen[s.Slug] = true
	}
}

// A class without a rule is a typing mistake, and a rule without a story is either dead or a state nobody looked at.
func TestStylesheet_HasARuleForEachClassAndAStoryForEachRule(t *testing.T) {
	t.Parallel()
	used := make(map[string]bool)
	for _, s := range append(Stories(), Story{Component: index(Stories())}) {
		doc, err := goquery.NewDocumentFromReader(strings.NewReader(htmltest.Render(t, s.page())))
		if err != nil {
			t.Fatal(err)
		}
		doc.Find("[class]").Each(func(_ int, e *goquery.Selection) {
			for _, c := range strings.Fields(e.AttrOr("class", "")) {
				used[c] = true
			}
		})
	}
	styled := make(map[string]bool)
	for _, m := range regexp.MustCompile(`\.([a-z][a-z0-9_-]*)`).FindAllStringSubmatch(stylesheet(t), -1) {
		styled[m[1]] = true
	}
	// Set by app.js, or there to name a thing.
	for _, c := range []string{"js", "is-copied"} {
		used[c] = true
	}
	for _, c := range []string{"btn--quiet", "tool", "snippets"} {
		styled[c] = true
	}
	for c := range used {
		if !styled[c] && !named(c) {
			t.Errorf("class %q has no rule in app.css", c)
		}
	}
	for c := range styled {
		if !used[c] {
			t.Errorf("rule for %q, which no story shows", c)
		}
	}
}

// named are classes that only tell parts of a page apart.
func named(class string) bool {
	return slices.Contains([]string{"n-all", "n-read", "n-custom", "perm__tick"}, class)
}

// stylesheet returns app.css without comments and without what stands between braces.
func stylesheet(t *testing.T) string {
	t.Helper()
	rec := httptest.NewRecorder()
	static.Handler().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, static.URL("app.css"), nil))
	css := regexp.MustCompile(`(?s)/\*.*?\*/`).ReplaceAllString(rec.Body.String(), "")
	return regexp.MustCompile(`(?m)[a-z-]+:[^;{}]*;|"[^"]*"`).ReplaceAllString(css, "")
}

func TestHandler_ServesEachStoryAndTheIndex(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(Handler())
	t.Cleanup(srv.Close)
	for _, s := range Stories() {
		if code, body := get(t, srv.URL+Prefix+s.Slug); code != http.StatusOK || !strings.HasSuffix(strings.TrimSpace(body), "</html>") {
			t.Errorf("%s: status %d", s.Slug, code)
		}
	}
	code, body := get(t, srv.URL+Prefix)
	if code != http.StatusOK {
		t.Fatalf("index: status %d", code)
	}
	for _, s := range Stories() {
		if !strings.Contains(body, `href="`+Prefix+s.Slug+`"`) {
			t.Errorf("the index does not link to %s", s.Slug)
		}
	}
	if code, _ := get(t, srv.URL+Prefix+"no-such-story"); code != http.StatusNotFound {
		t.Errorf("unknown story: status %d, want 404", code)
	}
	if code, body := get(t, srv.URL+Prefix+"brand.css"); code != http.StatusOK || !strings.Contains(body, "--brand: ") {
		t.Errorf("brand.css: status %d, body %q", code, body)
	}
}

func TestHandler_PreviewAnswersWithTheWordsJustTyped(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(Handler())
	t.Cleanup(srv.Close)
	resp, err := http.PostForm(srv.URL+Prefix+"preview", url.Values{
		"title": {"Send <b>signals</b>"}, "description": {"To Slack."}, "warning": {"People are told."},
		"tool.route_signal": {"Send one"},
	})
	if err != nil {
		t.Fatal(err)
	}
	body := read(t, resp)
	for _, want := range []string{"Send &lt;b&gt;signals&lt;/b&gt;", "To Slack.", "People are told.", "Send one"} {
		if !strings.Contains(body, want) {
			t.Errorf("preview lacks %q", want)
		}
	}
	if strings.Contains(body, "<html") {
		t.Error("the preview is a whole document, want a fragment")
	}
	for _, p := range htmltest.Problems(body, false) {
		t.Error(p)
	}
}

func get(t *testing.T, address string) (int, string) {
	t.Helper()
	resp, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, read(t, resp)
}

func read(t *testing.T, resp *http.Response) string {
	t.Helper()
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
