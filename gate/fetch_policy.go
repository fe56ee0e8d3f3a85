package gate

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/ostiary/ostiary/app/policy"
)

// FetchPolicy returns the policy that an issuer publishes for a resource, verified as a gate verifies it. client may be nil.
// It is for tools that look at a policy once; a gate follows it.
func FetchPolicy(ctx context.Context, issuer, resourceID string, client *http.Client) (*policy.Document, error) {
	o, err := Options{Issuer: issuer, ResourceID: resourceID, HTTPClient: client}.withDefaults()
	if err != nil {
		return nil, err
	}
	fetch := newFetcher(o.HTTPClient)
	keys := &issuerKeys{issuer: issuer, fetch: fetch, now: o.Now, log: slog.New(slog.DiscardHandler), life: ctx}
	set, err := keys.load(ctx)
	if err != nil {
		return nil, err
	}
	keys.current.Store(set)
	source := &issuerPolicy{
		issuer: issuer, resourceID: resourceID, keys: keys, fetch: fetch, skew: o.Skew, log: o.Logger,
		watch:  &watch{now: o.Now, steady: o.steady},
		usable: func(*policy.Document) error { return nil },
	}
	if err := source.poll(ctx); err != nil {
		return nil, err
	}
	return source.Current(), nil
}
