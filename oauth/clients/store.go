package clients

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"gorm.io/gorm"

	"github.com/ostiary/ostiary/app/db"
	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/scope"
)

// Store keeps the clients that have a row.
type Store struct {
	db  *db.DB
	now func() time.Time
}

// NewStore returns a Store.
func NewStore(d *db.DB, now func() time.Time) *Store { return &Store{db: d, now: now} }

const selectClient = `select id, source, name, auth_method, secret_hashes, redirect_uris, grant_types, metadata, created_at, disabled_at
from clients where tenant_id = $1 and environment_id = $2 and id = $3`

// clientMetadata is what no query asks for.
type clientMetadata struct {
	URI            string   `json:"client_uri,omitempty"`
	PostLogoutURIs []string `json:"post_logout_redirect_uris,omitempty"`
	documentMetadata
}

func metadataOf(c *Client) clientMetadata {
	return clientMetadata{URI: c.URI, PostLogoutURIs: c.PostLogoutURIs, documentMetadata: documentMetadataOf(c)}
}

// Get returns the client of the environment in scope. Errors: errs.NotFound, errs.Unavailable.
func (s *Store) Get(ctx context.Context, id string) (*Client, error) {
	sc, err := scope.From(ctx)
	if err != nil {
		return nil, err
	}
	var c Client
	var metadata clientMetadata
	err = s.db.Pipe(ctx, func(b *pgx.Batch) {
		b.Queue(selectClient, sc.TenantID, sc.EnvironmentID, id).QueryRow(func(row pgx.Row) error {
			return row.Scan(&c.ID, &c.Source, &c.Name, &c.AuthMethod, &c.SecretHashes, &c.RedirectURIs, &c.GrantTypes, &metadata,
				&c.CreatedAt, &c.DisabledAt)
		})
		queueMachine(b, sc, id, &c)
	})
	if err != nil {
		return nil, fmt.Errorf("load client: %w", err)
	}
	c.URI, c.PostLogoutURIs = metadata.URI, metadata.PostLogoutURIs
	metadata.restore(&c)
	return &c, nil
}

// Disabled returns the ids of the disabled clients of the environment in scope.
func (s *Store) Disabled(ctx context.Context) ([]string, error) {
	sc, err := scope.From(ctx)
	if err != nil {
		return nil, err
	}
	var ids []string
	err = s.db.InTenant(ctx, func(_ context.Context, tx *gorm.DB) error {
		return tx.Raw(`select id from clients where tenant_id = ? and environment_id = ? and disabled_at is not null`,
			sc.TenantID, sc.EnvironmentID).Scan(&ids).Error
	})
	if err != nil {
		return nil, fmt.Errorf("load disabled clients: %w", err)
	}
	return ids, nil
}

const insertClient = `insert into clients
  (tenant_id, environment_id, id, source, name, auth_method, secret_hashes, redirect_uris, grant_types, metadata, created_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
on conflict (tenant_id, environment_id, id) do nothing`

// QueueConfirm puts on b the statement that gives a client without a row its row, for the transaction of a first consent.
func (s *Store) QueueConfirm(b *pgx.Batch, sc scope.Scope, c *Client, now time.Time) error {
	metadata, err := json.Marshal(metadataOf(c))
	if err != nil {
		return fmt.Errorf("confirm client: %w", err)
	}
	b.Queue(insertClient, sc.TenantID, sc.EnvironmentID, c.ID, string(c.Source), c.Name, string(c.AuthMethod),
		hashesOrEmpty(c.SecretHashes), c.RedirectURIs, c.GrantTypes, metadata, now)
	if c.Document != nil { // one that was confirmed before gets the document that this user saw
		return queueKeep(b, sc, c)
	}
	return nil
}

func hashesOrEmpty(h [][]byte) [][]byte {
	if h == nil {
		return [][]byte{}
	}
	return h
}

// Arrays travel as JSON here: gorm would spread a slice over several placeholders.
const upsertClient = `insert into clients
  (tenant_id, environment_id, id, source, name, auth_method, secret_hashes, redirect_uris, grant_types, metadata, created_at)
values (?, ?, ?, 'preregistered', ?, ?,
  array(select decode(jsonb_array_elements_text(?::jsonb), 'hex')),
  array(select jsonb_array_elements_text(?::jsonb)), array(select jsonb_array_elements_text(?::jsonb)), '{}', ?)
on conflict (tenant_id, environment_id, id) do update set name = excluded.name, auth_method = excluded.auth_method,
  secret_hashes = excluded.secret_hashes, redirect_uris = excluded.redirect_uris, grant_types = excluded.grant_types
where clients.source = 'preregistered'`

// Upsert writes a pre-registered client. Errors: errs.Conflict when the id belongs to a client of another source.
func (s *Store) Upsert(ctx context.Context, c Client) error {
	sc, err := scope.From(ctx)
	if err != nil {
		return err
	}
	hashes := make([]string, 0, len(c.SecretHashes))
	for _, h := range c.SecretHashes {
		hashes = append(hashes, hex.EncodeToString(h))
	}
	return s.db.InTenant(ctx, func(ctx context.Context, tx *gorm.DB) error {
		done := tx.Exec(upsertClient, sc.TenantID, sc.EnvironmentID, c.ID, c.Name, string(c.AuthMethod),
			jsonList(hashes), jsonList(c.RedirectURIs), jsonList(c.GrantTypes), s.now().UTC())
		if done.Error != nil {
			return fmt.Errorf("write client: %w", done.Error)
		}
		if done.RowsAffected == 0 {
			return errs.New(errs.Conflict, "A client that registered itself already has this id.")
		}
		return s.db.Notify(ctx, sc.EnvironmentID)
	})
}

func jsonList(list []string) string {
	b, err := json.Marshal(append([]string{}, list...))
	if err != nil {
		return "[]" // strings always marshal
	}
	return string(b)
}
