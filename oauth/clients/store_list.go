package clients

import (
	"context"
	"encoding/json"
	"fmt"

	"gorm.io/gorm"

	"github.com/ostiary/ostiary/app/scope"
)

type listedClient struct {
	ID, Source, Name, AuthMethod           string
	SecretHashes, RedirectURIs, GrantTypes []byte // JSON
}

// byID returns the clients of the environment in scope that have one of the ids.
func (s *Store) byID(ctx context.Context, ids []string) (map[string]Client, error) {
	sc, err := scope.From(ctx)
	if err != nil {
		return nil, err
	}
	var rows []listedClient
	if len(ids) > 0 {
		err = s.db.InTenant(ctx, func(_ context.Context, tx *gorm.DB) error {
			return tx.Raw(`select id, source, name, auth_method,
				(select coalesce(jsonb_agg(encode(h, 'base64')), '[]') from unnest(secret_hashes) h) as secret_hashes,
				to_jsonb(redirect_uris) as redirect_uris, to_jsonb(grant_types) as grant_types
				from clients where tenant_id = ? and environment_id = ? and id in ?`, sc.TenantID, sc.EnvironmentID, ids).Scan(&rows).Error
		})
	}
	if err != nil {
		return nil, fmt.Errorf("load clients: %w", err)
	}
	found := make(map[string]Client, len(rows))
	for _, row := range rows {
		c := Client{ID: row.ID, Source: Source(row.Source), Name: row.Name, AuthMethod: AuthMethod(row.AuthMethod)}
		for from, into := range map[*[]byte]any{
			&row.SecretHashes: &c.SecretHashes, &row.RedirectURIs: &c.RedirectURIs, &row.GrantTypes: &c.GrantTypes,
		} {
			if err := json.Unmarshal(*from, into); err != nil {
				return nil, fmt.Errorf("load clients: %w", err)
			}
		}
		found[c.ID] = c
	}
	return found, nil
}
