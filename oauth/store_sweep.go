package oauth

import (
	"context"
	"fmt"

	"github.com/ostiary/ostiary/app/db"
)

// Sweep deletes what has expired of the tenant in ctx and returns how many rows. A job calls it. Grants stay: a tombstone is
// what tells a replay from a stranger. Errors: errs.Unavailable.
func (m *Module) Sweep(ctx context.Context) (int, error) {
	total := 0
	for _, expired := range []db.Expired{
		{Table: "sessions", Column: "expires_at", Before: m.now()},
		{Table: "client_assertions", Column: "expires_at", Before: m.now()},
	} {
		n, err := m.store.db.Sweep(ctx, expired)
		total += n
		if err != nil {
			return total, fmt.Errorf("sweep %s: %w", expired.Table, err)
		}
	}
	return total, nil
}
