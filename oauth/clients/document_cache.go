package clients

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"time"
)

const (
	maxDocuments = 1000 // of at most 5 KB each
	maxKeySets   = 200
	maxKeySet    = 64 << 10
)

// Documents finds clients by the URL of their metadata document, and the keys and logos those name, for every issuer of a
// process. What it holds is public and the same for everybody; what a tenant decided about a client is in the tenant's rows.
type Documents struct {
	fetch     *fetcher
	hosts     *Hosts
	overrides map[string][]byte
	now       func() time.Time
	log       *slog.Logger

	budget    *budget
	documents *shelf[*Client] // never changed: everybody shares them
	keySets   *shelf[[]publicKey]
	logos     *shelf[Logo]
	decoding  chan struct{}
}

// DocumentsDeps of Documents.
type DocumentsDeps struct {
	Now    func() time.Time
	Logger *slog.Logger
	Hosts  *Hosts
	// Overrides answer in place of the hosts of these URLs: metadata documents, and the key sets and logos they name. For
	// development only: whoever writes them speaks for every host.
	Overrides map[string][]byte
}

// NewDocuments returns a Documents with nothing in memory. Errors: an override that is neither an acceptable document nor
// something that one names.
func NewDocuments(d DocumentsDeps) (*Documents, error) {
	for id, raw := range d.Overrides {
		if err := checkOverride(id, raw, d.Hosts.Schemes()); err != nil {
			return nil, fmt.Errorf("in place of %s: %w", id, err)
		}
		d.Logger.WarnContext(context.Background(), "a file answers for a client's own address; development only", "url", id)
	}
	return newDocuments(d, newFetcher(fetchDeps{now: d.Now})), nil
}

func checkOverride(id string, raw []byte, schemes Schemes) error {
	_, err := parseDocument(id, raw, true, schemes)
	if !hostAway(err) {
		return err
	}
	if _, err := redraw(raw); err == nil {
		return nil
	}
	_, err = parseKeySet(raw)
	return err
}

func newDocuments(d DocumentsDeps, f *fetcher) *Documents {
	all := &Documents{
		fetch: f, hosts: d.Hosts, overrides: d.Overrides, now: d.Now, log: d.Logger, budget: newBudget(d.Now),
		decoding: make(chan struct{}, logosAtOnce),
	}
	all.documents = newShelf(maxDocuments, d.Now, all.downloadDocument)
	all.keySets = newShelf(maxKeySets, d.Now, all.downloadKeySet)
	all.logos = newShelf(maxLogos, d.Now, all.downloadLogo)
	return all
}

// Hosts returns the known hosts.
func (d *Documents) Hosts() *Hosts { return d.hosts }

// Get returns the client that the document at id describes; the caller must not change it. loopback is as in ParseDocumentURL.
// While a document's host is away, the last good copy goes on for a week.
// Errors: ErrDocumentURL, *FetchError, *DocumentError, or that of ctx.
func (d *Documents) Get(ctx context.Context, id string, loopback bool) (*Client, error) {
	if _, err := ParseDocumentURL(id, loopback); err != nil {
		return nil, err
	}
	client, _, err := d.documents.get(ctx, documentKey{id, loopback})
	return client, err
}

func (d *Documents) downloadDocument(ctx context.Context, key documentKey, known bool) (*Client, time.Duration, error) {
	at, err := ParseDocumentURL(key.id, key.loopback)
	if err != nil {
		return nil, 0, err
	}
	_, ours := d.hosts.ByDocument(key.id)
	if !known {
		if err := d.spend(ctx, at, ours); err != nil {
			return nil, 0, &FetchError{Host: at.Hostname(), Reason: "was asked too often just now", cause: err}
		}
	}
	answer, err := d.obtain(ctx, key.id, at, wanted{known: ours, limit: maxDocument, accept: "application/json", takes: isJSON})
	if err == nil {
		var client *Client
		if client, err = parseDocument(key.id, answer.body, key.loopback, d.hosts.Schemes()); err == nil {
			client.Document.CheckedAt = d.now()
			return client, answer.freshFor, nil
		}
	}
	if known {
		d.log.WarnContext(ctx, "metadata document could not be renewed", "host", at.Hostname(), "error", err)
	}
	return nil, 0, err
}

// spend takes a new document from its domain's budget. Known hosts have one for each environment: who makes up connections of
// theirs in one spends nobody else's. Errors: *BusyError.
func (d *Documents) spend(ctx context.Context, at *url.URL, ours bool) error {
	domain := registrable(at.Hostname())
	if !ours {
		return d.budget.take(domain, hostBudget)
	}
	return d.budget.take(environmentOf(ctx)+" "+domain, knownHostBudget)
}

// stranger reports whether the document at id would have to be downloaded from a host nobody here knows.
func (d *Documents) stranger(id string, loopback bool) bool {
	if _, ours := d.hosts.ByDocument(id); ours || d.overrides[id] != nil {
		return false
	}
	have, failed := d.documents.look(documentKey{id, loopback})
	return !have.present && !d.now().Before(failed.until)
}

// obtain fetches what is at an address, or what stands in its place.
func (d *Documents) obtain(ctx context.Context, id string, at *url.URL, want wanted) (fetched, error) {
	if raw, ok := d.overrides[id]; ok {
		return fetched{body: raw, freshFor: maxFresh}, nil
	}
	return d.fetch.get(ctx, at, want)
}

// keySet returns the keys at a client's jwks_uri; newerKeySet asks again for them first, within limits.
// Errors: *FetchError, or that of ctx.
func (d *Documents) keySet(ctx context.Context, uri string, loopback bool) ([]publicKey, error) {
	keys, _, err := d.keySets.get(ctx, documentKey{uri, loopback})
	return keys, err
}

func (d *Documents) newerKeySet(ctx context.Context, uri string, loopback bool) ([]publicKey, error) {
	keys, _, err := d.keySets.renew(ctx, documentKey{uri, loopback})
	return keys, err
}

func (d *Documents) downloadKeySet(ctx context.Context, key documentKey, _ bool) ([]publicKey, time.Duration, error) {
	at, err := ParseDocumentURL(key.id, key.loopback)
	if err != nil {
		return nil, 0, &FetchError{Host: "the client", Reason: "names no address for its keys that we may fetch"}
	}
	answer, err := d.obtain(ctx, key.id, at, wanted{
		known: d.hosts.Serves(at.Hostname()), limit: maxKeySet, accept: "application/jwk-set+json, application/json", takes: isJSON,
	})
	if err != nil {
		return nil, 0, err
	}
	keys, err := parseKeySet(answer.body)
	if err != nil { // keys that everybody knows end what was signed with the old ones as well
		return nil, 0, &FetchError{Host: at.Hostname(), Reason: err.Error(), Gone: errors.Is(err, errPrivateKey)}
	}
	return keys, answer.freshFor, nil
}
