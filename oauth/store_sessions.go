package oauth

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ostiary/ostiary/app/audit"
	"github.com/ostiary/ostiary/app/db"
	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/secret"
)

const selectSession = `select u.id, u.email, u.name, coalesce(o.id, ''), coalesce(o.name, ''), s.auth_time, s.last_seen_at
from sessions s
join users u on u.tenant_id = s.tenant_id and u.environment_id = s.environment_id and u.id = s.user_id
left join organizations o on o.tenant_id = u.tenant_id and o.environment_id = u.environment_id and o.id = u.organization_id
where s.tenant_id = $1 and s.environment_id = $2 and s.token_hash = $3
  and s.expires_at > $4 and s.last_seen_at > $5 and u.disabled_at is null and (o.id is null or o.disabled_at is null)`

// A consent is found by the session's user, so one round trip answers both questions. It counts for the place that was shown
// as where the answer goes: a client whose metadata names another one since (its document changed hands) is asked about anew.
const selectConsent = `select c.id, c.scopes, c.expires_at, c.lasts
from sessions s
join users u on u.tenant_id = s.tenant_id and u.environment_id = s.environment_id and u.id = s.user_id
join consents c on c.tenant_id = s.tenant_id and c.environment_id = s.environment_id and c.user_id = s.user_id
where s.tenant_id = $1 and s.environment_id = $2 and s.token_hash = $3
  and c.client_id = $4 and c.resource_id = $5 and c.receipt->>'redirect_to' = $7
  and c.revoked_at is null and (c.expires_at is null or c.expires_at > $6)
  and c.organization_id is not distinct from u.organization_id
order by c.created_at desc limit 1`

const touchSession = `update sessions set last_seen_at = $4
where tenant_id = $1 and environment_id = $2 and token_hash = $3 and last_seen_at < $5`

// store runs the data plane's statements, each under the tenant in scope.
type store struct {
	db  *db.DB
	now func() time.Time
}

// pipe sends what queue puts on a batch in one round trip; nothing is sent when queue fails.
func (s *store) pipe(ctx context.Context, queue func(b *pgx.Batch) error) error {
	var b pgx.Batch
	if err := queue(&b); err != nil {
		return err
	}
	return s.db.Pipe(ctx, func(out *pgx.Batch) { out.QueuedQueries = append(out.QueuedQueries, b.QueuedQueries...) })
}

// who returns the session a cookie names and the consent remembered for what in asks, each nil when there is none.
// Errors: errs.Unavailable.
func (s *store) who(ctx context.Context, i *Issuer, token string, in Interaction) (*Session, *Consent, error) {
	if token == "" {
		return nil, nil, nil
	}
	hash, now := secret.Hash(token), s.now()
	var session *Session
	var consent *Consent
	var seen time.Time
	err := s.db.Pipe(ctx, func(b *pgx.Batch) {
		b.Queue(selectSession, i.Scope.TenantID, i.Scope.EnvironmentID, hash, now, now.Add(-i.Settings.SessionIdle)).
			Query(func(rows pgx.Rows) error {
				for rows.Next() {
					session = &Session{tokenHash: hash}
					u := &session.User
					if err := rows.Scan(&u.ID, &u.Email, &u.Name, &u.OrganizationID, &u.OrganizationName, &session.AuthTime, &seen); err != nil {
						return err
					}
				}
				return rows.Err()
			})
		b.Queue(selectConsent, i.Scope.TenantID, i.Scope.EnvironmentID, hash, in.ClientID, in.ResourceID, now, originOf(in.RedirectURI)).
			Query(func(rows pgx.Rows) error {
				for rows.Next() {
					consent = &Consent{}
					if err := rows.Scan(&consent.ID, &consent.Scopes, &consent.ExpiresAt, &consent.Lasts); err != nil {
						return err
					}
				}
				return rows.Err()
			})
	})
	if err != nil {
		return nil, nil, fmt.Errorf("load session: %w", err)
	}
	if session == nil {
		return nil, nil, nil
	}
	return session, consent, s.touch(ctx, i, hash, seen, now)
}

func (s *store) touch(ctx context.Context, i *Issuer, hash []byte, seen, now time.Time) error {
	if now.Sub(seen) < touchAfter {
		return nil
	}
	return s.db.Pipe(ctx, func(b *pgx.Batch) {
		b.Queue(touchSession, i.Scope.TenantID, i.Scope.EnvironmentID, hash, now, now.Add(-touchAfter))
	})
}

const insertSession = `insert into sessions (tenant_id, environment_id, token_hash, user_id, auth_time, last_seen_at, expires_at)
values ($1, $2, $3, $4, $5, $5, $6)`

const deleteSession = `delete from sessions where tenant_id = $1 and environment_id = $2 and token_hash = $3`

// beginSession starts a session for a user who just proved who they are and ends the one it replaces: a session token from
// before the sign-in is never promoted (session fixation). It returns the cookie's value.
func (s *store) beginSession(ctx context.Context, i *Issuer, userID, replaces string) (string, error) {
	token, now := secret.NewToken(), s.now()
	err := s.pipe(ctx, func(b *pgx.Batch) error {
		if replaces != "" {
			b.Queue(deleteSession, i.Scope.TenantID, i.Scope.EnvironmentID, secret.Hash(replaces))
		}
		b.Queue(insertSession, i.Scope.TenantID, i.Scope.EnvironmentID, secret.Hash(token), userID, now, now.Add(i.Settings.SessionAbsolute))
		return audit.Queue(ctx, b, now, audit.Event{Action: "user.signed_in", TargetKind: "user", TargetID: userID})
	})
	if err != nil {
		return "", fmt.Errorf("begin session: %w", err)
	}
	return token, nil
}

// endSession ends the session a cookie names, if there is one.
func (s *store) endSession(ctx context.Context, i *Issuer, token string) error {
	if token == "" {
		return nil
	}
	return s.db.Pipe(ctx, func(b *pgx.Batch) {
		b.Queue(deleteSession, i.Scope.TenantID, i.Scope.EnvironmentID, secret.Hash(token))
	})
}

// unavailable reports whether err means that Postgres is away, which must never look like a client's mistake.
func unavailable(err error) bool { return errs.Is(err, errs.Unavailable) }
