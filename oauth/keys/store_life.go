package keys

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"gorm.io/gorm"

	"github.com/ostiary/ostiary/app/audit"
	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/scope"
	"github.com/ostiary/ostiary/app/secret"
)

// EnsureActive makes the environment in scope its first signing key when it has none. Errors: errs.Unavailable.
func (s *Store) EnsureActive(ctx context.Context, alg Alg) error {
	_, err := s.apply(ctx, func(all []Info, _ time.Time) ([]change, error) {
		if slices.ContainsFunc(all, func(k Info) bool { return k.State == StateActive }) {
			return nil, nil
		}
		return []change{{To: StateActive, Alg: alg}}, nil
	})
	return err
}

// Advance takes the steps of the environment in scope that are due and returns how many there were. Any node may call it
// at any time: steps are planned and taken under one lock. Errors: errs.Unavailable.
func (s *Store) Advance(ctx context.Context, p Policy) (int, error) {
	return s.apply(ctx, func(all []Info, now time.Time) ([]change, error) { return plan(all, p, now), nil })
}

// Publish makes the next key of the environment in scope unless one waits already, and returns that key. It signs nothing
// until Advance finds that it was published for PublishLead, or until Activate. Errors: errs.Unavailable.
func (s *Store) Publish(ctx context.Context, alg Alg) (Info, error) {
	_, err := s.apply(ctx, func(all []Info, _ time.Time) ([]change, error) {
		if k, ok := waiting(all); ok && k.Alg == alg {
			return nil, nil
		}
		return []change{{To: StatePublished, Alg: alg}}, nil
	})
	if err != nil {
		return Info{}, err
	}
	all, err := s.Describe(ctx)
	if err != nil {
		return Info{}, err
	}
	slices.Reverse(all) // the newest: an older one of another algorithm may wait for Advance to drop it
	k, ok := waiting(all)
	if !ok {
		return Info{}, errs.New(errs.Conflict, "The new key is already in use.")
	}
	return k, nil
}

// Activate lets a published key sign at once, for emergencies. With revoke the key it replaces leaves the key set in the
// same moment and its tokens die with it; otherwise they stay verifiable until they expire.
// Errors: errs.Conflict when the key is not waiting, errs.Unavailable.
func (s *Store) Activate(ctx context.Context, kid string, revoke bool) error {
	_, err := s.apply(ctx, func(all []Info, now time.Time) ([]change, error) {
		i := slices.IndexFunc(all, func(k Info) bool { return k.ID == kid && k.State == StatePublished })
		if i < 0 {
			return nil, errs.New(errs.Conflict, "This key does not wait to be used.")
		}
		var active *Info
		if j := slices.IndexFunc(all, func(k Info) bool { return k.State == StateActive }); j >= 0 {
			active = &all[j]
		}
		changes := takeOver(active, all[i], now)
		if revoke && active != nil {
			changes[0] = retire(*active, now)
		}
		return changes, nil
	})
	return err
}

// apply decides on the keys of the environment in scope and takes the steps, audited and notified, in one transaction.
// Most calls find nothing to do, so they look first without a lock; the decision is then made again under it.
func (s *Store) apply(ctx context.Context, decide func([]Info, time.Time) ([]change, error)) (int, error) {
	sc, err := scope.From(ctx)
	if err != nil {
		return 0, err
	}
	now := s.now().UTC()
	seen, err := s.Describe(ctx)
	if err != nil {
		return 0, err
	}
	changes, err := decide(seen, now)
	if err != nil || len(changes) == 0 {
		return 0, err
	}
	fresh, err := newKeys(changes) // before the lock: an RSA key takes a while
	if err != nil {
		return 0, err
	}
	err = s.db.InTenant(ctx, func(ctx context.Context, tx *gorm.DB) error {
		if err := lockKeys(tx, sc); err != nil {
			return err
		}
		current, err := s.Describe(ctx)
		if err != nil {
			return err
		}
		if changes, err = decide(current, now); err != nil || len(changes) == 0 {
			return err
		}
		for _, c := range changes {
			if err := s.take(ctx, tx, sc, c, fresh, now); err != nil {
				return err
			}
		}
		return s.db.Notify(ctx, sc.EnvironmentID)
	})
	if err != nil {
		return 0, fmt.Errorf("change signing keys: %w", err)
	}
	return len(changes), nil
}

// lockKeys lets one transaction at a time change an environment's keys. Rows that refer to the environment may be written
// meanwhile.
func lockKeys(tx *gorm.DB, sc scope.Scope) error {
	var id string
	return tx.Raw(`select id from environments where tenant_id = ? and id = ? for no key update`,
		sc.TenantID, sc.EnvironmentID).Scan(&id).Error
}

// newKeys generates what changes ask for, by algorithm. A plan makes at most one key.
func newKeys(changes []change) (map[Alg]crypto.Signer, error) {
	fresh := map[Alg]crypto.Signer{}
	for _, c := range changes {
		if c.ID != "" {
			continue
		}
		signer, err := generate(c.Alg)
		if err != nil {
			return nil, fmt.Errorf("new signing key: %w", err)
		}
		fresh[c.Alg] = signer
	}
	return fresh, nil
}

// take takes one step.
func (s *Store) take(
	ctx context.Context, tx *gorm.DB, sc scope.Scope, c change, fresh map[Alg]crypto.Signer, now time.Time,
) error {
	if c.ID == "" {
		signer, ok := fresh[c.Alg]
		if !ok { // somebody else changed the plan meanwhile; the next look finds it as it is
			return errs.New(errs.Unavailable, "The keys are being changed.")
		}
		c.ID = secret.NewID("key")
		if err := s.insert(tx, sc, c, signer, now); err != nil {
			return err
		}
	} else if err := move(tx, sc, c, now); err != nil {
		return err
	}
	return s.audit.Record(ctx, audit.Event{
		Action: "key." + verbs[c.To], TargetKind: "key", TargetID: c.ID, Detail: map[string]any{"alg": string(c.Alg)},
	})
}

// verbs are the past of what brings a key into a state, for the audit log.
var verbs = map[State]string{
	StatePublished: "published", StateActive: "activated", StateRetiring: "replaced", StateRetired: "retired",
}

// move passes a key into its next state. What is retired loses its private half for good.
func move(tx *gorm.DB, sc scope.Scope, c change, now time.Time) error {
	done := tx.Exec(`update signing_keys set state = ?, retire_at = coalesce(?, retire_at),
			activated_at = case when ? = 'active' then ? else activated_at end,
			private_sealed = case when ? = 'retired' then ''::bytea else private_sealed end
		where tenant_id = ? and environment_id = ? and id = ? and state = ?`,
		string(c.To), c.RetireAt, string(c.To), now, string(c.To), sc.TenantID, sc.EnvironmentID, c.ID, string(c.From))
	if done.Error == nil && done.RowsAffected != 1 {
		return errs.New(errs.Internal, "a signing key changed under its lock")
	}
	return done.Error
}

func (s *Store) insert(tx *gorm.DB, sc scope.Scope, c change, signer crypto.Signer, now time.Time) error {
	der, err := x509.MarshalPKCS8PrivateKey(signer)
	if err != nil {
		return fmt.Errorf("new signing key: %w", err)
	}
	jwk, err := (&Key{ID: c.ID, Alg: c.Alg, signer: signer}).Public()
	if err != nil {
		return err
	}
	public, err := json.Marshal(jwk)
	if err != nil {
		return fmt.Errorf("new signing key: %w", err)
	}
	var activated *time.Time
	if c.To == StateActive {
		activated = &now
	}
	return tx.Exec(`insert into signing_keys
		(tenant_id, environment_id, id, alg, public_jwk, private_sealed, state, created_at, activated_at)
		values (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		sc.TenantID, sc.EnvironmentID, c.ID, string(c.Alg), string(public), s.keyring.Seal(der, sealedFor(c.ID)),
		string(c.To), now, activated).Error
}
