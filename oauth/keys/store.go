package keys

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/ostiary/ostiary/app/audit"
	"github.com/ostiary/ostiary/app/db"
	"github.com/ostiary/ostiary/app/scope"
	"github.com/ostiary/ostiary/app/secret"
)

// Deps of a Store.
type Deps struct {
	DB      *db.DB
	Keyring *secret.Keyring
	Now     func() time.Time
}

// Store keeps signing keys, their private half sealed.
type Store struct {
	db      *db.DB
	keyring *secret.Keyring
	now     func() time.Time
	audit   *audit.Recorder
}

// NewStore returns a Store.
func NewStore(d Deps) *Store {
	return &Store{db: d.DB, keyring: d.Keyring, now: d.Now, audit: audit.NewRecorder(audit.Deps{DB: d.DB, Now: d.Now})}
}

type keyRow struct {
	ID            string
	Alg           Alg
	State         State
	PrivateSealed []byte
	CreatedAt     time.Time
	RetireAt      *time.Time
}

// List returns the keys of the environment in scope that are not retired, opened. Errors: errs.Unavailable; a key that does
// not open under the key-encryption keys at hand is an error that says so.
func (s *Store) List(ctx context.Context) ([]*Key, error) {
	sc, err := scope.From(ctx)
	if err != nil {
		return nil, err
	}
	var rows []keyRow
	err = s.db.InTenant(ctx, func(_ context.Context, tx *gorm.DB) error {
		return tx.Raw(`select id, alg, state, private_sealed, created_at, retire_at from signing_keys
			where tenant_id = ? and environment_id = ? and state <> 'retired' order by created_at, id`,
			sc.TenantID, sc.EnvironmentID).Scan(&rows).Error
	})
	if err != nil {
		return nil, fmt.Errorf("load signing keys: %w", err)
	}
	all := make([]*Key, 0, len(rows))
	for _, row := range rows {
		der, err := s.keyring.Open(row.PrivateSealed, sealedFor(row.ID))
		if err != nil {
			return nil, fmt.Errorf("signing key %s does not open: is OSTIARY_MASTER_KEY the one that sealed it?", row.ID)
		}
		signer, err := parsePrivate(der)
		if err != nil {
			return nil, fmt.Errorf("signing key %s: %w", row.ID, err)
		}
		all = append(all, &Key{ID: row.ID, Alg: row.Alg, State: row.State, CreatedAt: row.CreatedAt, RetireAt: row.RetireAt, signer: signer})
	}
	return all, nil
}

// Describe returns every key of the environment in scope, retired ones too, oldest first. It opens none.
// Errors: errs.Unavailable.
func (s *Store) Describe(ctx context.Context) ([]Info, error) {
	sc, err := scope.From(ctx)
	if err != nil {
		return nil, err
	}
	var all []Info
	err = s.db.InTenant(ctx, func(_ context.Context, tx *gorm.DB) error {
		return tx.Raw(`select id, alg, state, created_at, activated_at, retire_at from signing_keys
			where tenant_id = ? and environment_id = ? order by created_at, id`, sc.TenantID, sc.EnvironmentID).Scan(&all).Error
	})
	if err != nil {
		return nil, fmt.Errorf("describe signing keys: %w", err)
	}
	return all, nil
}

// sealedFor binds a sealed private key to its row.
func sealedFor(kid string) string { return "signing key:" + kid }
