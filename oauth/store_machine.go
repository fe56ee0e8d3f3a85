package oauth

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

// A machine client that revokes a token ends its standing grant and with it all its tokens, and stands on a new one from then
// on. A grant that somebody else revoked is not alive, so nothing comes of it.
const renewMachineGrant = `with dead as (
  update grants set revoked_at = ?, revoked_reason = 'revoked_by_client'
  where tenant_id = ? and environment_id = ? and id = ? and client_id = ? and revoked_at is null
  returning tenant_id, environment_id, id, client_id, resource_id, scopes, expires_at
), fresh as (
  insert into grants (tenant_id, environment_id, id, client_id, resource_id, scopes, created_at, expires_at, last_used_at)
  select d.tenant_id, d.environment_id, ?, d.client_id, d.resource_id, d.scopes, ?, d.expires_at, ?
  from dead d
  join clients c on c.tenant_id = d.tenant_id and c.environment_id = d.environment_id and c.id = d.client_id
  where c.metadata->>'machine_grant' = d.id
  returning tenant_id, environment_id, id, client_id
)
update clients c set metadata = c.metadata || jsonb_build_object('machine_grant', f.id)
from fresh f where c.tenant_id = f.tenant_id and c.environment_id = f.environment_id and c.id = f.client_id`

// renewMachine does what revocation means for a machine client. This node forgets the old grant before it answers, the
// others when they are notified: a token that one of them signs in between is dead from the start.
func (m *Module) renewMachine(ctx context.Context, i *Issuer, grantID, clientID string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), revokeTimeout)
	defer cancel()
	ctx = scope.WithActor(ctx, scope.Actor{Kind: scope.ActorClient, ID: clientID})
	renewed, err := m.store.renewMachineGrant(ctx, i, grantID, clientID, m.now())
	if renewed {
		m.issuers.Invalidate(db.Change{TenantID: i.Scope.TenantID, EnvironmentID: i.Scope.EnvironmentID})
	}
	return err
}

func (s *store) renewMachineGrant(ctx context.Context, i *Issuer, grantID, clientID string, now time.Time) (bool, error) {
	renewed := false
	err := s.db.InTenant(ctx, func(ctx context.Context, tx *gorm.DB) error {
		done := tx.Exec(renewMachineGrant, now, i.Scope.TenantID, i.Scope.EnvironmentID, grantID, clientID,
			secret.NewOrderedID("grt", now), now, now)
		if done.Error != nil || done.RowsAffected == 0 {
			return done.Error
		}
		renewed = true
		err := audit.NewRecorder(audit.Deps{DB: s.db, Now: s.now}).Record(ctx, audit.Event{
			Action: "grant.revoked", TargetKind: "grant", TargetID: grantID, Detail: map[string]any{"reason": "revoked_by_client"},
		})
		if err != nil {
			return err
		}
		return s.db.Notify(ctx, i.Scope.EnvironmentID)
	})
	if err != nil {
		return false, fmt.Errorf("renew machine grant: %w", err)
	}
	return renewed, nil
}
