package app_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const module = "github.com/ostiary/ostiary"

// platformCallers are the functions that read without a tenant (db.Platform), each with why it may. Only the routing tables
// can be read there; a new caller is a new way around the tenant scope and needs a reason that a reviewer can weigh.
var platformCallers = map[string]string{
	"tenants.Environments.findIssuer": "a request names an issuer URL; the tenant is what is being looked up",
	"tenants.Members.findLogins":      "a member types an e-mail address before choosing a workspace",
	"app/jobs.store.claim":            "job_runs belongs to the installation: which node does the work of all tenants",
	"app/jobs.store.due":              "job_runs belongs to the installation",
	"app/jobs.store.note":             "job_runs belongs to the installation",
	"tenants.Tenants.listSlugs":       "jobs and `ostiary keys` look after every tenant; each is then worked on under its own scope",
	"tenants.Tenants.findSlug":        "apply and dev name a workspace by its slug; the tenant is what is being looked up",
}

// listedPackage is what `go list -json` says of a package, as far as these tests ask.
type listedPackage struct {
	Dir          string
	ImportPath   string
	Name         string
	Imports      []string
	TestImports  []string
	XTestImports []string
	Deps         []string
}

// rel is the package's path below the module, "" for the root.
func (p listedPackage) rel() string {
	return strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
}

// listed runs go list once for all tests of this file.
var listed = sync.OnceValues(func() ([]listedPackage, error) {
	cmd := exec.Command("go", "list", "-e", "-tags", "e2e", "-json=Dir,ImportPath,Name,Imports,TestImports,XTestImports,Deps",
		"./...")
	cmd.Dir = ".."
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	var packages []listedPackage
	decoder := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p listedPackage
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			return packages, nil
		}
		if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		packages = append(packages, p)
	}
})

func packages(t *testing.T) []listedPackage {
	t.Helper()
	all, err := listed()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Fatal("go list found no package of ours")
	}
	return all
}

// layer says where in `cmd → app → dashboard → oauth → tenants → app/* leaves` a package stands: it may import its own
// layer and the ones with a lower number.
func layer(rel string) int {
	top, rest, _ := strings.Cut(rel, "/")
	switch top {
	case "templates", "migrations":
		return 0
	case "app":
		switch rest {
		case "":
			return 6
		case "apptest", "apptest/host":
			return 7 // builds whole servers for tests
		}
		return 1
	case "gate":
		return 2
	case "tenants":
		return 3
	case "oauth":
		return 4
	case "dashboard":
		return 5
	}
	return 8 // cmd, e2e, examples
}

func TestArch_ImportsRunOneWay(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		for _, imported := range p.Imports {
			target, ours := strings.CutPrefix(imported, module+"/")
			if !ours {
				continue
			}
			if layer(target) > layer(p.rel()) {
				t.Errorf("%s imports %s: imports run cmd → app → dashboard → oauth → tenants → app/* leaves", p.rel(), target)
			}
		}
	}
}

func TestArch_TemplatesAndMigrationsImportNothingOfOurs(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		top, _, _ := strings.Cut(p.rel(), "/")
		if top != "templates" && top != "migrations" {
			continue
		}
		for _, dep := range p.Deps {
			if below(dep, module) && !below(dep, module+"/"+top) {
				t.Errorf("%s depends on %s", p.rel(), dep)
			}
		}
	}
}

// The gate runs beside other people's servers: no database, no web framework, nothing of the control or data plane.
func TestArch_GateCarriesOnlyLeaves(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		if !below(p.ImportPath, module+"/gate") {
			continue
		}
		for _, dep := range p.Deps {
			target, ours := strings.CutPrefix(dep, module+"/")
			if ours && !below(target, "gate") && !strings.HasPrefix(target, "app/") {
				t.Errorf("%s depends on %s", p.rel(), target)
			}
			for _, foreign := range []string{"gorm.io", "github.com/jackc", "github.com/labstack", "github.com/ory", "github.com/a-h/templ"} {
				if below(dep, foreign) {
					t.Errorf("%s depends on %s", p.rel(), dep)
				}
			}
		}
	}
}

// A package outside its layer may still be fed by its own tests: tests of a leaf may not climb, except to apptest.
func TestArch_TestsClimbOnlyToApptest(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		for _, imported := range slices.Concat(p.TestImports, p.XTestImports) {
			target, ours := strings.CutPrefix(imported, module+"/")
			if !ours || below(target, "app/apptest") || layer(p.rel()) >= 6 {
				continue
			}
			if layer(target) > layer(p.rel()) {
				t.Errorf("tests of %s import %s", p.rel(), target)
			}
		}
	}
}

func TestArch_EnginesStayInTheirFiles(t *testing.T) {
	t.Parallel()
	rules := []struct {
		module  string
		allowed func(file string) bool
		why     string
	}{
		{"github.com/ory", under("oauth"), "fosite lives only in oauth"},
		{"gorm.io", func(f string) bool {
			return under("app/db")(f) || strings.HasPrefix(path.Base(f), "store") || strings.HasSuffix(f, "_test.go")
		}, "gorm lives only in app/db, files named store*.go and tests"},
		{"github.com/labstack", func(f string) bool {
			return path.Dir(f) == "app" || under("app/web", "oauth", "dashboard")(f) && !strings.HasPrefix(path.Base(f), "store")
		}, "Echo lives only in app, app/web and handler files"},
		{"github.com/chromedp", under("e2e"), "the browser driver is for tests"},
	}
	for file, imports := range fileImports(t) {
		for _, imported := range imports {
			for _, r := range rules {
				if below(imported, r.module) && !r.allowed(file) {
					t.Errorf("%s imports %s: %s", file, imported, r.why)
				}
			}
		}
	}
}

func TestArch_PackageNamesSayWhatTheyOwn(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		for _, word := range []string{"util", "utils", "common", "helper", "helpers", "models", "types", "misc", "shared", "base"} {
			if p.Name == word || path.Base(p.rel()) == word {
				t.Errorf("%s: a package named %s owns everything and nothing", p.rel(), word)
			}
		}
	}
}

func TestArch_EveryPackageHasDoc(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		file := filepath.Join(p.Dir, "doc.go")
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments|parser.PackageClauseOnly)
		if err != nil {
			t.Errorf("%s needs a doc.go that says what it owns and what it refuses: %v", p.rel(), err)
			continue
		}
		if parsed.Doc == nil || len(strings.Fields(parsed.Doc.Text())) < 5 {
			t.Errorf("%s/doc.go says nothing", p.rel())
		}
	}
}

func TestArch_PlatformCallersAreListed(t *testing.T) {
	t.Parallel()
	found := map[string]bool{}
	for file, parsed := range parsedFiles(t, 0) {
		if under("app/db")(file) || strings.HasSuffix(file, "_test.go") {
			continue
		}
		for _, decl := range parsed.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok || fn.Body == nil {
				continue
			}
			if callsPlatform(fn.Body) {
				found[path.Dir(file)+"."+funcName(fn)] = true
			}
		}
	}
	for caller := range found {
		if platformCallers[caller] == "" {
			t.Errorf("%s calls db.Platform: list it in platformCallers with its reason, or use db.InTenant", caller)
		}
	}
	for caller := range platformCallers {
		if !found[caller] {
			t.Errorf("platformCallers lists %s, which no longer calls db.Platform", caller)
		}
	}
}

// callsPlatform finds x.Platform(ctx, fn) for whatever x is, so that a renamed field does not hide a caller.
func callsPlatform(body *ast.BlockStmt) bool {
	calls := false
	ast.Inspect(body, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		if sel, ok := call.Fun.(*ast.SelectorExpr); ok && sel.Sel.Name == "Platform" && len(call.Args) == 2 {
			calls = true
		}
		return !calls
	})
	return calls
}

func funcName(fn *ast.FuncDecl) string {
	if fn.Recv == nil {
		return fn.Name.Name
	}
	receiver := fn.Recv.List[0].Type
	if star, ok := receiver.(*ast.StarExpr); ok {
		receiver = star.X
	}
	if name, ok := receiver.(*ast.Ident); ok {
		return name.Name + "." + fn.Name.Name
	}
	return fn.Name.Name
}

// below reports whether the path is the prefix or inside it.
func below(p, prefix string) bool { return p == prefix || strings.HasPrefix(p, prefix+"/") }

func under(folders ...string) func(file string) bool {
	return func(file string) bool {
		return slices.ContainsFunc(folders, func(folder string) bool { return below(file, folder) })
	}
}

func fileImports(t *testing.T) map[string][]string {
	t.Helper()
	imports := map[string][]string{}
	for file, parsed := range parsedFiles(t, parser.ImportsOnly) {
		for _, spec := range parsed.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			imports[file] = append(imports[file], imported)
		}
	}
	return imports
}

// parsedFiles returns every Go file of ours by its path below the module, whatever its build tags.
func parsedFiles(t *testing.T, mode parser.Mode) map[string]*ast.File {
	t.Helper()
	files := map[string]*ast.File{}
	for _, p := range packages(t) {
		names, err := filepath.Glob(filepath.Join(p.Dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			parsed, err := parser.ParseFile(token.NewFileSet(), name, nil, mode)
			if err != nil {
				t.Fatalf("parse %s: %v", name, err)
			}
			files[path.Join(p.rel(), filepath.Base(name))] = parsed
		}
	}
	return files
}
