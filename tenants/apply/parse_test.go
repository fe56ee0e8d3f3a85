package apply_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ostiary/ostiary/tenants/apply"
)

func parse(t *testing.T, text string) (apply.File, []apply.Problem) {
	t.Helper()
	f, err := apply.Parse(strings.NewReader(text))
	if err == nil {
		return f, nil
	}
	var invalid *apply.InvalidError
	if !errors.As(err, &invalid) {
		t.Fatalf("not an InvalidError: %v", err)
	}
	return f, invalid.Problems
}

func TestParse_DemoIsValid(t *testing.T) {
	t.Parallel()
	f, problems := parse(t, string(apply.DemoSource()))
	if problems != nil {
		t.Fatalf("the demo tenant has problems: %v", problems)
	}
	r := f.Environments[0].Resources[0]
	if f.Tenant.Slug != "acme" || len(r.Scopes) != 4 || len(r.Tools) != 7 ||
		r.Scopes[3].Warning != "A deleted segment cannot be restored." {
		t.Errorf("read %+v", f)
	}
}

// Every problem of a file is reported at once, each where it stands.
func TestParse_AllProblemsAtTheirPlaces(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/problems.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, problems := parse(t, string(text))
	var got bytes.Buffer
	for _, p := range problems {
		got.WriteString(p.String() + "\n")
	}
	golden := filepath.Join("testdata", "problems.golden")
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("problems differ from %s:\n%s", golden, got.String())
	}
}

func TestParse_Shapes(t *testing.T) {
	t.Parallel()
	const head = "tenant: {slug: acme, name: Acme}\n"
	settings := func(s string) string {
		return head + "environments: [{slug: acme-dev, name: D, kind: development, settings: {" + s + "}}]\n"
	}
	owner := func(s string) string { return head + "members: [{email: a@b, name: A, role: owner, " + s + "}]\n" }
	for name, c := range map[string]struct {
		text string
		want string // part of the first problem's line
	}{
		"empty":         {"", "1:1: The file is empty"},
		"comment only":  {"# nothing\n", "1:1: The file is empty"},
		"not YAML":      {"tenant: [", ":"},
		"tabs":          {"tenant:\n\tslug: acme\n", "2:"},
		"a list":        {"- tenant\n", "1:1: Write keys and values here: tenant, members, environments."},
		"a word":        {"acme\n", "1:1: Write keys and values here"},
		"two documents": {head + "---\n" + head, "3:"},
		"unknown key": {head + "tenants: []\n",
			"2:1: tenants: There is no such key. Keys here: tenant, members, environments."},
		"key twice":       {head + head, "2:1: tenant: This key is here twice."},
		"number for text": {"tenant: {slug: acme, name: 123}\n", "1:28: tenant.name: Put this in quotes"},
		"word for bool":   {settings("dynamic_registration: maybe"), "dynamic_registration: Write true or false."},
		"bad duration":    {settings("refresh_idle: soon"), `"soon" is not a duration`},
		"map for list":    {head + "members: {email: a@b}\n", "2:10: members: Write a list here"},
		"list for map":    {"tenant: [acme]\n", "1:9: tenant: Write keys and values here: slug, name."},
		"anchor":          {"tenant: &t {slug: acme, name: Acme}\n", "anchors, aliases and tags are not read"},
		"alias":           {head + "members: *t\n", ":"},
		"merge":           {"tenant:\n  <<: {slug: acme}\n  name: Acme\n", "There is no such key"},
		"tag":             {"tenant: !!map {slug: acme, name: Acme}\n", "anchors, aliases and tags are not read"},
		"deep":            {strings.Repeat("[", 10_000), "nested too deeply"},
		"deep dashes":     {strings.Repeat("- ", 10_000) + "a", "nested too deeply"},
		"missing secret file": {head + "members: [{email: a@b, name: A, role: owner, password_file: /nowhere/at/all}]\n",
			"password_file: This file cannot be read"},
		"password and file": {owner("password: 12345678x, password_file: x"), "password_file: Give the value or a file"},
		"a secret in an error": {head + "members: [{email: a@b, name: A, role: owner, password: [hunter2hunter2]}]\n",
			"members[0].password: Write text here."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, problems := parse(t, c.text)
			if len(problems) == 0 || !strings.Contains(problems[0].String(), c.want) {
				t.Errorf("problems %v, want the first with %q", problems, c.want)
			}
			for _, p := range problems {
				if strings.Contains(p.String(), "hunter2") {
					t.Errorf("a secret stands in %s", p)
				}
			}
		})
	}
}

func TestParseFile_ReadsSecretsBesideTheFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"tenant.yaml": "tenant: {slug: acme, name: Acme}\nmembers: [{email: a@b, name: A, role: owner, password_file: pw}]\n",
		"pw":          "correct horse battery\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f, err := apply.ParseFile(filepath.Join(dir, "tenant.yaml"))
	if err != nil || f.Members[0].Password != "correct horse battery" {
		t.Errorf("read %+v, %v", f.Members, err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(apply.DemoSource())
	if text, err := os.ReadFile("testdata/problems.yaml"); err == nil {
		f.Add(text)
	}
	for _, seed := range []string{
		"", "tenant: [", "- - - a", "a: &x [*x]", "? a\n: b", "tenant: !!int 3", "<<: {}", "---\n...\n---", "a: |\n  b",
		"{a: {b: {c: }}}",
		"tenant: {slug: acme, name: \"\\u202e\"}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if bytes.Contains(text, []byte("_file")) {
			return // would read files of this machine
		}
		file, err := apply.Parse(bytes.NewReader(text))
		if err != nil {
			return
		}
		if problems := file.Validate(); len(problems) != 0 {
			t.Fatalf("parsed with problems: %v", problems)
		}
	})
}
