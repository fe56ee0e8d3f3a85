package clients

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/ostiary/ostiary/app/scope"
	"github.com/ostiary/ostiary/app/secret"
)

const insertAssertion = `insert into client_assertions (tenant_id, environment_id, client_hash, jti_hash, expires_at)
values ($1, $2, $3, $4, $5)
on conflict (tenant_id, environment_id, client_hash, jti_hash) do nothing`

// useAssertion spends the jti of a client in the environment in scope and reports whether this was its first use, on any node.
// It is remembered until the assertion has expired. Errors: errs.Unavailable.
func (s *Store) useAssertion(ctx context.Context, clientID, jti string, until time.Time) (bool, error) {
	sc, err := scope.From(ctx)
	if err != nil {
		return false, err
	}
	var first bool
	err = s.db.Pipe(ctx, func(b *pgx.Batch) {
		b.Queue(insertAssertion, sc.TenantID, sc.EnvironmentID, secret.Hash(clientID), secret.Hash(jti), until).
			Exec(func(tag pgconn.CommandTag) error {
				first = tag.RowsAffected() == 1
				return nil
			})
	})
	if err != nil {
		return false, fmt.Errorf("use client assertion: %w", err)
	}
	return first, nil
}
