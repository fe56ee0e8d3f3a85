package clients

import "container/list"

// recently keeps the entries that were used last, at most so many. It is not safe for concurrent use.
type recently[K comparable, V any] struct {
	most    int
	order   *list.List // of entry[K, V], the last used in front
	entries map[K]*list.Element
}

type entry[K comparable, V any] struct {
	key   K
	value V
}

func newRecently[K comparable, V any](most int) *recently[K, V] {
	return &recently[K, V]{most: most, order: list.New(), entries: map[K]*list.Element{}}
}

func (r *recently[K, V]) get(key K) (V, bool) {
	at, ok := r.entries[key]
	if !ok {
		var none V
		return none, false
	}
	r.order.MoveToFront(at)
	return at.Value.(entry[K, V]).value, true //nolint:errcheck // the list holds nothing else
}

func (r *recently[K, V]) put(key K, value V) {
	if at, ok := r.entries[key]; ok {
		at.Value = entry[K, V]{key, value}
		r.order.MoveToFront(at)
		return
	}
	r.entries[key] = r.order.PushFront(entry[K, V]{key, value})
	if r.order.Len() > r.most {
		r.drop(r.order.Back().Value.(entry[K, V]).key) //nolint:errcheck // the list holds nothing else
	}
}

func (r *recently[K, V]) drop(key K) {
	if at, ok := r.entries[key]; ok {
		r.order.Remove(at)
		delete(r.entries, key)
	}
}
