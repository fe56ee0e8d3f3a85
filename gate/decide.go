package gate

import (
	"slices"

	"github.com/ostiary/ostiary/app/policy"
)

// Call is one decided tool call, for whoever counts or records them (Options.Observe).
type Call struct {
	Identity Identity
	Tool     string
	Allowed  bool
	// Shadowed says that the policy would have denied the call and, being in shadow mode, did not.
	Shadowed bool
	Reason   policy.Reason
	Missing  []string
	Revision int
}

// verdict is the decision on a whole request body. Any denied call denies all of it: a batch is one HTTP request with one
// status, and half of it must not have happened when the client is asked to come back with more scopes.
type verdict struct {
	calls    []decided
	denied   bool
	unknown  bool     // some tool is not in the policy, or not mapped: no scope will ever help
	required []string // every scope the denied calls need, for one challenge
}

type decided struct {
	tool string
	policy.Decision
}

// judge decides every tool call of a body.
func judge(rules *policy.Compiled, b body, scopes []string) verdict {
	var v verdict
	var granted policy.ScopeSet
	var expanded bool
	for _, m := range b.messages {
		if !m.calls() {
			continue
		}
		if !expanded {
			granted, expanded = rules.Granted(scopes), true
		}
		d := rules.Decide(m.target, granted)
		v.calls = append(v.calls, decided{tool: m.target, Decision: d})
		if d.Allowed {
			continue
		}
		v.denied = true
		v.unknown = v.unknown || d.Reason != policy.ReasonInsufficientScope
		for _, s := range d.Required {
			if !slices.Contains(v.required, s) {
				v.required = append(v.required, s)
			}
		}
	}
	return v
}
