package tenants

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/ostiary/ostiary/app/audit"
	"github.com/ostiary/ostiary/app/catalogue"
	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/policy"
	"github.com/ostiary/ostiary/app/secret"
)

// ImportNote is something a person who reviews an import should look at.
type ImportNote struct {
	Tool string
	Text string
}

// Import fills the catalogue of an MCP server's draft from what the server offers, and returns the draft and what to look at.
// Nothing that a person decided is undone: known tools keep their permissions and wording and get the server's new description
// and fingerprint; new ones are added with a proposal; what the server does not offer any more stays and is noted. Nothing is
// published. Errors: errs.Invalid, errs.NotFound, errs.Forbidden.
func (s *Resources) Import(ctx context.Context, id string, offered []catalogue.Tool) (Draft, []ImportNote, error) {
	var notes []ImportNote
	event := audit.Event{Action: "resource.imported", Detail: map[string]any{"tools": len(offered)}}
	d, err := s.edit(ctx, id, event, func(d *Draft) error {
		next, found, err := d.Import(offered)
		if err != nil {
			return err
		}
		*d, notes = next, found
		return nil
	})
	return d, notes, err
}

// Import returns the draft with what a server offers, see Resources.Import. d is not changed.
func (d *Draft) Import(offered []catalogue.Tool) (Draft, []ImportNote, error) {
	to := d.clone()
	var notes []ImportNote
	note := func(tool, format string, args ...any) {
		notes = append(notes, ImportNote{tool, fmt.Sprintf(format, args...)})
	}
	known := make(map[string]int, len(to.Tools))
	for i, t := range to.Tools {
		if t.key().kind == policy.TargetTool {
			known[t.Name] = i
		}
	}
	seen := map[string]bool{}
	for _, o := range offered {
		seen[o.Name] = true
		print, err := o.Fingerprint()
		if err != nil {
			return Draft{}, nil, &errs.Error{Kind: errs.Invalid, Msg: "The schema of the tool " + o.Name + " is not JSON.", Err: err}
		}
		if places := o.Hidden(); len(places) > 0 {
			note(o.Name, "Its %s carries characters that people do not see. Ask the server's developers before you publish it.",
				strings.Join(places, " and "))
		}
		i, exists := known[o.Name]
		if !exists {
			to.addImported(o, print, note)
			continue
		}
		t := &to.Tools[i]
		if t.Fingerprint != "" && t.Fingerprint != print {
			note(o.Name, "Its description or schema changed since it was reviewed. Its permissions were left as they are.")
		}
		t.Description, t.Fingerprint = storable(o.Description), print
	}
	for _, t := range to.Tools {
		if t.key().kind == policy.TargetTool && !seen[t.Name] {
			note(t.Name, "The server does not offer it. It was left as it is.")
		}
	}
	return to, notes, nil
}

// addImported adds a tool that the draft does not know, mapped to what its annotations suggest.
func (d *Draft) addImported(o catalogue.Tool, print string, note func(tool, format string, args ...any)) {
	p := catalogue.Propose(o)
	if p.Guessed {
		note(o.Name, "The server does not say what it does; its name suggests %q. Check that.", p.Scope.Title)
	}
	if !slices.ContainsFunc(d.Scopes, func(s Scope) bool { return s.Name == p.Scope.Name }) {
		d.Scopes = append(d.Scopes, Scope{
			ID: secret.NewID("scp"), Name: p.Scope.Name, Risk: p.Scope.Risk, Title: p.Scope.Title, Description: p.Scope.Description,
			Warning: p.Scope.Warning, Baseline: p.Scope.Baseline,
		})
	}
	if i := slices.IndexFunc(d.Scopes, func(s Scope) bool { return s.Name == p.Scope.Name }); d.Scopes[i].Risk != p.Scope.Risk {
		// Somebody gave the name another meaning: better unmapped than mapped to that.
		p.Scope.Name = ""
		note(o.Name, "No permission was proposed: there is one of that name with another risk.")
	}
	t := Tool{
		ID: secret.NewID("tool"), Name: o.Name, Description: storable(o.Description), Wording: p.Wording, Fingerprint: print,
		Match: policy.MatchAll,
	}
	if p.Scope.Name != "" {
		t.Scopes = []string{p.Scope.Name}
	}
	d.Tools = append(d.Tools, t)
}

// storable bounds a server's description to what is kept. The fingerprint is of the whole.
func storable(text string) string {
	text = strings.ToValidUTF8(strings.ReplaceAll(text, "\x00", ""), "")
	if len(text) <= maxToolText {
		return text
	}
	return strings.ToValidUTF8(text[:maxToolText], "")
}
