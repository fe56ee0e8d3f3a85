package oauth

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/ostiary/ostiary/app/audit"
	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/scope"
)

// Redeeming a code inserts its grant. The primary key makes the code single-use; the consent and the user are checked in
// the same statement, so what was withdrawn between the two requests is never granted. Nor is what the user could only allow
// for an organization that is switched off since, or that the user has left. The consent is found by its id, never among its
// user's: as an expression, the comparison with the user leads to no index.
const redeemCode = `insert into grants (tenant_id, environment_id, id, user_id, client_id, resource_id, organization_id, consent_id,
  scopes, auth_time, created_at, expires_at, generation, refresh_expires_at, last_used_at, host)
select c.tenant_id, c.environment_id, $3, c.user_id, c.client_id, c.resource_id, c.organization_id, c.id,
  $5, $6, $7, $8, $9, $10, $7, $14
from consents c
join users u on u.tenant_id = c.tenant_id and u.environment_id = c.environment_id and u.id = c.user_id
  and u.organization_id is not distinct from c.organization_id
left join organizations o on o.tenant_id = c.tenant_id and o.environment_id = c.environment_id and o.id = c.organization_id
where c.tenant_id = $1 and c.environment_id = $2 and c.id = $4 and c.revoked_at is null and u.disabled_at is null
  and o.disabled_at is null and c.user_id || '' = $11 and c.client_id = $12 and c.resource_id = $13
on conflict (tenant_id, environment_id, id) do nothing`

// What a client may know of the user is read beside it, as it is now and not as it was when the code was made.
const selectIdentity = `select email, email_verified, name from users where tenant_id = $1 and environment_id = $2 and id = $3`

// redeem makes the grant of a code and fills in who its user is when the client may know. It returns false when the code was
// used before or its consent is gone.
func (s *store) redeem(ctx context.Context, i *Issuer, g *grant, consentID string, generation int, now time.Time) (bool, error) {
	var idle *time.Time
	if generation > 0 {
		end := now.Add(i.Settings.RefreshIdle)
		idle = &end
	}
	var made bool
	err := s.db.Pipe(ctx, func(b *pgx.Batch) {
		b.Queue(redeemCode, i.Scope.TenantID, i.Scope.EnvironmentID, g.ID, consentID, g.Scopes, g.AuthTime, now, g.EndsAt,
			generation, idle, g.UserID, g.ClientID, g.ResourceID, g.Host).Exec(affected(&made))
		if !slices.Contains(g.Scopes, scopeOpenID) {
			return
		}
		b.Queue(selectIdentity, i.Scope.TenantID, i.Scope.EnvironmentID, g.UserID).Query(func(rows pgx.Rows) error {
			for rows.Next() {
				if err := rows.Scan(&g.who.Email, &g.who.EmailVerified, &g.who.Name); err != nil {
					return err
				}
			}
			return rows.Err()
		})
	})
	if err != nil {
		return false, fmt.Errorf("redeem code: %w", err)
	}
	return made, nil
}

// A grant that is already over is left as it is, and nothing is recorded of it.
var revokeGrant = `with revoked as (
  update grants set revoked_at = $4, revoked_reason = $5
  where tenant_id = $1 and environment_id = $2 and id = $3 and client_id = $6 and revoked_at is null
  returning id
)
` + audit.InsertFrom("revoked", 7)

// revokeGrant tombstones a grant and records why: one statement, one commit. A client that goes away does not undo it: replay is
// answered by revoking and then failing.
func (s *store) revokeGrant(ctx context.Context, i *Issuer, grantID, clientID, reason string, now time.Time) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), revokeTimeout)
	defer cancel()
	event, err := audit.Values(scope.WithActor(ctx, scope.Actor{Kind: scope.ActorClient, ID: clientID}), now, audit.Event{
		Action: "grant.revoked", TargetKind: "grant", TargetID: grantID, Detail: map[string]any{"reason": reason},
	})
	if err != nil {
		return err
	}
	err = s.db.Pipe(ctx, func(b *pgx.Batch) {
		b.Queue(revokeGrant, append([]any{
			i.Scope.TenantID, i.Scope.EnvironmentID, grantID, now, reason, clientID,
		}, event...)...)
	})
	if err != nil {
		return fmt.Errorf("revoke grant: %w", err)
	}
	return nil
}

const revokeTimeout = 5 * time.Second

// rotateRefresh is the usual refresh: the newest token, everything alive. Array slices keep the newest rotation times.
const rotateRefresh = `update grants g set
  generation = g.generation + 1, rotated_at = (array_prepend($5::timestamptz, g.rotated_at))[1:$6],
  graced = 0, recoveries = case when g.recovered then g.recoveries else 0 end, recovered = false,
  refresh_expires_at = $7, last_used_at = $5
from users u
left join organizations o on o.tenant_id = u.tenant_id and o.environment_id = u.environment_id and o.id = u.organization_id
where g.tenant_id = $1 and g.environment_id = $2 and g.id = $3 and g.generation = $4 and g.client_id = $8
  and g.revoked_at is null and g.expires_at > $5 and g.refresh_expires_at > $5 and ($9 = '' or g.resource_id = $9)
  and u.tenant_id = g.tenant_id and u.environment_id = g.environment_id and u.id = g.user_id and u.disabled_at is null
  and g.organization_id is not distinct from u.organization_id and o.disabled_at is null
returning g.user_id, g.client_id, g.resource_id, coalesce(g.organization_id, ''), g.host, g.scopes, g.auth_time, g.expires_at,
  u.email, u.email_verified, u.name`

func (s *store) rotateRefresh(ctx context.Context, i *Issuer, req refreshRequest, clientID string, now time.Time) (grant, bool, error) {
	g := grant{ID: req.grantID}
	rotated := false
	err := s.db.Pipe(ctx, func(b *pgx.Batch) {
		b.Queue(rotateRefresh, i.Scope.TenantID, i.Scope.EnvironmentID, req.grantID, req.generation, now, keptRotations,
			now.Add(i.Settings.RefreshIdle), clientID, req.resourceID).Query(func(rows pgx.Rows) error {
			for rows.Next() {
				rotated = true
				if err := rows.Scan(&g.UserID, &g.ClientID, &g.ResourceID, &g.OrgID, &g.Host, &g.Scopes, &g.AuthTime, &g.EndsAt,
					&g.who.Email, &g.who.EmailVerified, &g.who.Name); err != nil {
					return err
				}
			}
			return rows.Err()
		})
	})
	if err != nil {
		return grant{}, false, fmt.Errorf("rotate refresh token: %w", err)
	}
	return g, rotated, nil
}

// The grant of a user who is disabled, whose organization is, or who has left it, reads as revoked.
const loadRefresh = `select g.user_id, g.client_id, g.resource_id, coalesce(g.organization_id, ''), g.host, g.scopes, g.auth_time,
  g.expires_at, g.generation, g.rotated_at, g.graced, g.recovered, g.recoveries,
  coalesce(g.revoked_at, u.disabled_at, o.disabled_at,
    case when g.organization_id is distinct from u.organization_id then g.created_at end), g.refresh_expires_at,
  u.email, u.email_verified, u.name
from grants g
join users u on u.tenant_id = g.tenant_id and u.environment_id = g.environment_id and u.id = g.user_id
left join organizations o on o.tenant_id = g.tenant_id and o.environment_id = g.environment_id and o.id = g.organization_id
where g.tenant_id = $1 and g.environment_id = $2 and g.id = $3 and g.client_id = $4`

// loadRefresh returns a grant with its refresh state. Errors: errs.NotFound, errs.Unavailable.
func (s *store) loadRefresh(ctx context.Context, i *Issuer, grantID, clientID string) (grant, refreshState, error) {
	g := grant{ID: grantID}
	var st refreshState
	found := false
	err := s.db.Pipe(ctx, func(b *pgx.Batch) {
		b.Queue(loadRefresh, i.Scope.TenantID, i.Scope.EnvironmentID, grantID, clientID).Query(func(rows pgx.Rows) error {
			for rows.Next() {
				found = true
				err := rows.Scan(&g.UserID, &g.ClientID, &g.ResourceID, &g.OrgID, &g.Host, &g.Scopes, &g.AuthTime, &g.EndsAt,
					&st.Generation, &st.RotatedAt, &st.Graced, &st.Recovered, &st.Recoveries, &st.RevokedAt, &st.IdleEndsAt,
					&g.who.Email, &g.who.EmailVerified, &g.who.Name)
				if err != nil {
					return err
				}
			}
			return rows.Err()
		})
	})
	if err != nil {
		return grant{}, refreshState{}, fmt.Errorf("load grant: %w", err)
	}
	if !found {
		return grant{}, refreshState{}, errs.New(errs.NotFound, "There is no such grant.")
	}
	st.EndsAt = g.EndsAt
	return g, st, nil
}

const refreshIsDead = `select g.revoked_at is not null or u.disabled_at is not null or o.disabled_at is not null
  or g.organization_id is distinct from u.organization_id or g.expires_at <= $4 or coalesce(g.refresh_expires_at <= $4, true)
from grants g
join users u on u.tenant_id = g.tenant_id and u.environment_id = g.environment_id and u.id = g.user_id
left join organizations o on o.tenant_id = g.tenant_id and o.environment_id = g.environment_id and o.id = g.organization_id
where g.tenant_id = $1 and g.environment_id = $2 and g.id = $3`

// refreshIsDead reports whether no refresh token of a grant can ever be used again.
func (s *store) refreshIsDead(ctx context.Context, i *Issuer, grantID string, now time.Time) (bool, error) {
	dead := true // a token of ours whose grant is not there
	err := s.db.Pipe(ctx, func(b *pgx.Batch) {
		b.Queue(refreshIsDead, i.Scope.TenantID, i.Scope.EnvironmentID, grantID, now).Query(func(rows pgx.Rows) error {
			for rows.Next() {
				if err := rows.Scan(&dead); err != nil {
					return err
				}
			}
			return rows.Err()
		})
	})
	if err != nil {
		return false, fmt.Errorf("look at grant: %w", err)
	}
	return dead, nil
}

// A predecessor's use is counted only while the row is as it was judged.
const repeatRefresh = `update grants set graced = graced + 1, last_used_at = $5,
  recoveries = recoveries + $6, recovered = recovered or $6 > 0
where tenant_id = $1 and environment_id = $2 and id = $3 and generation = $4 and revoked_at is null and recovered = $7 and graced < $8`

// repeatRefresh counts a use of a predecessor. It returns false when the grant changed meanwhile.
func (s *store) repeatRefresh(ctx context.Context, i *Issuer, req refreshRequest, st refreshState, now time.Time) (bool, error) {
	recoveries := 0
	if judgeRefresh(st, req.generation, i.Settings.RefreshGrace, now) == refreshRecover {
		recoveries = 1
	}
	var used bool
	err := s.db.Pipe(ctx, func(b *pgx.Batch) {
		b.Queue(repeatRefresh, i.Scope.TenantID, i.Scope.EnvironmentID, req.grantID, st.Generation, now, recoveries, st.Recovered,
			maxGraced).Exec(affected(&used))
	})
	if err != nil {
		return false, fmt.Errorf("repeat refresh token: %w", err)
	}
	return used, nil
}

// affected reads whether a statement changed a row.
func affected(changed *bool) func(pgconn.CommandTag) error {
	return func(tag pgconn.CommandTag) error {
		*changed = tag.RowsAffected() > 0
		return nil
	}
}
