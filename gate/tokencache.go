package gate

import (
	"crypto/sha256"
	"sync"
)

// tokenEntry is a token whose signature and fixed claims were found good, and the key that said so.
type tokenEntry struct {
	identity   *Identity
	keyID      string
	thumbprint string
}

// recent is a bounded map that forgets what was not used lately. It keeps two generations: when the young one is full it
// becomes the old one, and what is then still in use moves over on its next use. Nothing is scanned, nothing is timed.
type recent[K comparable, V any] struct {
	mu         sync.Mutex
	size       int
	young, old map[K]V
}

func newRecent[K comparable, V any](size int) *recent[K, V] {
	return &recent[K, V]{size: size, young: make(map[K]V)}
}

func (r *recent[K, V]) get(key K) (V, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if v, ok := r.young[key]; ok {
		return v, true
	}
	v, ok := r.old[key]
	if ok {
		r.keep(key, v)
	}
	return v, ok
}

func (r *recent[K, V]) put(key K, v V) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keep(key, v)
}

func (r *recent[K, V]) keep(key K, v V) {
	if _, known := r.young[key]; !known && len(r.young) >= r.size {
		r.old, r.young = r.young, make(map[K]V)
	}
	r.young[key] = v
}

// tokenCache remembers verified tokens by their hash, never the tokens themselves.
type tokenCache = recent[[sha256.Size]byte, tokenEntry]

const rememberedTokens = 8192
