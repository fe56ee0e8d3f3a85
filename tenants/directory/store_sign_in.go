package directory

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ostiary/ostiary/app/scope"
	"github.com/ostiary/ostiary/tenants/attempts"
)

// There is a row also where there is no user.
const selectCandidate = `select ` + attempts.Hits + `, coalesce(u.id, ''), coalesce(u.email, ''), coalesce(u.email_verified, false),
  coalesce(u.name, ''), coalesce(u.password_hash, ''), coalesce(u.organization_id, ''), coalesce(o.name, ''), u.created_at, u.disabled_at
from (values (true)) as asked
left join users u on u.tenant_id = $1 and u.environment_id = $4 and u.email = $5
left join organizations o on o.tenant_id = u.tenant_id and o.environment_id = u.environment_id and o.id = u.organization_id`

// selectCandidate returns the user with this e-mail address, a zero User when there is none, and the hash of the password; and
// reads how often that was tried. One round trip.
func (u *Users) selectCandidate(ctx context.Context, sc scope.Scope, email string, try *attempts.Try) (user User, hash string, err error) {
	keys, window := try.HitsOf()
	var counters [][]byte
	var created *time.Time
	err = u.deps.DB.Pipe(ctx, func(b *pgx.Batch) {
		b.Queue(selectCandidate, sc.TenantID, keys, window, sc.EnvironmentID, email).QueryRow(func(row pgx.Row) error {
			return row.Scan(&counters, &user.ID, &user.Email, &user.EmailVerified, &user.Name, &hash, &user.OrganizationID,
				&user.OrganizationName, &created, &user.DisabledAt)
		})
	})
	if err != nil {
		return User{}, "", fmt.Errorf("look for user: %w", err)
	}
	if created != nil {
		user.CreatedAt = *created
	}
	user.HasPassword = hash != ""
	try.Knows(counters)
	return user, hash, nil
}
