package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/ostiary/ostiary/app/policy"
)

// set is a file of vectors.
type set struct {
	about     string
	seed      uint64
	documents map[string]*policy.Document
	vectors   []vector
}

// vector is one question and its answer.
type vector struct {
	Name     string            `json:"name"`
	Document string            `json:"document"`
	Kind     policy.TargetKind `json:"kind,omitempty"`
	Tool     string            `json:"tool"`
	Granted  []string          `json:"granted"`
	Subject  *subject          `json:"subject,omitempty"`
	Feed     *policy.Feed      `json:"feed,omitempty"`
	Silence  int64             `json:"silence,omitempty"`
	Want     want              `json:"want"`
}

// subject is policy.Subject without scopes, which are in Granted.
type subject struct {
	User         string `json:"user"`
	Organization string `json:"org,omitempty"`
	Client       string `json:"client"`
	Host         string `json:"host,omitempty"`
	Grant        string `json:"grant"`
}

type want struct {
	Allowed  bool          `json:"allowed"`
	Reason   policy.Reason `json:"reason"`
	Required []string      `json:"required,omitempty"`
	Missing  []string      `json:"missing,omitempty"`
}

const about = "Decision vectors made at random by app/policy/vectors; their format is told in vectors.json. " +
	"Do not edit: go run ./app/policy/vectors -n %d -seed %d"

// perDocument is how many vectors share a document.
const perDocument = 80

func generate(seed uint64, count int) set {
	d := dice(seed)
	s := set{about: fmt.Sprintf(about, count, seed), seed: seed, documents: map[string]*policy.Document{}}
	for i := range count {
		name := fmt.Sprintf("d%02d", i/perDocument)
		if s.documents[name] == nil {
			s.documents[name] = newDocument(&d, i/perDocument)
		}
		v := newVector(&d, s.documents[name])
		v.Name, v.Document = fmt.Sprintf("%d", i), name
		v.Want = decided(s.documents[name], v)
		s.vectors = append(s.vectors, v)
	}
	return s
}

// decided asks the implementation every other one is held against.
func decided(doc *policy.Document, v vector) want {
	c := policy.Compile(doc)
	s := policy.Subject{Scopes: v.Granted}
	if v.Subject != nil {
		s = policy.Subject{User: v.Subject.User, Organization: v.Subject.Organization, Client: v.Subject.Client,
			Host: v.Subject.Host, Grant: v.Subject.Grant, Scopes: v.Granted}
	}
	kind := v.Kind
	if kind == "" {
		kind = policy.TargetTool
	}
	d := c.Judge(policy.Target{Kind: kind, Name: v.Tool}, s, c.Granted(v.Granted),
		policy.Situation{Feed: policy.CompileFeed(v.Feed), Silence: time.Duration(v.Silence) * time.Second})
	return want{d.Allowed, d.Reason, d.Required, d.Missing}
}

// print writes the file, one document and one vector a line.
func (s set) print(w *bufio.Writer) error {
	head, err := json.Marshal(s.about)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(w, "{\n\"about\": %s,\n\"seed\": %d,\n\"documents\": {", head, s.seed) // Flush tells of failures
	for i, name := range slices.Sorted(maps.Keys(s.documents)) {
		if err := printLine(w, i, fmt.Sprintf("%q: ", name), s.documents[name]); err != nil {
			return err
		}
	}
	_, _ = w.WriteString("\n},\n\"vectors\": [")
	for i, v := range s.vectors {
		if err := printLine(w, i, "", v); err != nil {
			return err
		}
	}
	_, err = w.WriteString("\n]\n}\n")
	return err
}

func printLine(w *bufio.Writer, i int, key string, v any) error {
	line, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if i > 0 {
		_ = w.WriteByte(',')
	}
	_, err = fmt.Fprintf(w, "\n%s%s", key, line)
	return err
}
