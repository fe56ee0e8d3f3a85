package oauth_test

import (
	"net/http"
	"slices"
	"testing"

	"github.com/ostiary/ostiary/app/apptest/host"
	"github.com/ostiary/ostiary/tenants/directory"
)

// A grant acts for the organization its user belonged to. Whoever leaves that organization leaves the grant.
func TestRefresh_EndsWithTheOrganization(t *testing.T) {
	t.Parallel()
	t.Run("disabled", func(t *testing.T) {
		t.Parallel()
		s := host.New(t)
		c, tokens := connect(t, s)
		exec(t, s, `update organizations set disabled_at = now()`)
		refused(t, "refresh", c.Refresh(t, tokens.Refresh), http.StatusBadRequest, "invalid_grant")
	})
	t.Run("left, as the database tells", func(t *testing.T) {
		t.Parallel()
		s := host.New(t)
		c, tokens := connect(t, s)
		exec(t, s, `update users set organization_id = null`)
		refused(t, "refresh", c.Refresh(t, tokens.Refresh), http.StatusBadRequest, "invalid_grant")
	})
	t.Run("left", func(t *testing.T) {
		t.Parallel()
		s := host.New(t)
		c, tokens := connect(t, s)
		user, err := s.Users.Get(s.Acme.Operator(), s.Acme.UserID)
		if err != nil {
			t.Fatal(err)
		}
		update := directory.UserUpdate{Name: "Other Name", EmailVerified: true, OrganizationID: user.OrganizationID}
		if _, err := s.Users.Update(s.Acme.Operator(), user.ID, update); err != nil {
			t.Fatal(err)
		}
		again := c.Refresh(t, tokens.Refresh)
		if again.Status != http.StatusOK {
			t.Fatalf("who stays: %s", again.Raw)
		}
		update.OrganizationID = ""
		if _, err := s.Users.Update(s.Acme.Operator(), user.ID, update); err != nil {
			t.Fatal(err)
		}
		refused(t, "refresh", c.Refresh(t, again.Str("refresh_token")), http.StatusBadRequest, "invalid_grant")
		eventually(t, "MCP servers hear it", everywhere(func() bool {
			return slices.Contains(feedNow(t, s.Acme).Feed.Ended.Grants, grantOf(t, tokens))
		}))
	})
}

func TestRedeem_ACodeEndsWithTheOrganization(t *testing.T) {
	t.Parallel()
	for name, statement := range map[string]string{
		"disabled": `update organizations set disabled_at = now()`, "left": `update users set organization_id = null`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := host.New(t)
			a := s.Register(t, s.Acme, nil).Authorize("data:read")
			issued := code(t, s, a)
			exec(t, s, statement)
			refused(t, "code", a.Redeem(t, issued), http.StatusBadRequest, "invalid_grant")
		})
	}
}
