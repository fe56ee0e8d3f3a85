package clients

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"gorm.io/gorm"

	"github.com/ostiary/ostiary/app/audit"
	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/scope"
	"github.com/ostiary/ostiary/app/secret"
	"github.com/ostiary/ostiary/tenants"
	"github.com/ostiary/ostiary/tenants/apply"
)

// The grant's id is read out first: under row-level security, comparing with an expression on metadata leads to no index, and reads
// the grants of everybody.
const selectMachine = `with named as materialized (
  select metadata->>'machine_grant' as grant_id from clients where tenant_id = $1 and environment_id = $2 and id = $3
)
select g.id, g.resource_id, g.scopes, g.revoked_at
from named n
join grants g on g.tenant_id = $1 and g.environment_id = $2 and g.id = n.grant_id and g.client_id = $3`

// queueMachine reads what the client with this id may do for itself into c, beside the query that reads the client.
func queueMachine(b *pgx.Batch, sc scope.Scope, id string, c *Client) {
	b.Queue(selectMachine, sc.TenantID, sc.EnvironmentID, id).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			c.Machine = &Machine{}
			if err := rows.Scan(&c.Machine.GrantID, &c.Machine.ResourceID, &c.Machine.Scopes, &c.Machine.RevokedAt); err != nil {
				return err
			}
		}
		return rows.Err()
	})
}

// namedRow is a named client's standing grant and what else a tenant file says of it that no query asks for.
type namedRow struct {
	ClientID   string
	GrantID    string
	ResourceID string
	Identifier string
	Scopes     string // separated by spaces
	PostLogout string // the same
	JWKS       string
	JWKSURI    string
	RevokedAt  *time.Time
}

const selectNamed = `with c as materialized (
  select tenant_id, environment_id, id, metadata, metadata->>'machine_grant' as grant_id
  from clients where tenant_id = ? and environment_id = ? and id in ?
)
select c.id as client_id, coalesce(g.id, '') as grant_id, coalesce(g.resource_id, '') as resource_id,
  coalesce(r.identifier, '') as identifier, coalesce(array_to_string(g.scopes, ' '), '') as scopes, g.revoked_at,
  coalesce((select string_agg(uri, ' ' order by n) from
    jsonb_array_elements_text(c.metadata->'post_logout_redirect_uris') with ordinality as l(uri, n)), '') as post_logout,
  coalesce((c.metadata->'jwks')::text, '') as jwks, coalesce(c.metadata->>'jwks_uri', '') as jwks_uri
from c
left join grants g on g.tenant_id = c.tenant_id and g.environment_id = c.environment_id and g.id = c.grant_id and g.client_id = c.id
left join resources r on r.tenant_id = g.tenant_id and r.environment_id = g.environment_id and r.id = g.resource_id`

// named returns what only named clients have, by client id.
func (s *Store) named(ctx context.Context, ids []string) (map[string]namedRow, error) {
	sc, err := scope.From(ctx)
	if err != nil {
		return nil, err
	}
	var list []namedRow
	if len(ids) > 0 {
		err = s.db.InTenant(ctx, func(_ context.Context, tx *gorm.DB) error {
			return tx.Raw(selectNamed, sc.TenantID, sc.EnvironmentID, ids).Scan(&list).Error
		})
	}
	if err != nil {
		return nil, fmt.Errorf("load named clients: %w", err)
	}
	found := make(map[string]namedRow, len(list))
	for _, row := range list {
		found[row.ClientID] = row
	}
	return found, nil
}

// lastDay is where a grant without an end ends: the column knows no infinity that Go can hold.
func lastDay() time.Time { return time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC) }

const insertMachineGrant = `insert into grants
  (tenant_id, environment_id, id, client_id, resource_id, scopes, created_at, expires_at, last_used_at)
values (?, ?, ?, ?, ?, array(select jsonb_array_elements_text(?::jsonb)), ?, ?, ?)`

// setMachine gives the client the standing grant that f describes and ends the one it replaces. A grant that is as f says
// is left as it is, even when it was revoked: applying a file again never brings back what somebody ended.
// Errors: errs.Invalid when the environment has no such MCP server.
func (s *Store) setMachine(ctx context.Context, f apply.Client) error {
	sc, err := scope.From(ctx)
	if err != nil {
		return err
	}
	return s.db.InTenant(ctx, func(ctx context.Context, tx *gorm.DB) error {
		known, err := s.named(ctx, []string{f.ID})
		if err != nil {
			return err
		}
		have := known[f.ID]
		if sameMachine(have, f.Machine) {
			return nil
		}
		now := s.now().UTC()
		if err := s.endMachine(ctx, tx, sc, have, now); err != nil {
			return err
		}
		grantID := ""
		if f.Machine != nil {
			if grantID, err = s.giveMachine(ctx, tx, sc, f, now); err != nil {
				return err
			}
		}
		return tx.Exec(`update clients set metadata = metadata - 'machine_grant' ||
			case when ? = '' then '{}' else jsonb_build_object('machine_grant', ?::text) end
			where tenant_id = ? and environment_id = ? and id = ?`,
			grantID, grantID, sc.TenantID, sc.EnvironmentID, f.ID).Error
	})
}

func (s *Store) giveMachine(ctx context.Context, tx *gorm.DB, sc scope.Scope, f apply.Client, now time.Time) (string, error) {
	identifier, err := tenants.CanonicalIdentifier(f.Machine.Resource)
	if err != nil {
		return "", err
	}
	var resourceID string
	err = tx.Raw(`select id from resources where tenant_id = ? and environment_id = ? and identifier = ?`,
		sc.TenantID, sc.EnvironmentID, identifier).Scan(&resourceID).Error
	if err != nil {
		return "", fmt.Errorf("load MCP server of client %s: %w", f.ID, err)
	}
	if resourceID == "" {
		return "", errs.New(errs.Invalid, "The client "+f.ID+" is for an MCP server that is not here: "+identifier+".")
	}
	grantID := secret.NewOrderedID("grt", now)
	err = tx.Exec(insertMachineGrant, sc.TenantID, sc.EnvironmentID, grantID, f.ID, resourceID, jsonList(f.Machine.Scopes),
		now, lastDay(), now).Error
	if err != nil {
		return "", fmt.Errorf("write grant of client %s: %w", f.ID, err)
	}
	return grantID, s.recordMachine(ctx, "grant.given", grantID, map[string]any{
		"client_id": f.ID, "resource_id": resourceID, "scopes": f.Machine.Scopes,
	})
}

func (s *Store) endMachine(ctx context.Context, tx *gorm.DB, sc scope.Scope, have namedRow, now time.Time) error {
	if have.GrantID == "" || have.RevokedAt != nil {
		return nil
	}
	err := tx.Exec(`update grants set revoked_at = ?, revoked_reason = 'replaced'
		where tenant_id = ? and environment_id = ? and id = ? and revoked_at is null`,
		now, sc.TenantID, sc.EnvironmentID, have.GrantID).Error
	if err != nil {
		return fmt.Errorf("end grant of client %s: %w", have.ClientID, err)
	}
	return s.recordMachine(ctx, "grant.revoked", have.GrantID, map[string]any{"client_id": have.ClientID, "reason": "replaced"})
}

func (s *Store) recordMachine(ctx context.Context, action, grantID string, detail map[string]any) error {
	return audit.NewRecorder(audit.Deps{DB: s.db, Now: s.now}).Record(ctx, audit.Event{
		Action: action, TargetKind: "grant", TargetID: grantID, Detail: detail,
	})
}

func sameMachine(have namedRow, want *apply.Machine) bool {
	if want == nil || have.GrantID == "" {
		return want == nil && have.GrantID == ""
	}
	identifier, err := tenants.CanonicalIdentifier(want.Resource)
	return err == nil && identifier == have.Identifier && slices.Equal(want.Scopes, words(have.Scopes))
}

// setNamed writes where the client may return to after a sign-out, and the keys it signs its requests with.
// Errors: errs.Invalid for keys nobody can use.
func (s *Store) setNamed(ctx context.Context, f apply.Client) error {
	sc, err := scope.From(ctx)
	if err != nil {
		return err
	}
	metadata := clientMetadata{PostLogoutURIs: f.PostLogoutRedirectURIs}
	if f.JWKS != "" {
		if _, err := parseKeySet([]byte(f.JWKS)); err != nil {
			return errs.New(errs.Invalid, "The client "+f.ID+" cannot be used: "+err.Error()+".")
		}
		metadata.JWKS = json.RawMessage(f.JWKS)
	}
	metadata.JWKSURI = f.JWKSURI
	text, err := json.Marshal(metadata)
	if err != nil {
		return fmt.Errorf("client metadata: %w", err)
	}
	return s.db.InTenant(ctx, func(_ context.Context, tx *gorm.DB) error {
		return tx.Exec(`update clients set metadata = metadata - 'post_logout_redirect_uris' - 'jwks' - 'jwks_uri' || ?::jsonb
			where tenant_id = ? and environment_id = ? and id = ?`, string(text), sc.TenantID, sc.EnvironmentID, f.ID).Error
	})
}

// sameKeys reports whether a stored key set is the file's: Postgres keeps the meaning and not the text.
func sameKeys(have namedRow, f apply.Client) bool {
	if have.JWKSURI != f.JWKSURI || (have.JWKS == "") != (f.JWKS == "") {
		return false
	}
	if f.JWKS == "" {
		return true
	}
	var a, b any
	if json.Unmarshal([]byte(have.JWKS), &a) != nil || json.Unmarshal([]byte(f.JWKS), &b) != nil {
		return false
	}
	return reflect.DeepEqual(a, b)
}
