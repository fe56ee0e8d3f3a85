package oauth

import (
	"slices"
	"strings"
)

// splitScopes reads a scope parameter: any whitespace separates, duplicates count once.
func splitScopes(raw string) []string {
	fields := strings.Fields(raw)
	out := make([]string, 0, len(fields))
	for _, s := range fields {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// maxRequestedScopes bounds what one request can make us look at.
const maxRequestedScopes = 200

// limitScopes returns what of a request r offers, in r's order, and after it what of our own scopes was asked for: scopes are
// narrowed, never a reason to fail, because hosts ask for whatever they have read anywhere. Without a request it returns r's
// baseline, and so it does when only our own scopes are asked for: some hosts ask for exactly what our metadata lists. ok is
// false when something was asked for and nothing is left.
func (r *Resource) limitScopes(requested []string) (scopes []string, ok bool) {
	if len(requested) == 0 {
		return r.baseline(), true
	}
	for _, name := range r.offered {
		if slices.Contains(requested, name) {
			scopes = append(scopes, name)
		}
	}
	if len(scopes) == 0 && slices.ContainsFunc(requested, isOwnScope) {
		scopes = r.baseline()
	}
	scopes = append(scopes, ownScopesOf(requested)...)
	return scopes, len(scopes) > 0
}

func (r *Resource) baseline() []string {
	var scopes []string
	for _, name := range r.offered {
		if s := r.Scopes[name]; s.Baseline || s.Required {
			scopes = append(scopes, name)
		}
	}
	return scopes
}

// stillOffered returns what of granted the resource offers today: what an admin removed is gone at the next refresh. What is granted
// without a question stays, but is no permission of its own: where it is all that remains, nothing does.
func (r *Resource) stillOffered(granted []string) []string {
	out := make([]string, 0, len(granted))
	removed, silent := 0, 0
	for _, s := range granted {
		if isSilentScope(s) {
			silent++
		} else if _, ok := r.scope(s); !ok {
			removed++
			continue
		}
		out = append(out, s)
	}
	if removed > 0 && silent == len(out) {
		return nil
	}
	return out
}

// narrow returns what of allowed was requested; everything without a request. A refresh that asks for more than was granted
// is narrowed, not refused: hosts repeat scopes they were never given. ok is false when nothing is left.
func narrow(allowed, requested []string) (scopes []string, ok bool) {
	if len(requested) == 0 {
		return allowed, len(allowed) > 0
	}
	for _, s := range allowed {
		if slices.Contains(requested, s) {
			scopes = append(scopes, s)
		}
	}
	return scopes, len(scopes) > 0
}
