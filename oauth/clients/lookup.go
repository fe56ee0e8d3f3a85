package clients

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/secret"
)

// Book is one environment's way to its clients. It belongs to an issuer snapshot: a new snapshot brings an empty cache, so a
// change to any client is seen when the environment's change is.
type Book struct {
	dynamic  *Dynamic
	disabled map[string]bool
	store    *Store
	now      func() time.Time

	mu     sync.RWMutex
	cached map[string]cachedClient
}

type cachedClient struct {
	client *Client // nil: known to be absent
	until  time.Time
}

const (
	cacheFor       = time.Minute
	cacheAbsentFor = 5 * time.Second
	maxCached      = 10_000
)

// NewBook returns the book of one environment; disabled lists its disabled clients.
func NewBook(dynamic *Dynamic, store *Store, disabled []string, now func() time.Time) *Book {
	b := &Book{dynamic: dynamic, store: store, disabled: map[string]bool{}, now: now, cached: map[string]cachedClient{}}
	for _, id := range disabled {
		b.disabled[id] = true
	}
	return b
}

// Get returns the client with this id. Errors: errs.NotFound for unknown and disabled ones alike, errs.Unavailable.
func (b *Book) Get(ctx context.Context, id string) (*Client, error) {
	if id == "" || b.disabled[id] {
		return nil, errNoClient
	}
	if client, err := b.dynamic.Open(id); err == nil {
		return client, nil
	}
	return b.registered(ctx, id)
}

var errNoClient = errs.New(errs.NotFound, "There is no such client.")

func (b *Book) registered(ctx context.Context, id string) (*Client, error) {
	now := b.now()
	b.mu.RLock()
	hit, ok := b.cached[id]
	b.mu.RUnlock()
	if !ok || now.After(hit.until) {
		client, err := b.store.Get(ctx, id)
		if err != nil && !errs.Is(err, errs.NotFound) {
			return nil, err
		}
		hit = cachedClient{client: client, until: now.Add(cacheFor)}
		if client == nil {
			hit.until = now.Add(cacheAbsentFor)
		}
		b.remember(id, hit)
	}
	if hit.client == nil || hit.client.DisabledAt != nil {
		return nil, errNoClient
	}
	return hit.client, nil
}

func (b *Book) remember(id string, hit cachedClient) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.cached) >= maxCached {
		clear(b.cached)
	}
	b.cached[id] = hit
}

// Issue makes a dynamic client; see Dynamic.Issue.
func (b *Book) Issue(r Registration) (*Client, string, error) { return b.dynamic.Issue(r) }

// VerifySecret reports whether presented is a live secret of c, in constant time.
func (b *Book) VerifySecret(c *Client, presented string) bool {
	if c.AuthMethod != AuthSecret || presented == "" {
		return false
	}
	if c.Source == SourceDynamic {
		return secret.Equal([]byte(b.dynamic.Secret(c.ID)), []byte(presented))
	}
	hash := secret.Hash(presented)
	return slices.ContainsFunc(c.SecretHashes, func(live []byte) bool { return secret.Equal(live, hash) })
}
