package apply

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/ostiary/ostiary/tenants/check"
)

// place is a position in the text of a file, counted from 1. The zero value is unknown.
type place struct{ line, column int }

// places says where each path of a file stands.
type places map[string]place

// of returns where path stands, or the nearest thing around it that is there.
func (p places) of(path string) place {
	for {
		if at, ok := p[path]; ok {
			return at
		}
		cut := max(strings.LastIndexByte(path, '.'), strings.LastIndexByte(path, '['))
		if cut < 0 {
			return p[""]
		}
		path = path[:cut]
	}
}

// Problem is one thing wrong with a file.
type Problem struct {
	Line   int // counted from 1; 0 when the file has no text
	Column int
	Path   string // environments[0].users[1].email
	Msg    string
}

// String returns the problem as one line: "12:9: environments[0].users[1].email: …".
func (p Problem) String() string {
	var b strings.Builder
	if p.Line > 0 {
		fmt.Fprintf(&b, "%d:%d: ", p.Line, p.Column)
	}
	if p.Path != "" {
		b.WriteString(p.Path + ": ")
	}
	return b.String() + p.Msg
}

// InvalidError is everything wrong with a file, in the order of its text.
type InvalidError struct{ Problems []Problem }

// Error returns one line per problem.
func (e *InvalidError) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

func newInvalidError(found check.Problems, at places) *InvalidError {
	e := &InvalidError{}
	for _, p := range found {
		where := at.of(p.Path)
		e.Problems = append(e.Problems, Problem{Line: where.line, Column: where.column, Path: p.Path, Msg: p.Msg})
	}
	slices.SortStableFunc(e.Problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return e
}
