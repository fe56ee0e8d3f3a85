package scope

import "context"

// carrier is a context that carries a value under a key type of its own. Every request makes several; this takes one piece of
// memory where context.WithValue takes two.
type carrier[K comparable, V any] struct {
	context.Context
	value V
}

// Value returns a pointer to what is carried; other keys are the parent's.
func (c *carrier[K, V]) Value(key any) any {
	if _, ok := key.(K); ok {
		return &c.value
	}
	return c.Context.Value(key)
}

func carry[K comparable, V any](ctx context.Context, value V) context.Context {
	return &carrier[K, V]{Context: ctx, value: value}
}

func carried[K comparable, V any](ctx context.Context) (value V, ok bool) {
	var key K
	p, ok := ctx.Value(key).(*V)
	if !ok {
		return value, false
	}
	return *p, true
}
