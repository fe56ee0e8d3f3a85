package gate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

const fetchTimeout = 10 * time.Second

// fetcher reads small documents from the issuer.
type fetcher struct{ client *http.Client }

// newFetcher copies client so that no redirect is followed: the issuer's documents are where its metadata says they are,
// and a redirect would let whoever can cause one choose the keys.
func newFetcher(client *http.Client) fetcher {
	if client == nil {
		client = &http.Client{}
	}
	c := *client
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if c.Timeout == 0 {
		c.Timeout = fetchTimeout
	}
	return fetcher{client: &c}
}

// document is what a fetch brought. notModified is set instead of body when the ETag still holds.
type document struct {
	body        []byte
	etag        string
	notModified bool
}

// get fetches address, at most limit bytes of it.
func (f fetcher) get(ctx context.Context, address, accept, etag string, limit int64) (document, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return document{}, err
	}
	req.Header.Set("Accept", accept)
	if etag != "" {
		req.Header.Set("If-None-Match", etag)
	}
	resp, err := f.client.Do(req)
	if err != nil {
		return document{}, withoutURL(err)
	}
	defer resp.Body.Close() //nolint:errcheck // nothing was written
	if resp.StatusCode == http.StatusNotModified && etag != "" {
		return document{notModified: true, etag: etag}, nil
	}
	if resp.StatusCode != http.StatusOK {
		return document{}, fmt.Errorf("answered %d", resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return document{}, fmt.Errorf("read the answer: %w", err)
	}
	if int64(len(body)) > limit {
		return document{}, fmt.Errorf("answered more than %d bytes", limit)
	}
	return document{body: body, etag: resp.Header.Get("ETag")}, nil
}

// withoutURL takes the address out of an error of http.Client: it may carry a query, and those are never logged.
func withoutURL(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}
