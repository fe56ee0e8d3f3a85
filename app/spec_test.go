package app_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	testDeclared   = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)[A-Z]\w*)\(`)
	targetDeclared = regexp.MustCompile(`(?m)^([a-z][a-z0-9-]*):`)
	testNamed      = regexp.MustCompile("`((?:Test|Fuzz)[A-Z]\\w*)`")
	targetNamed    = regexp.MustCompile("`make ([a-z0-9-]+)`")
)

// repositoryFiles returns the files of ours whose name matches, as what name and content are.
func repositoryFiles(t *testing.T, match func(name string) bool) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if name := entry.Name(); name == "node_modules" || (strings.HasPrefix(name, ".") && name != "..") {
				return fs.SkipDir
			}
			return nil
		}
		if !match(entry.Name()) {
			return nil
		}
		content, err := os.ReadFile(path)
		files[path] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func declared(pattern *regexp.Regexp, files map[string]string) map[string]bool {
	names := map[string]bool{}
	for _, content := range files {
		for _, found := range pattern.FindAllStringSubmatch(content, -1) {
			names[found[1]] = true
		}
	}
	return names
}

// Each row of a SPEC.md is a promise that a test keeps. A test that was renamed or never written keeps none.
func TestArch_SpecificationRowsNameTestsThatExist(t *testing.T) {
	t.Parallel()
	tests := declared(testDeclared, repositoryFiles(t, func(name string) bool { return strings.HasSuffix(name, "_test.go") }))
	targets := declared(targetDeclared, repositoryFiles(t, func(name string) bool { return name == "Makefile" }))
	specs := repositoryFiles(t, func(name string) bool { return name == "SPEC.md" })
	if len(specs) == 0 || len(tests) < 400 || !targets["ci"] {
		t.Fatalf("%d specifications, %d tests, targets %v", len(specs), len(tests), targets)
	}
	for file, content := range specs {
		rows, kept := 0, true // tables hold rules, except below a heading about what is done otherwise
		for line := range strings.Lines(content) {
			if strings.HasPrefix(line, "## ") {
				kept = !strings.HasPrefix(line, "## Differs")
			}
			cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
			if !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "|---") || !kept || strings.TrimSpace(cells[len(cells)-1]) == "test" {
				continue
			}
			rows++
			named := append(testNamed.FindAllStringSubmatch(line, -1), targetNamed.FindAllStringSubmatch(line, -1)...)
			if len(named) == 0 {
				t.Errorf("%s: no test in: %s", file, line)
			}
			for _, name := range named {
				if !tests[name[1]] && !targets[name[1]] {
					t.Errorf("%s: %s does not exist", file, name[1])
				}
			}
		}
		if rows < 5 {
			t.Errorf("%s: %d rows", file, rows)
		}
	}
	if missing := slices.DeleteFunc([]string{"TestMain", "TestArch_EveryPackageHasDoc"}, func(name string) bool { return tests[name] }); len(missing) > 0 {
		t.Errorf("this test does not find %v", missing)
	}
}
