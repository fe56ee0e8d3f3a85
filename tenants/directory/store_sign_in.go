package directory

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/ostiary/ostiary/app/scope"
	"github.com/ostiary/ostiary/tenants/attempts"
)

const selectCandidate = `select u.id, u.email, u.email_verified, u.name, coalesce(u.password_hash, ''), coalesce(u.organization_id, ''),
  coalesce(o.name, ''), u.created_at, u.disabled_at
from users u
left join organizations o on o.tenant_id = u.tenant_id and o.environment_id = u.environment_id and o.id = u.organization_id
where u.tenant_id = $1 and u.environment_id = $2 and u.email = $3`

// selectCandidate returns the user with this e-mail address, a zero User when there is none, and the hash of the password; and
// reads how often that was tried. One round trip.
func (u *Users) selectCandidate(ctx context.Context, sc scope.Scope, email string, try *attempts.Try) (user User, hash string, err error) {
	err = u.deps.DB.Pipe(ctx, func(b *pgx.Batch) {
		b.Queue(selectCandidate, sc.TenantID, sc.EnvironmentID, email).Query(func(found pgx.Rows) error {
			for found.Next() {
				err := found.Scan(&user.ID, &user.Email, &user.EmailVerified, &user.Name, &hash, &user.OrganizationID,
					&user.OrganizationName, &user.CreatedAt, &user.DisabledAt)
				if err != nil {
					return err
				}
			}
			user.HasPassword = hash != ""
			return found.Err()
		})
		try.Queue(b)
	})
	if err != nil {
		return User{}, "", fmt.Errorf("look for user: %w", err)
	}
	return user, hash, nil
}
