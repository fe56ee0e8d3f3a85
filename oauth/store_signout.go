package oauth

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/ostiary/ostiary/app/audit"
	"github.com/ostiary/ostiary/app/secret"
)

const selectSignedIn = `select u.id, u.email, u.name
from sessions s
join users u on u.tenant_id = s.tenant_id and u.environment_id = s.environment_id and u.id = s.user_id
where s.tenant_id = $1 and s.environment_id = $2 and s.token_hash = $3 and s.expires_at > $4 and s.last_seen_at > $5`

// signedIn returns whose session a cookie names, nil when it names none. A disabled user has one too: it can be ended.
// Errors: errs.Unavailable.
func (s *store) signedIn(ctx context.Context, i *Issuer, token string) (*SessionUser, error) {
	if token == "" {
		return nil, nil
	}
	now := s.now()
	var user *SessionUser
	err := s.db.Pipe(ctx, func(b *pgx.Batch) {
		b.Queue(selectSignedIn, i.Scope.TenantID, i.Scope.EnvironmentID, secret.Hash(token), now, now.Add(-i.Settings.SessionIdle)).
			Query(func(rows pgx.Rows) error {
				for rows.Next() {
					user = &SessionUser{}
					if err := rows.Scan(&user.ID, &user.Email, &user.Name); err != nil {
						return err
					}
				}
				return rows.Err()
			})
	})
	if err != nil {
		return nil, fmt.Errorf("load session: %w", err)
	}
	return user, nil
}

// signOut ends the session a cookie names and records it.
func (s *store) signOut(ctx context.Context, i *Issuer, token, userID string) error {
	now := s.now()
	err := s.db.Send(ctx, func(b *pgx.Batch) error {
		b.Queue(deleteSession, i.Scope.TenantID, i.Scope.EnvironmentID, secret.Hash(token))
		return audit.Queue(ctx, b, now, audit.Event{Action: "user.signed_out", TargetKind: "user", TargetID: userID})
	})
	if err != nil {
		return fmt.Errorf("end session: %w", err)
	}
	return nil
}
