package htmltest

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/a-h/templ"
)

// update is read by Golden; it stands here so that each package's test binary has the flag once.
var update = flag.Bool("update", false, "rewrite the goldens under testdata")

// hashed finds the addresses of static files, whose hash changes with their content.
var hashed = regexp.MustCompile(`/static/[0-9a-f]{16}/`)

// Render prints a component.
func Render(t testing.TB, c templ.Component) string {
	t.Helper()
	var out strings.Builder
	if err := c.Render(context.Background(), &out); err != nil {
		t.Fatalf("render: %v", err)
	}
	return out.String()
}

// Golden compares got, made readable, with testdata/name; with -update it writes it there.
func Golden(t *testing.T, name, got string) {
	t.Helper()
	got = hashed.ReplaceAllString(Pretty(got), "/static/HASH/")
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("read golden (write it with -update): %v", err)
	}
	if got != string(want) {
		t.Errorf("%s differs (rewrite with -update and review the diff):\n%s", path, firstDifference(string(want), got))
	}
}

// firstDifference shows the first line that differs, with what stands round it.
func firstDifference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range max(len(w), len(g)) {
		if i >= len(w) || i >= len(g) || w[i] != g[i] {
			from := max(i-3, 0)
			return "want\n" + strings.Join(w[from:min(i+4, len(w))], "\n") + "\ngot\n" + strings.Join(g[from:min(i+4, len(g))], "\n")
		}
	}
	return ""
}
