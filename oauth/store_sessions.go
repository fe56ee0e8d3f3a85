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

// One statement answers who is signed in and what is remembered of them, since a consent is found by the session's user. It
// counts for the place that was shown as where the answer goes: a client whose metadata names another one since (its document
// changed hands) is asked about anew.
const selectWho = `select u.id, u.email, u.name, coalesce(o.id, ''), coalesce(o.name, ''), s.auth_time, s.last_seen_at,
  coalesce(c.id, ''), c.scopes, c.expires_at, coalesce(c.lasts, '')
from sessions s
join users u on u.tenant_id = s.tenant_id and u.environment_id = s.environment_id and u.id = s.user_id
left join organizations o on o.tenant_id = u.tenant_id and o.environment_id = u.environment_id and o.id = u.organization_id
left join lateral (
  select c.id, c.scopes, c.expires_at, c.lasts
  from consents c
  where c.tenant_id = s.tenant_id and c.environment_id = s.environment_id and c.user_id = s.user_id
    and c.client_key = hashtextextended($6, 0) and c.client_id = $6
    and c.resource_id = $7 and c.receipt->>'redirect_to' = $8
    and c.revoked_at is null and (c.expires_at is null or c.expires_at > $4)
    and c.organization_id is not distinct from u.organization_id
  order by c.created_at desc limit 1
) c on true
where s.tenant_id = $1 and s.environment_id = $2 and s.token_hash = $3
  and s.expires_at > $4 and s.last_seen_at > $5 and u.disabled_at is null and (o.id is null or o.disabled_at is null)`

const touchSession = `update sessions set last_seen_at = $4
where tenant_id = $1 and environment_id = $2 and token_hash = $3 and last_seen_at < $5`

// store runs the data plane's statements, each under the tenant in scope.
type store struct {
	db  *db.DB
	now func() time.Time
}

// who returns the session a cookie names and the consent remembered for what in asks, each nil when there is none.
// Errors: errs.Unavailable.
func (s *store) who(ctx context.Context, i *Issuer, token string, in Interaction) (*Session, *Consent, error) {
	if token == "" {
		return nil, nil, nil
	}
	hash, now := secret.Hash(token), s.now()
	var session *Session
	var consent Consent
	var seen time.Time
	err := s.db.Pipe(ctx, func(b *pgx.Batch) {
		b.Queue(selectWho, i.Scope.TenantID, i.Scope.EnvironmentID, hash, now, now.Add(-i.Settings.SessionIdle),
			in.ClientID, in.ResourceID, originOf(in.RedirectURI)).Query(func(rows pgx.Rows) error {
			for rows.Next() {
				session = &Session{}
				u := &session.User
				err := rows.Scan(&u.ID, &u.Email, &u.Name, &u.OrganizationID, &u.OrganizationName, &session.AuthTime, &seen,
					&consent.ID, &consent.Scopes, &consent.ExpiresAt, &consent.Lasts)
				if err != nil {
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
	err = s.touch(ctx, i, hash, seen, now)
	if consent.ID == "" {
		return session, nil, err
	}
	return session, &consent, err
}

func (s *store) touch(ctx context.Context, i *Issuer, hash []byte, seen, now time.Time) error {
	if now.Sub(seen) < touchAfter {
		return nil
	}
	return s.db.Pipe(ctx, func(b *pgx.Batch) {
		b.Queue(touchSession, i.Scope.TenantID, i.Scope.EnvironmentID, hash, now, now.Add(-touchAfter))
	})
}

// The user is there: the role that serves deletes none. One who is disabled this very moment has a session that counts for nothing.
// The sign-in's audit event is recorded by the same statement.
var insertSession = "with recorded as (\n" + audit.InsertFrom("(values (true)) as signed_in", 7) + `)
insert into sessions (tenant_id, environment_id, token_hash, user_id, auth_time, last_seen_at, expires_at)
values ($1, $2, $3, $4, $5, $5, $6)`

const deleteSession = `delete from sessions where tenant_id = $1 and environment_id = $2 and token_hash = $3`

// newSession is a sign-in about to be recorded.
type newSession struct {
	userID   string
	replaces string // the cookie's value so far, empty for none
	at       time.Time
	event    audit.Event
}

// queueSession puts on b what starts a session for a user who just proved who they are and ends the one it replaces: a session
// token from before the sign-in is never promoted (session fixation). It returns the cookie's value.
func (s *store) queueSession(ctx context.Context, b *pgx.Batch, i *Issuer, n newSession) (string, error) {
	event, err := audit.Values(ctx, n.at, n.event)
	if err != nil {
		return "", err
	}
	token := secret.NewToken()
	if n.replaces != "" {
		b.Queue(deleteSession, i.Scope.TenantID, i.Scope.EnvironmentID, secret.Hash(n.replaces))
	}
	b.Queue(insertSession, append([]any{
		i.Scope.TenantID, i.Scope.EnvironmentID, secret.Hash(token), n.userID, n.at, n.at.Add(i.Settings.SessionAbsolute),
	}, event...)...)
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
