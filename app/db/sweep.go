package db

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/ostiary/ostiary/app/scope"
)

// Expired names the rows of a table of tenants that may go: those whose column is before a time.
type Expired struct {
	Table  string // constants of the caller
	Column string
	Before time.Time

	EnvironmentID string // only of this environment; empty for all of the tenant
	Immutable     bool   // the role cannot change these rows: none needs a lock, which it could not take
}

const sweepBatch = 1000

// Sweep deletes expired rows of the tenant in ctx, a batch per transaction so that nobody waits for it, and returns how
// many. Errors: errs.Unavailable.
func (d *DB) Sweep(ctx context.Context, e Expired) (int, error) {
	s, err := scope.From(ctx)
	if err != nil {
		return 0, err
	}
	only, lock, args := "", "for update skip locked", []any{s.TenantID, e.Before}
	if e.Immutable {
		lock = ""
	}
	if e.EnvironmentID != "" {
		only, args = "and environment_id = $3", append(args, e.EnvironmentID)
	}
	statement := fmt.Sprintf(`delete from %[1]s where tenant_id = $1 and ctid = any(array(
		select ctid from %[1]s where tenant_id = $1 and %[2]s < $2 %[4]s limit %[3]d %[5]s))`,
		quote(e.Table), quote(e.Column), sweepBatch, only, lock)
	for total := 0; ; {
		var n int64
		err := d.Pipe(ctx, func(b *pgx.Batch) {
			b.Queue(statement, args...).Exec(func(tag pgconn.CommandTag) error {
				n = tag.RowsAffected()
				return nil
			})
		})
		total += int(n)
		if err != nil || n < sweepBatch {
			return total, err
		}
	}
}

func quote(identifier string) string { return pgx.Identifier{identifier}.Sanitize() }
