package catalogue

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ostiary/ostiary/app/policy"
)

// FindingKind says how a server and its published policy differ.
type FindingKind string

const (
	FindingUnmapped FindingKind = "unmapped" // offered, and the policy does not open it to anybody
	FindingChanged  FindingKind = "changed"  // name, description or schema is not what was reviewed
	FindingHidden   FindingKind = "hidden"   // carries characters that people do not see
	FindingUnknown  FindingKind = "unpinned" // mapped, and nobody has recorded what it looked like
	FindingGone     FindingKind = "gone"     // mapped, and not offered any more
)

// Finding is one difference.
type Finding struct {
	Kind FindingKind `json:"kind"`
	Tool string      `json:"tool"`
	Text string      `json:"text"` // what it is and who mends it
	// Fails says that a check must not pass with it. What is merely gone or was never recorded harms nobody.
	Fails bool `json:"fails"`
}

// Compare finds what a published policy does not say of the tools a server offers, in the order of their names.
func Compare(doc *policy.Document, offered []Tool) ([]Finding, error) {
	var findings []Finding
	known := map[string]bool{}
	for _, t := range offered {
		known[t.Name] = true
		some, err := compareTool(doc, t)
		if err != nil {
			return nil, err
		}
		findings = append(findings, some...)
	}
	for _, name := range slices.Sorted(maps.Keys(doc.Tools)) {
		if !known[name] {
			findings = append(findings, Finding{Kind: FindingGone, Tool: name,
				Text: "The policy maps it, but the server does not offer it. Remove it in the dashboard if it is gone for good."})
		}
	}
	slices.SortStableFunc(findings, func(a, b Finding) int { return strings.Compare(a.Tool, b.Tool) })
	return findings, nil
}

func compareTool(doc *policy.Document, t Tool) ([]Finding, error) {
	var findings []Finding
	add := func(kind FindingKind, fails bool, format string, args ...any) {
		findings = append(findings, Finding{Kind: kind, Tool: t.Name, Fails: fails, Text: fmt.Sprintf(format, args...)})
	}
	if places := t.Hidden(); len(places) > 0 {
		add(FindingHidden, true, "Its %s carries characters that people do not see. Mend the MCP server.",
			strings.Join(places, " and "))
	}
	mapped, known := doc.Tools[t.Name]
	if !known || len(mapped.Scopes) == 0 {
		add(FindingUnmapped, true, "Revision %d maps no permission to it, so nobody can call it. Map it and publish, or run ostiary import.",
			doc.Revision)
		return findings, nil
	}
	print, err := t.Fingerprint()
	if err != nil {
		return nil, err
	}
	switch mapped.Fingerprint {
	case print:
	case "":
		add(FindingUnknown, false, "Nobody recorded what it looked like. ostiary import records it.")
	default:
		add(FindingChanged, true, "Its description or schema is not what was reviewed. Review it, run ostiary import, publish.")
	}
	return findings, nil
}
