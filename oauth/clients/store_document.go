package clients

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ostiary/ostiary/app/audit"
	"github.com/ostiary/ostiary/app/scope"
)

// documentMetadata is the part of a client's metadata column that only clients with a document, or with keys, have.
type documentMetadata struct {
	JWKS      json.RawMessage `json:"jwks,omitempty"`
	JWKSURI   string          `json:"jwks_uri,omitempty"`
	LogoURI   string          `json:"logo_uri,omitempty"`
	Digest    []byte          `json:"document_digest,omitempty"`
	CheckedAt time.Time       `json:"document_checked_at,omitzero"`
}

func documentMetadataOf(c *Client) documentMetadata {
	m := documentMetadata{JWKS: c.Keys.JWKS, JWKSURI: c.Keys.URI}
	if c.Document != nil {
		m.LogoURI, m.Digest, m.CheckedAt = c.Document.LogoURI, c.Document.Digest, c.Document.CheckedAt.UTC()
	}
	return m
}

func (m documentMetadata) restore(c *Client) {
	c.Keys = Keys{JWKS: m.JWKS, URI: m.JWKSURI}
	if c.Source != SourceMetadataDocument {
		return
	}
	c.Document = &Document{LogoURI: m.LogoURI, Digest: m.Digest, CheckedAt: m.CheckedAt}
	if at, err := url.Parse(c.ID); err == nil {
		c.Document.Host = strings.ToLower(at.Hostname())
	}
}

// A copy is only ever replaced by a younger one: nodes hear of a change in any order.
const updateDocument = `update clients set name = $4, auth_method = $5, redirect_uris = $6, grant_types = $7,
  metadata = (metadata - array['client_uri', 'post_logout_redirect_uris', 'jwks', 'jwks_uri', 'logo_uri']) || $8::jsonb
where tenant_id = $1 and environment_id = $2 and id = $3 and source = 'metadata_document'
  and coalesce((metadata->>'document_checked_at')::timestamptz, '-infinity') < $9`

// keepDocument keeps what a document says as the copy to go on with while its host is away. Errors: errs.Unavailable.
func (s *Store) keepDocument(ctx context.Context, c *Client, changed bool) error {
	sc, err := scope.From(ctx)
	if err != nil {
		return err
	}
	var queued error
	err = s.db.Pipe(ctx, func(b *pgx.Batch) {
		if queued = queueKeep(b, sc, c); queued == nil && changed {
			queued = audit.Queue(ctx, b, s.now(), audit.Event{
				Action: "client.document_changed", TargetKind: "client", TargetID: c.ID,
				Detail: map[string]any{"redirect_uris": c.RedirectURIs, "auth_method": string(c.AuthMethod)},
			})
		}
	})
	if queued != nil {
		return fmt.Errorf("keep metadata document: %w", queued)
	}
	if err != nil {
		return fmt.Errorf("keep metadata document: %w", err)
	}
	return nil
}

func queueKeep(b *pgx.Batch, sc scope.Scope, c *Client) error {
	metadata, err := json.Marshal(metadataOf(c))
	if err != nil {
		return err
	}
	b.Queue(updateDocument, sc.TenantID, sc.EnvironmentID, c.ID, c.Name, string(c.AuthMethod), c.RedirectURIs, c.GrantTypes, metadata,
		c.Document.CheckedAt)
	return nil
}
