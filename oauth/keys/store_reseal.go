package keys

import (
	"context"
	"fmt"

	"gorm.io/gorm"

	"github.com/ostiary/ostiary/app/scope"
	"github.com/ostiary/ostiary/app/secret"
)

// Reseal wraps every private key of the tenant in scope under the newest key-encryption key, and returns how many it
// changed. It may be repeated and stopped anywhere. Errors: errs.Unavailable; a key that does not open says so.
func (s *Store) Reseal(ctx context.Context) (int, error) {
	sc, err := scope.From(ctx)
	if err != nil {
		return 0, err
	}
	changed := 0
	err = s.db.InTenant(ctx, func(_ context.Context, tx *gorm.DB) error {
		var rows []struct {
			EnvironmentID string
			ID            string
			PrivateSealed []byte
		}
		// Keys are few: a handful per environment. A retired one has nothing to wrap.
		err := tx.Raw(`select environment_id, id, private_sealed from signing_keys
			where tenant_id = ? and state <> 'retired' and substr(private_sealed, ?, ?) <> ?::bytea for update`,
			sc.TenantID, secret.KeyIDOffset+1, secret.KeyIDLen, s.keyring.KeyID()).Scan(&rows).Error
		if err != nil {
			return err
		}
		for _, row := range rows {
			sealed, _, err := s.keyring.Rewrap(row.PrivateSealed, sealedFor(row.ID))
			if err != nil {
				return fmt.Errorf("signing key %s opens under no master key at hand: %w", row.ID, err)
			}
			err = tx.Exec(`update signing_keys set private_sealed = ?::bytea where tenant_id = ? and environment_id = ? and id = ?`,
				sealed, sc.TenantID, row.EnvironmentID, row.ID).Error
			if err != nil {
				return err
			}
		}
		changed = len(rows)
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("reseal signing keys: %w", err)
	}
	return changed, nil
}
