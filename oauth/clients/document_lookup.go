package clients

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"time"

	"github.com/ostiary/ostiary/app/errs"
)

// confirmEvery bounds how often a document that goes on unchanged is noted as such in its client's row.
const confirmEvery = 12 * time.Hour

// Codes of the errors about metadata documents, for whoever words them.
const (
	CodeDocumentRefused     = "client_document_refused"
	CodeDocumentUnavailable = "client_document_unavailable"
	CodeDocumentLimited     = "client_document_limited"
)

// fromDocument finds a client whose id is a URL. Identity comes from the document, policy from the row: the document counts
// whenever it can be had; the row says whether the client is disabled and keeps the last good copy, so that a restart while the
// document's host is away logs nobody out.
func (b *Book) fromDocument(ctx context.Context, id string, v visit) (*Client, error) {
	row, err := b.row(ctx, id)
	if err != nil {
		return nil, err
	}
	switch {
	case row != nil && row.DisabledAt != nil:
		return nil, errNoClient
	case row != nil && row.Source != SourceMetadataDocument:
		return row, nil // pre-registered, under a name that happens to be a URL
	case !b.byDocument, row == nil && v.confirmed:
		return nil, errNoClient
	}
	if err := b.elsewhere(id); err != nil {
		return nil, err
	}
	if row == nil && b.documents.stranger(id, b.loopback) {
		if err := v.admit(); err != nil {
			return nil, documentProblem(err)
		}
	}
	client, err := b.documents.Get(ctx, id, b.loopback)
	if err != nil {
		if row != nil && hostAway(err) && b.now().Sub(row.Document.CheckedAt) < staleFor {
			return row, nil
		}
		return nil, documentProblem(err)
	}
	return client, b.keep(ctx, row, client)
}

// elsewhere refuses documents on the issuer's own host: we would ask ourselves, and what we answer is nobody's document.
func (b *Book) elsewhere(id string) error {
	at, err := ParseDocumentURL(id, b.loopback)
	if err == nil && !b.loopback && strings.EqualFold(at.Hostname(), b.issuerHost) {
		err = ErrDocumentURL
	}
	if err != nil {
		return documentProblem(err)
	}
	return nil
}

// keep brings the copy in a client's row up to date when the document changed, and twice a day when it did not.
func (b *Book) keep(ctx context.Context, row, client *Client) error {
	if row == nil {
		return nil
	}
	changed := !bytes.Equal(row.Document.Digest, client.Document.Digest)
	if !changed && client.Document.CheckedAt.Sub(row.Document.CheckedAt) < confirmEvery {
		return nil
	}
	if err := b.store.keepDocument(ctx, client, changed); err != nil {
		return err
	}
	kept := *client
	kept.CreatedAt = row.CreatedAt
	b.remember(client.ID, cachedClient{client: &kept, until: b.now().Add(cacheFor)})
	return nil
}

// documentProblem says what a failed lookup means to a request. A host that is away is not the client's mistake: on
// invalid_client hosts throw away what they have.
func documentProblem(err error) error {
	if _, busy := errors.AsType[*BusyError](err); busy {
		return &errs.Error{Kind: errs.RateLimited, Code: CodeDocumentLimited, Msg: "Too many new apps are connecting.", Err: err}
	}
	if hostAway(err) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return &errs.Error{Kind: errs.Unavailable, Code: CodeDocumentUnavailable, Msg: "The app's own address cannot be reached.", Err: err}
	}
	return &errs.Error{Kind: errs.NotFound, Code: CodeDocumentRefused, Msg: "The app's metadata document cannot be used.", Err: err}
}
