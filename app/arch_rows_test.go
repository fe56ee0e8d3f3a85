package app_test

import (
	"go/ast"
	"path"
	"strings"
	"testing"
)

// gorm leaves out every column of an embedded struct whose type is unexported, without a word. So rows embed nothing.
func TestArch_RowsEmbedNothing(t *testing.T) {
	t.Parallel()
	rows := 0
	for file, parsed := range parsedFiles(t, 0) {
		if !strings.HasPrefix(path.Base(file), "store") && !under("app/db")(file) {
			continue
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			named, ok := n.(*ast.TypeSpec)
			if !ok || !strings.HasSuffix(named.Name.Name, "Row") {
				return true
			}
			if row, ok := named.Type.(*ast.StructType); ok {
				rows++
				if embedsAnything(row) {
					t.Errorf("%s: %s embeds a struct; write its columns out", file, named.Name.Name)
				}
			}
			return true
		})
	}
	if rows < 10 {
		t.Errorf("only %d rows were found", rows)
	}
}

func embedsAnything(s *ast.StructType) bool {
	for _, field := range s.Fields.List {
		if len(field.Names) == 0 {
			return true
		}
	}
	return false
}
