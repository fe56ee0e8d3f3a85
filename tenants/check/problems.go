package check

import (
	"fmt"
	"strings"

	"github.com/ostiary/ostiary/app/errs"
)

// Problem is one thing wrong with an input. Path names where in the form of the input itself: "title", "scopes[2].name".
type Problem struct {
	Path string
	Msg  string
}

// Problems is everything wrong with one input. The zero value is ready to use.
type Problems []Problem

// Add records msg at path. An empty msg records nothing, so the rules of this package can be passed straight in.
func (p *Problems) Add(path, msg string) {
	if msg != "" {
		*p = append(*p, Problem{Path: path, Msg: msg})
	}
}

// Addf is Add with a format.
func (p *Problems) Addf(path, format string, args ...any) { p.Add(path, fmt.Sprintf(format, args...)) }

// Join adds the problems of a part of the input, their paths under prefix.
func (p *Problems) Join(prefix string, part Problems) {
	for _, problem := range part {
		p.Add(join(prefix, problem.Path), problem.Msg)
	}
}

func join(prefix, path string) string {
	switch {
	case prefix == "":
		return path
	case path == "", strings.HasPrefix(path, "["):
		return prefix + path
	default:
		return prefix + "." + path
	}
}

// Err returns an errs.Invalid error that has the first problem of each path in its Fields, or nil when there is none.
func (p Problems) Err() error {
	if len(p) == 0 {
		return nil
	}
	fields := make(map[string]string, len(p))
	for _, problem := range p {
		if _, seen := fields[problem.Path]; !seen {
			fields[problem.Path] = problem.Msg
		}
	}
	return errs.InvalidFields(fields)
}
