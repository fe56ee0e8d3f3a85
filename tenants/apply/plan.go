package apply

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
)

// Op says what a change does.
type Op string

// The operations, with the sign a plan prints before them.
const (
	OpCreate  Op = "+"
	OpUpdate  Op = "~"
	OpRemove  Op = "-"
	OpPublish Op = "^"
)

// Change is one thing that applying a file does.
type Change struct {
	Environment string // slug; empty for the tenant itself
	Op          Op
	What        string // "user a@b.example: name"
	Warning     string // what it breaks, said loudly; usually empty
}

// Plan is what applying a file would change.
type Plan struct {
	Changes   []Change
	LeftAlone []string // what exists and the file does not name
	file      File
	passwords passwords
}

// passwords remembers which passwords matched which hashes, so that each is computed once and none inside a transaction.
type passwords map[[sha256.Size]byte]bool

func (p passwords) matches(hash, password string, verify func() (bool, error)) (bool, error) {
	key := sha256.Sum256([]byte(hash + "\x00" + password))
	if same, known := p[key]; known {
		return same, nil
	}
	same, err := verify()
	if err == nil {
		p[key] = same
	}
	return same, err
}

// Empty reports whether the tenant is as the file says already.
func (p Plan) Empty() bool { return len(p.Changes) == 0 }

// Warnings returns what the plan breaks.
func (p Plan) Warnings() []string {
	var all []string
	for _, c := range p.Changes {
		if c.Warning != "" {
			all = append(all, c.Warning)
		}
	}
	return all
}

// String returns the plan as a person reads it before saying yes.
func (p Plan) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Tenant %s (%s)\n", p.file.Tenant.Slug, p.file.Tenant.Name)
	p.print(&b, "")
	for _, e := range p.file.Environments {
		fmt.Fprintf(&b, "\nEnvironment %s\n", e.Slug)
		p.print(&b, e.Slug)
	}
	if len(p.LeftAlone) > 0 {
		fmt.Fprintf(&b, "\nLeft alone, not in the file: %s.\n", strings.Join(p.LeftAlone, "; "))
	}
	for _, w := range p.Warnings() {
		fmt.Fprintf(&b, "\nWARNING: %s\n", w)
	}
	fmt.Fprintf(&b, "\n%s\n", p.summary())
	return b.String()
}

func (p Plan) print(b *strings.Builder, environment string) {
	none := true
	for _, c := range p.Changes {
		if c.Environment == environment {
			fmt.Fprintf(b, "  %s %s\n", c.Op, c.What)
			none = false
		}
	}
	if none {
		b.WriteString("  no changes\n")
	}
}

func (p Plan) summary() string {
	if p.Empty() {
		return "No changes."
	}
	count := map[Op]int{}
	for _, c := range p.Changes {
		count[c.Op]++
	}
	return fmt.Sprintf("%d to create, %d to update, %d to remove, %d to publish.",
		count[OpCreate], count[OpUpdate], count[OpRemove], count[OpPublish])
}

// of returns the changes of one environment, or of the tenant itself for "".
func (p Plan) of(environment string) []Change {
	var part []Change
	for _, c := range p.Changes {
		if c.Environment == environment {
			part = append(part, c)
		}
	}
	return part
}

func sameChanges(a, b []Change) bool { return slices.Equal(a, b) }
