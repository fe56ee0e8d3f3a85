package oauth

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ostiary/ostiary/app/audit"
	"github.com/ostiary/ostiary/app/secret"
	"github.com/ostiary/ostiary/oauth/clients"
)

// newConsent is a decision about to be recorded.
type newConsent struct {
	Consent
	token    string // of the session that decides
	userID   string // whom the page was shown to
	client   *clients.Client
	resource *Resource
	receipt  receipt
	prior    string // id of the consent that this one goes on from, empty for none
	local    bool   // nothing is remembered for such a client, so nothing is gone on from
	rowKnown bool   // the client is known to have a row
}

// Recording asks again who decides: the session's user, still the one the page was shown to, for a client that is not disabled.
const whoDecides = `with who as (
  select s.auth_time, s.last_seen_at, u.id as user_id, u.organization_id
  from sessions s
  join users u on u.tenant_id = s.tenant_id and u.environment_id = s.environment_id and u.id = s.user_id
  join clients k on k.tenant_id = s.tenant_id and k.environment_id = s.environment_id and k.id = $7
  left join organizations o on o.tenant_id = u.tenant_id and o.environment_id = u.environment_id and o.id = u.organization_id
  where s.tenant_id = $1 and s.environment_id = $2 and s.token_hash = $3
    and s.expires_at > $4 and s.last_seen_at > $5 and u.disabled_at is null and (o.id is null or o.disabled_at is null)
    and k.disabled_at is null`

// What the decision goes on from is still the newest: a consent contains what was allowed before, and never what was withdrawn.
const goesOnFromNewest = `
    and $26 = coalesce((
      select c.id from consents c
      where c.tenant_id = s.tenant_id and c.environment_id = s.environment_id and c.user_id = s.user_id
        and c.client_key = hashtextextended($7, 0) and c.client_id = $7 and c.resource_id = $8
        and c.receipt->>'redirect_to' = $27 and c.revoked_at is null and (c.expires_at is null or c.expires_at > $4)
        and c.organization_id is not distinct from u.organization_id
      order by c.created_at desc limit 1), '')`

const giveConsent = `)
insert into consents (tenant_id, environment_id, id, user_id, client_id, client_key, resource_id, organization_id, scopes, revision,
  receipt, lasts, created_at, expires_at)
select $1, $2, $9, who.user_id, $7, hashtextextended($7, 0), $8, who.organization_id, $10, $11, $12, $13, $4, $14
from who where who.user_id = $6
returning (select auth_time from who), (select last_seen_at from who), coalesce(organization_id, '')`

// The statements that record a decision and its audit event. Nothing is remembered for a client on the user's device, so there is
// nothing it could go on from.
var (
	insertConsent      = whoDecides + goesOnFromNewest + recordDecision
	insertLocalConsent = whoDecides + recordDecision
	recordDecision     = "\n), recorded as (\n" + audit.InsertFrom("who where who.user_id = $6", 15) + giveConsent
)

// recordConsent writes the decision, the row of a client that has none yet, and the audit event: one round trip, one commit. It
// returns the session that decided; nil, and nothing is written, when things are not as they were when the page was shown.
func (s *store) recordConsent(ctx context.Context, registry *clients.Store, i *Issuer, c newConsent) (*Session, error) {
	shown, err := json.Marshal(c.receipt)
	if err != nil {
		return nil, fmt.Errorf("consent receipt: %w", err)
	}
	now, hash := s.now(), secret.Hash(c.token)
	event, err := audit.Values(ctx, now, audit.Event{
		Action: "consent.given", TargetKind: "consent", TargetID: c.ID,
		Detail: map[string]any{"client_id": c.client.ID, "resource_id": c.resource.ID(), "scopes": c.Scopes},
	})
	if err != nil {
		return nil, err
	}
	values := append([]any{
		i.Scope.TenantID, i.Scope.EnvironmentID, hash, now, now.Add(-i.Settings.SessionIdle), c.userID, c.client.ID, c.resource.ID(),
		c.ID, c.Scopes, c.resource.Revision, shown, c.Lasts, c.ExpiresAt,
	}, event...)
	statement := insertLocalConsent
	if !c.local {
		statement, values = insertConsent, append(values, c.prior, c.receipt.RedirectTo)
	}
	var session *Session
	var seen time.Time
	// A crash can lose a decision together with its record. Then no code of it was redeemed, since a grant is committed later, and
	// durably; its code is good for nothing, and the user is asked again.
	err = s.db.SendSoon(ctx, func(b *pgx.Batch) error {
		if c.client.Source != clients.SourcePreregistered && !c.rowKnown {
			if err := registry.QueueConfirm(b, i.Scope, c.client, now); err != nil {
				return err
			}
		}
		b.Queue(statement, values...).Query(func(rows pgx.Rows) error {
			for rows.Next() {
				session = &Session{User: SessionUser{ID: c.userID}}
				if err := rows.Scan(&session.AuthTime, &seen, &session.User.OrganizationID); err != nil {
					return err
				}
			}
			return rows.Err()
		})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("record consent: %w", err)
	}
	if session == nil {
		return nil, nil //nolint:nilnil // nobody decided: the caller looks again
	}
	return session, s.touch(ctx, i, hash, seen, now)
}
