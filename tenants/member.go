package tenants

import "time"

// Member is a person who may use a tenant's dashboard.
type Member struct {
	TenantID   string
	TenantName string
	ID         string
	Email      string
	Name       string
	Role       Role
	CreatedAt  time.Time
	DisabledAt *time.Time
}
