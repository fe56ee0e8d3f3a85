package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/ostiary/ostiary/app/postgres"
	"github.com/ostiary/ostiary/app/secret"
)

// limitTables are what the limit keeps: one key each, no further index, no foreign key, no check, no policy.
const limitTables = `
create table limit_users (tenant_id text, email text, id text not null, password_hash text not null,
  primary key (tenant_id, email));
create table limit_grants (tenant_id text, id text, user_id text not null, client_id text not null, scopes text[] not null,
  generation integer not null, created_at timestamptz not null, expires_at timestamptz not null, last_used_at timestamptz not null,
  primary key (tenant_id, id)) with (fillfactor = 80);
create table limit_sessions (tenant_id text, token_hash bytea, user_id text not null, expires_at timestamptz not null,
  primary key (tenant_id, token_hash));
create table limit_consents (tenant_id text, user_id text, client_id text, scopes text[] not null, receipt jsonb not null,
  created_at timestamptz not null, primary key (tenant_id, user_id, client_id));
create table limit_audit (tenant_id text, id text, at timestamptz not null, action text not null, actor_id text not null,
  target_id text not null, detail jsonb not null, primary key (tenant_id, id));
create table limit_clients (tenant_id text, id text, name text not null, redirect_uris text[] not null,
  created_at timestamptz not null, primary key (tenant_id, id));
grant select, insert, update on limit_users, limit_grants, limit_sessions, limit_consents, limit_audit, limit_clients
  to ` + postgres.AppRole

// prepareLimit makes the limit's tables.
func (s *stand) prepareLimit(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, s.config.MigrateDatabaseURL)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // everything is committed
	if _, err := conn.Exec(ctx, limitTables); err != nil {
		return err
	}
	hash, err := cheapPasswords().Hash(ctx, benchPassword)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, `insert into limit_users select $1, 'u' || n || '@bench.example', 'usr_' || n, $3
		from generate_series(0, $2::int - 1) n`, s.tenant.TenantID, s.rows, hash)
	return err
}

// populateLimit loads what the limit remembers of its users: as many rows as ours.
func (s *stand) populateLimit(ctx context.Context, conn *pgx.Conn) error {
	for _, statement := range []string{
		`insert into limit_sessions select @tenant, sha256((@prefix || n)::bytea), 'usr_' || n, now() + interval '7 days'
		from generate_series(0, @rows::int - 1) n order by 2`,
		`insert into limit_consents select @tenant, 'usr_' || n, (@clients::text[])[n % @hot + 1], @scopes, '{}', now()
		from generate_series(0, @rows::int - 1) n order by 2`,
		`insert into limit_grants select @tenant, 'grt_' || lpad(n::text, 26, '0'), 'usr_' || n, (@clients::text[])[n % @hot + 1], @scopes, 1,
		now(), now() + interval '1 year', now() from generate_series(0, @rows::int - 1) n order by 2`,
	} {
		_, err := conn.Exec(ctx, statement, pgx.NamedArgs{
			"tenant": s.tenant.TenantID, "rows": s.rows, "clients": s.clients, "hot": len(s.clients), "prefix": sessionPrefix,
			"scopes": strings.Fields(scopeWanted),
		})
		if err != nil {
			return fmt.Errorf("limit: %w", err)
		}
	}
	return nil
}

// pipe sends statements under the tenant in one round trip, as app/db does.
func (l *limit) pipe(ctx context.Context, queue func(b *pgx.Batch)) error {
	b := &pgx.Batch{}
	b.Queue(`select set_config('app.tenant_id', $1, true)`, l.tenant.TenantID)
	queue(b)
	return l.pool.SendBatch(ctx, b).Close()
}

var errNotWritten = errors.New("nothing was written")

func written(tag pgconn.CommandTag) error {
	if tag.RowsAffected() != 1 {
		return errNotWritten
	}
	return nil
}

func (l *limit) selectUser(ctx context.Context, email string) (id, hash string, err error) {
	err = l.pipe(ctx, func(b *pgx.Batch) {
		b.Queue(`select id, password_hash from limit_users where tenant_id = $1 and email = $2`, l.tenant.TenantID, email).
			QueryRow(func(row pgx.Row) error { return row.Scan(&id, &hash) })
	})
	if err != nil {
		return "", "", fmt.Errorf("user: %w", err)
	}
	return id, hash, nil
}

const limitRedeem = `insert into limit_grants
select $1, $2, s.user_id, c.client_id, c.scopes, 1, $5, $6, $5
from limit_sessions s join limit_consents c on c.tenant_id = s.tenant_id and c.user_id = s.user_id and c.client_id = $4
where s.tenant_id = $1 and s.token_hash = $3 and s.expires_at > $5 and c.scopes @> $7 returning user_id`

// insertGrant redeems the code of a user who is signed in and has decided before.
func (l *limit) insertGrant(ctx context.Context, in limitRequest) (userID string, err error) {
	at := now()
	err = l.pipe(ctx, func(b *pgx.Batch) {
		b.Queue(limitRedeem, l.tenant.TenantID, in.GrantID, secret.Hash(in.Session), in.ClientID, at, at.AddDate(1, 0, 0),
			strings.Fields(in.Scope)).QueryRow(func(row pgx.Row) error { return row.Scan(&userID) })
	})
	if err != nil {
		return "", fmt.Errorf("redeem: %w", err)
	}
	return userID, nil
}

const limitRedeemFresh = `with session as (
  insert into limit_sessions values ($1, $8, $3, $9)
), consent as (
  insert into limit_consents values ($1, $3, $4, $5, $10, $6)
  on conflict (tenant_id, user_id, client_id) do update set scopes = excluded.scopes, receipt = excluded.receipt, created_at = $6
), audit as (
  insert into limit_audit values ($1, $11, $6, 'user.signed_in', $3, $3, '{}'), ($1, $12, $6, 'consent.given', $3, $2, $13)
)
insert into limit_grants values ($1, $2, $3, $4, $5, 1, $6, $7, $6)`

// limitReceipt is about as long as what a real consent page says of three scopes.
var limitReceipt, _ = json.Marshal(map[string]string{"shown": strings.Repeat("What an app wants, in words. ", 25)})

// insertAll redeems the code of a user who has just signed in and decided.
func (l *limit) insertAll(ctx context.Context, in limitRequest) error {
	at := now()
	detail, err := json.Marshal(map[string]string{"client_id": in.ClientID, "scope": in.Scope})
	if err != nil {
		return err
	}
	return l.pipe(ctx, func(b *pgx.Batch) {
		b.Queue(limitRedeemFresh, l.tenant.TenantID, in.GrantID, in.UserID, in.ClientID, strings.Fields(in.Scope), at, at.AddDate(1, 0, 0),
			secret.Hash(in.Session), at.AddDate(0, 0, 7), limitReceipt, secret.NewOrderedID("aud", at), secret.NewOrderedID("aud", at),
			detail).Exec(written)
	})
}

func (l *limit) rotateGrant(ctx context.Context, grantID string, generation int) (userID, scope string, err error) {
	var scopes []string
	err = l.pipe(ctx, func(b *pgx.Batch) {
		b.Queue(`update limit_grants set generation = generation + 1, last_used_at = $4
			where tenant_id = $1 and id = $2 and generation = $3 returning user_id, scopes`,
			l.tenant.TenantID, grantID, generation, now()).
			QueryRow(func(row pgx.Row) error { return row.Scan(&userID, &scopes) })
	})
	if err != nil {
		return "", "", fmt.Errorf("rotate: %w", err)
	}
	return userID, strings.Join(scopes, " "), nil
}

func (l *limit) selectGrant(ctx context.Context, grantID string) (scope string, err error) {
	var scopes []string
	err = l.pipe(ctx, func(b *pgx.Batch) {
		b.Queue(`select scopes from limit_grants where tenant_id = $1 and id = $2 and expires_at > $3`, l.tenant.TenantID, grantID, now()).
			QueryRow(func(row pgx.Row) error { return row.Scan(&scopes) })
	})
	if err != nil {
		return "", fmt.Errorf("look up: %w", err)
	}
	return strings.Join(scopes, " "), nil
}

func (l *limit) insertClient(ctx context.Context, id, name string, redirects []string) error {
	return l.pipe(ctx, func(b *pgx.Batch) {
		b.Queue(`insert into limit_clients values ($1, $2, $3, $4, $5)`, l.tenant.TenantID, id, name, redirects, now()).Exec(written)
	})
}
