package keys

import (
	"slices"
	"time"
)

// The times of a key's life.
const (
	// PublishLead is how long a key is published before it signs: verifiers that keep a key set for a day know it by then.
	PublishLead = 24 * time.Hour
	// LongestToken bounds the life of everything we sign. A key that signs no more stays published for as long.
	LongestToken = 24 * time.Hour
	// retireMargin covers clocks that differ, and nodes that sign with the old key until they hear of the new one.
	retireMargin = time.Hour
)

// Policy is what an environment wants of its keys.
type Policy struct {
	Alg         Alg
	RotateEvery time.Duration // how long a key signs
}

// Info is a key without its private half.
type Info struct {
	ID          string
	Alg         Alg
	State       State
	CreatedAt   time.Time // published since
	ActivatedAt *time.Time
	RetireAt    *time.Time // when a retiring key leaves the key set, or a retired one left it
}

// change is one step in a key's life: a key that is made (no From), or one that passes into another state.
type change struct {
	ID       string // empty: a new key
	From, To State
	Alg      Alg
	RetireAt *time.Time
}

// plan returns what is due, in an order that never leaves two active keys. It decides and does nothing.
//
// A key takes over once it was published for PublishLead, and only then: a scheduled rotation surprises no verifier.
func plan(all []Info, p Policy, now time.Time) []change {
	var changes []change
	var active, next *Info
	for i, k := range all {
		switch {
		case k.State == StateRetiring && k.RetireAt != nil && !now.Before(*k.RetireAt):
			changes = append(changes, retire(k, now))
		case k.State == StateActive:
			active = &all[i]
		case k.State == StatePublished && (k.Alg != p.Alg || next != nil):
			changes = append(changes, retire(k, now)) // somebody changed their mind: it never signed anything
		case k.State == StatePublished:
			next = &all[i]
		}
	}
	switch {
	case next != nil && (active == nil || !now.Before(next.CreatedAt.Add(PublishLead))):
		return append(changes, takeOver(active, *next, now)...)
	case active == nil:
		return append(changes, change{To: StateActive, Alg: p.Alg})
	case next == nil && due(*active, p, now):
		return append(changes, change{To: StatePublished, Alg: p.Alg})
	}
	return changes
}

// due reports whether the successor of active has to be published now.
func due(active Info, p Policy, now time.Time) bool {
	if active.Alg != p.Alg || active.ActivatedAt == nil {
		return true
	}
	return !now.Before(active.ActivatedAt.Add(p.RotateEvery - PublishLead))
}

// takeOver lets next sign in place of active, whose tokens stay verifiable.
func takeOver(active *Info, next Info, now time.Time) []change {
	promote := change{ID: next.ID, From: StatePublished, To: StateActive, Alg: next.Alg}
	if active == nil {
		return []change{promote}
	}
	end := now.Add(LongestToken + retireMargin)
	return []change{{ID: active.ID, From: StateActive, To: StateRetiring, Alg: active.Alg, RetireAt: &end}, promote}
}

func retire(k Info, now time.Time) change {
	return change{ID: k.ID, From: k.State, To: StateRetired, Alg: k.Alg, RetireAt: &now}
}

// waiting returns the published key that signs next.
func waiting(all []Info) (Info, bool) {
	i := slices.IndexFunc(all, func(k Info) bool { return k.State == StatePublished })
	if i < 0 {
		return Info{}, false
	}
	return all[i], true
}
