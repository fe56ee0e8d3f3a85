package tenants_test

import (
	"context"
	"strings"
	"testing"

	"gorm.io/gorm"

	"github.com/ostiary/ostiary/tenants/tenanttest"
)

func TestResources_PublishedRevisionsCannotBeRewritten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, statement := range []string{"update policy_revisions set document = '{}'", "delete from policy_revisions"} {
		err := w.DB.InTenant(w.Acme.Context(), func(_ context.Context, tx *gorm.DB) error { return tx.Exec(statement).Error })
		if err == nil || !strings.Contains(err.Error(), "permission denied") {
			t.Errorf("%s: %v, want permission denied", statement, err)
		}
	}
}

// findText returns the first table in which a tenant's rows, written as text, contain s.
func findText(t *testing.T, w *tenanttest.World, tenant *tenanttest.Tenant, s string) string {
	t.Helper()
	found := ""
	err := w.DB.InTenant(tenant.Context(), func(_ context.Context, tx *gorm.DB) error {
		for _, table := range []string{
			"tenants", "environments", "members", "member_logins", "member_sessions", "users", "organizations", "audit_events",
			"resources", "scopes", "tools", "policy_revisions", "rate_counters",
		} {
			var n int
			if err := tx.Raw("select count(*) from "+table+" r where position(? in r::text) > 0", s).Scan(&n).Error; err != nil {
				return err
			}
			if n > 0 {
				found = table
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
