package clients

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/secret"
)

// Book is one environment's way to its clients. It belongs to an issuer snapshot: a new snapshot brings an empty cache, so a
// change to any client is seen when the environment's change is.
type Book struct {
	dynamic    *Dynamic
	disabled   map[string]bool
	store      *Store
	documents  *Documents
	byDocument bool // metadata documents are switched on
	schemes    Schemes
	loopback   bool   // the issuer is on this machine, so documents may be
	issuerHost string // where no document can be
	now        func() time.Time

	mu     sync.RWMutex
	cached map[string]cachedClient
	rows   map[string]bool    // ids of dynamic clients seen to have a row
	opened map[string]*Client // dynamic clients by id: opening an id again and again is dear
}

type cachedClient struct {
	client *Client // nil: known to be absent
	until  time.Time
}

const (
	cacheFor       = time.Minute
	cacheAbsentFor = 5 * time.Second
	maxCached      = 10_000
	maxOpened      = 1_000
)

// BookDeps of a Book: what is the same for every environment, and what is this one's.
type BookDeps struct {
	Store     *Store
	Documents *Documents
	Now       func() time.Time

	Dynamic           *Dynamic
	IssuerHost        string   // host of the issuer URL, without port
	MetadataDocuments bool     // whether clients may be known by their metadata documents
	RedirectSchemes   []string // private-use schemes that apps may register here besides those of known hosts
	Disabled          []string // ids of disabled clients
}

// NewBook returns the book of one environment.
func NewBook(d BookDeps) *Book {
	b := &Book{
		dynamic: d.Dynamic, disabled: map[string]bool{}, store: d.Store, now: d.Now, cached: map[string]cachedClient{},
		documents: d.Documents, byDocument: d.MetadataDocuments, loopback: issuerOnLoopback(d.IssuerHost), issuerHost: d.IssuerHost,
	}
	b.schemes = d.Documents.Hosts().Schemes().with(d.RedirectSchemes)
	for _, id := range d.Disabled {
		b.disabled[id] = true
	}
	return b
}

// issuerOnLoopback takes names below localhost as well (RFC 6761 §6.3): the operator chose the name, not a stranger.
func issuerOnLoopback(host string) bool {
	return IsLoopbackHost(host) || strings.HasSuffix(strings.ToLower(host), ".localhost")
}

// Meet returns the client with this id, for a request that begins something: a metadata document nobody here has seen is fetched.
// Before one of a host that nobody knows is, admit is asked, which says no with a *BusyError.
// Errors: errs.NotFound for unknown and disabled ones alike, with a *DocumentError in it where a document was refused;
// errs.RateLimited, with a *BusyError in it, where too many documents are fetched just now; errs.Unavailable, with a *FetchError
// in it where a document could not be had.
func (b *Book) Meet(ctx context.Context, id string, admit func() error) (*Client, error) {
	return b.get(ctx, id, visit{admit: admit})
}

// Get is Meet for a request that needs a client it has met already: strangers make us fetch nothing.
func (b *Book) Get(ctx context.Context, id string) (*Client, error) {
	return b.get(ctx, id, visit{admit: func() error { return &BusyError{After: busyFor} }})
}

// GetConfirmed is Get for a request that continues something: who never was allowed anything here has nothing to continue.
func (b *Book) GetConfirmed(ctx context.Context, id string) (*Client, error) {
	return b.get(ctx, id, visit{confirmed: true})
}

// visit is what a request may find.
type visit struct {
	confirmed bool         // only clients that were allowed something
	admit     func() error // asked before a stranger's document is fetched
}

func (b *Book) get(ctx context.Context, id string, v visit) (*Client, error) {
	if id == "" || b.disabled[id] {
		return nil, errNoClient
	}
	if client, ok := b.open(id); ok {
		return client, nil
	}
	if IsDocumentURL(id) {
		return b.fromDocument(ctx, id, v)
	}
	return b.registered(ctx, id)
}

// open returns the client that a dynamic client_id carries.
func (b *Book) open(id string) (*Client, bool) {
	if !strings.HasPrefix(id, dynamicPrefix) {
		return nil, false
	}
	b.mu.RLock()
	client, ok := b.opened[id]
	b.mu.RUnlock()
	if ok {
		return client, true
	}
	client, err := b.dynamic.Open(strings.Clone(id)) // kept: it must not keep the request it came in
	if err != nil {
		return nil, false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.opened == nil || len(b.opened) >= maxOpened {
		b.opened = map[string]*Client{}
	}
	b.opened[client.ID] = client
	return client, true
}

// HasRow reports whether a dynamic client is known to have a row. Rows are not deleted.
func (b *Book) HasRow(id string) bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.rows[id]
}

// RememberRow notes that a client has a row. Only dynamic ones are worth it: the row of a metadata document is renewed.
func (b *Book) RememberRow(c *Client) {
	if c.Source != SourceDynamic {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rows == nil || len(b.rows) >= maxCached {
		b.rows = map[string]bool{}
	}
	b.rows[c.ID] = true
}

var errNoClient = errs.New(errs.NotFound, "There is no such client.")

func (b *Book) registered(ctx context.Context, id string) (*Client, error) {
	row, err := b.row(ctx, id)
	if err != nil {
		return nil, err
	}
	if row == nil || row.DisabledAt != nil {
		return nil, errNoClient
	}
	return row, nil
}

// row returns a client's row, nil where there is none.
func (b *Book) row(ctx context.Context, id string) (*Client, error) {
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
		switch {
		case client != nil:
		case IsDocumentURL(id):
			return nil, nil //nolint:nilnil // absence is an answer; and not kept: a consent may make the row within seconds
		default:
			hit.until = now.Add(cacheAbsentFor)
		}
		b.remember(id, hit)
	}
	return hit.client, nil
}

func (b *Book) remember(id string, hit cachedClient) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.cached) >= maxCached {
		clear(b.cached)
	}
	b.cached[strings.Clone(id)] = hit // not the request it came in
}

// Schemes returns the private-use schemes of known hosts and of this environment; the caller must not change it.
func (b *Book) Schemes() Schemes { return b.schemes }

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
