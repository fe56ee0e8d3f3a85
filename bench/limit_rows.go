package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/ostiary/ostiary/app/postgres"
)

// limitTables are what the limit keeps: one key each, no further index, no foreign key, no check, no policy.
const limitTables = `
create table limit_users (tenant_id text, email text, id text not null, password_hash text not null,
  primary key (tenant_id, email));
create table limit_grants (tenant_id text, id text, user_id text not null, client_id text not null, scopes text[] not null,
  generation integer not null, created_at timestamptz not null, expires_at timestamptz not null, last_used_at timestamptz not null,
  primary key (tenant_id, id)) with (fillfactor = 80);
create table limit_clients (tenant_id text, id text, name text not null, redirect_uris text[] not null,
  created_at timestamptz not null, primary key (tenant_id, id));
grant select, insert, update on limit_users, limit_grants, limit_clients to ` + postgres.AppRole

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

func (l *limit) insertGrant(ctx context.Context, in limitRequest) error {
	at := now()
	return l.pipe(ctx, func(b *pgx.Batch) {
		b.Queue(`insert into limit_grants values ($1, $2, $3, $4, $5, 1, $6, $7, $6) on conflict do nothing`,
			l.tenant.TenantID, in.GrantID, in.UserID, in.ClientID, strings.Fields(in.Scope), at, at.AddDate(1, 0, 0)).Exec(written)
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
