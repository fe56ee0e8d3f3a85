package scope

import (
	"context"
	"sync/atomic"
)

type caseKey struct{}

// WithCase returns a context of the connection attempt with this case id. SetCase can still change it: the request of a page
// learns only on its way to which attempt it belongs, and everything above and below must then name the same one.
func WithCase(ctx context.Context, id string) context.Context {
	holder := &carrier[caseKey, atomic.Pointer[string]]{Context: ctx}
	holder.value.Store(&id)
	return holder
}

// SetCase changes the case id of a context that WithCase returned, for everybody who holds it.
func SetCase(ctx context.Context, id string) {
	if holder, ok := ctx.Value(caseKey{}).(*atomic.Pointer[string]); ok {
		holder.Store(&id)
	}
}

// CaseID returns the case id of ctx, empty outside a connection attempt.
func CaseID(ctx context.Context) string {
	if holder, ok := ctx.Value(caseKey{}).(*atomic.Pointer[string]); ok {
		return *holder.Load()
	}
	return ""
}
