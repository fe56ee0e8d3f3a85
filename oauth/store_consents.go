package oauth

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ostiary/ostiary/app/audit"
	"github.com/ostiary/ostiary/oauth/clients"
)

// newConsent is a decision about to be recorded.
type newConsent struct {
	Consent
	client   *clients.Client
	user     SessionUser
	resource *Resource
	receipt  receipt
}

const insertConsent = `insert into consents (tenant_id, environment_id, id, user_id, client_id, resource_id, organization_id, scopes,
  revision, receipt, lasts, created_at, expires_at)
values ($1, $2, $3, $4, $5, $6, nullif($7, ''), $8, $9, $10, $11, $12, $13)`

// recordConsent writes the decision, the row of a client that has none yet, and the audit event: one round trip, one commit.
func (s *store) recordConsent(ctx context.Context, registry *clients.Store, i *Issuer, c newConsent, now time.Time) error {
	shown, err := json.Marshal(c.receipt)
	if err != nil {
		return fmt.Errorf("consent receipt: %w", err)
	}
	err = s.pipe(ctx, func(b *pgx.Batch) error {
		if c.client.Source != clients.SourcePreregistered {
			if err := registry.QueueConfirm(b, i.Scope, c.client, now); err != nil {
				return err
			}
		}
		b.Queue(insertConsent, i.Scope.TenantID, i.Scope.EnvironmentID, c.ID, c.user.ID, c.client.ID, c.resource.ID(),
			c.user.OrganizationID, c.Scopes, c.resource.Revision, shown, c.Lasts, now, c.ExpiresAt)
		return audit.Queue(ctx, b, now, audit.Event{
			Action: "consent.given", TargetKind: "consent", TargetID: c.ID,
			Detail: map[string]any{"client_id": c.client.ID, "resource_id": c.resource.ID(), "scopes": c.Scopes},
		})
	})
	if err != nil {
		return fmt.Errorf("record consent: %w", err)
	}
	return nil
}
