package gate

import (
	"slices"

	"github.com/ostiary/ostiary/app/policy"
)

// verdict is the decision on a whole request. Any denied call denies all of it: a batch is one HTTP request with one
// status, and half of it must not have happened when the client is asked to come back with more scopes.
type verdict struct {
	refused  policy.Reason // why whoever asks may do nothing at all: revoked or stopped; "" otherwise
	calls    []decided
	denied   bool
	hopeless bool     // some call is of something unknown, not mapped or stopped: no scope will ever help
	silent   bool     // some call was denied only because the issuer has been silent for too long
	required []string // every scope the denied calls need, for one challenge
}

// decided is the decision on one target of one message.
type decided struct {
	message int // which of the body
	target  policy.Target
	denied  bool // and acted upon: in shadow mode the map of the policy only gets recorded
	policy.Decision
}

// judge decides every call of a body.
func judge(v *view, b body, id *Identity, now policy.Situation) verdict {
	s := id.subject()
	out := verdict{refused: now.Feed.Refuses(s, v.doc.Resource.ID)}
	var granted policy.ScopeSet
	var expanded bool
	for i := range b.messages {
		for _, target := range b.messages[i].targets {
			if !expanded {
				granted, expanded = v.rules.Granted(s.Scopes), true
			}
			out.add(decided{message: i, target: target, Decision: v.rules.Judge(target, s, granted, now)}, v.shadow)
		}
	}
	return out
}

func (v *verdict) add(d decided, shadow bool) {
	d.denied = !d.Allowed && (!shadow || !shadowable(d.Reason))
	v.calls = append(v.calls, d)
	if !d.denied {
		return
	}
	v.denied = true
	switch d.Reason {
	case policy.ReasonOutOfContact:
		v.silent = true
	case policy.ReasonInsufficientScope:
		for _, s := range d.Required {
			if !slices.Contains(v.required, s) {
				v.required = append(v.required, s)
			}
		}
	default:
		v.hopeless = true
	}
}

// shadowable reports whether a denial is let through in shadow mode, which is about the map from tools to permissions.
// What was taken back or stopped is denied in every mode.
func shadowable(r policy.Reason) bool {
	return r == policy.ReasonInsufficientScope || r == policy.ReasonUnknownTool || r == policy.ReasonUnmappedTool
}
