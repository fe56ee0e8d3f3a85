package apply

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/ostiary/ostiary/tenants/check"
)

const (
	maxFile    = 4 << 20
	maxNesting = 40
)

// Parse reads and checks a file. Secrets that it names as files are read relative to the working directory.
// Errors: *InvalidError with every problem.
func Parse(r io.Reader) (File, error) { return parse(r, ".") }

// ParseFile is Parse of a named file. Secrets that it names as files are read relative to its folder.
func ParseFile(path string) (File, error) {
	f, err := os.Open(path) //nolint:gosec // the operator names the file
	if err != nil {
		return File{}, fmt.Errorf("open tenant file: %w", err)
	}
	defer f.Close() //nolint:errcheck // read-only
	return parse(f, filepath.Dir(path))
}

func parse(r io.Reader, dir string) (File, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return File{}, fmt.Errorf("read tenant file: %w", err)
	}
	if len(text) > maxFile {
		return File{}, invalid(place{}, "The file is larger than 4 MiB.")
	}
	if deep(text) {
		return File{}, invalid(place{}, "The file is nested too deeply.")
	}
	root, err := syntax(text)
	if err != nil {
		return File{}, err
	}
	var f File
	d := decoder{places: places{"": {1, 1}}}
	if root == nil {
		d.problems.Add("", "The file is empty. It begins with “tenant:”.")
	} else {
		d.value("", root, reflect.ValueOf(&f).Elem())
	}
	f.places = d.places
	problems := d.problems
	problems = append(problems, f.readSecrets(dir)...)
	if len(problems) == 0 || f.Tenant.Slug != "" { // checks of what could not be read would only repeat it
		problems = append(problems, unseen(f.Validate(), problems)...)
	}
	if len(problems) > 0 {
		return File{}, newInvalidError(problems, f.places)
	}
	return f, nil
}

// unseen drops from found what is about a path that already has a problem.
func unseen(found, known check.Problems) check.Problems {
	seen := map[string]bool{}
	for _, p := range known {
		seen[p.Path] = true
	}
	var rest check.Problems
	for _, p := range found {
		if !seen[p.Path] {
			rest = append(rest, p)
		}
	}
	return rest
}

func invalid(at place, msg string) error {
	return &InvalidError{Problems: []Problem{{Line: at.line, Column: at.column, Msg: msg}}}
}

// deep reports whether collections nest deeper in one line than any tenant file's do: the parser recurses into them.
func deep(text []byte) bool {
	depth := 0
	for _, c := range text {
		switch c {
		case '[', '{':
			if depth++; depth > maxNesting {
				return true
			}
		case ']', '}':
			depth = max(depth-1, 0)
		}
	}
	for line := range bytes.Lines(text) {
		indicators := line[:len(line)-len(bytes.TrimLeft(line, "-?: \t"))]
		if len(indicators)-bytes.Count(indicators, []byte(" ")) > maxNesting {
			return true
		}
	}
	return false
}

func syntax(text []byte) (ast.Node, error) {
	tree, err := parser.ParseBytes(text, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		var bad *yaml.SyntaxError
		if errors.As(err, &bad) && bad.Token != nil && bad.Token.Position != nil {
			return nil, invalid(place{bad.Token.Position.Line, bad.Token.Position.Column}, "This is not YAML: "+bad.Message+".")
		}
		return nil, invalid(place{}, "This is not YAML.")
	}
	var root ast.Node
	for _, doc := range tree.Docs {
		if doc.Body == nil {
			continue
		}
		if root != nil {
			at := place{}
			if t := doc.Body.GetToken(); t != nil && t.Position != nil {
				at = place{t.Position.Line, t.Position.Column}
			}
			return nil, invalid(at, "A file describes one tenant: remove the second document.")
		}
		root = doc.Body
	}
	return root, nil
}

// readSecrets puts the content of the files that secrets are named by in their place.
func (f *File) readSecrets(dir string) check.Problems {
	var p check.Problems
	read := func(path, file string, into *string) {
		if file == "" {
			return
		}
		if *into != "" {
			p.Add(path, "Give the value or a file, not both.")
			return
		}
		if !filepath.IsAbs(file) {
			file = filepath.Join(dir, file)
		}
		content, err := os.ReadFile(file) //nolint:gosec // the operator names the file
		if err != nil {
			p.Addf(path, "This file cannot be read: %v.", err)
			return
		}
		if *into = strings.TrimRight(string(content), "\r\n"); *into == "" {
			p.Add(path, "This file is empty.")
		}
	}
	for i := range f.Members {
		m := &f.Members[i]
		read(fmt.Sprintf("members[%d].password_file", i), m.PasswordFile, &m.Password)
	}
	for i := range f.Environments {
		e := &f.Environments[i]
		for j := range e.Users {
			read(fmt.Sprintf("environments[%d].users[%d].password_file", i, j), e.Users[j].PasswordFile, &e.Users[j].Password)
		}
		for j := range e.Resources {
			for k := range e.Resources[j].Credentials {
				c := &e.Resources[j].Credentials[k]
				read(fmt.Sprintf("environments[%d].resources[%d].credentials[%d].secret_file", i, j, k), c.SecretFile, &c.Secret)
			}
		}
		for j := range e.Clients {
			read(fmt.Sprintf("environments[%d].clients[%d].secret_file", i, j), e.Clients[j].SecretFile, &e.Clients[j].Secret)
			read(fmt.Sprintf("environments[%d].clients[%d].previous_secret_file", i, j), e.Clients[j].PreviousSecretFile,
				&e.Clients[j].PreviousSecret)
			read(fmt.Sprintf("environments[%d].clients[%d].jwks_file", i, j), e.Clients[j].JWKSFile, &e.Clients[j].JWKS)
		}
	}
	return p
}
