package oauth

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// A token is as alive as its grant, and a grant as what it stands on: its user, their organization when there is one, as long as
// they belong to it, and its client. The primary keys find everything.
const selectLive = `select g.scopes, coalesce(u.email, ''), coalesce(u.email_verified, false), coalesce(u.name, '')
from grants g
join clients c on c.tenant_id = g.tenant_id and c.environment_id = g.environment_id and c.id = g.client_id
left join users u on u.tenant_id = g.tenant_id and u.environment_id = g.environment_id and u.id = g.user_id
left join organizations o on o.tenant_id = g.tenant_id and o.environment_id = g.environment_id and o.id = g.organization_id
where g.tenant_id = $1 and g.environment_id = $2 and g.id = $3 and g.client_id = $4
  and coalesce(g.user_id, g.client_id) = $5 and g.revoked_at is null and g.expires_at > $6
  and c.disabled_at is null and u.disabled_at is null and o.disabled_at is null
  and (u.id is null or g.organization_id is not distinct from u.organization_id)`

// liveGrant is what is true of a token's grant now.
type liveGrant struct {
	scopes []string // of the grant: the token may have fewer
	who    identity // empty when no user is behind it
}

// liveGrant returns the grant of a verified access token, nil when it was revoked, has ended, or stands on something that was
// switched off. Errors: errs.Unavailable.
func (s *store) liveGrant(ctx context.Context, i *Issuer, claims accessClaims, now time.Time) (*liveGrant, error) {
	var live *liveGrant
	err := s.db.Pipe(ctx, func(b *pgx.Batch) {
		b.Queue(selectLive, i.Scope.TenantID, i.Scope.EnvironmentID, claims.GrantID, claims.ClientID, claims.Subject, now).
			Query(func(rows pgx.Rows) error {
				for rows.Next() {
					live = &liveGrant{}
					if err := rows.Scan(&live.scopes, &live.who.Email, &live.who.EmailVerified, &live.who.Name); err != nil {
						return err
					}
				}
				return rows.Err()
			})
	})
	if err != nil {
		return nil, fmt.Errorf("load grant of a token: %w", err)
	}
	return live, nil
}
