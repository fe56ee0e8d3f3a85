package oauth_test

import (
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ostiary/ostiary/app/apptest/host"
	"github.com/ostiary/ostiary/tenants/tenanttest"
)

// revocations returns what a tenant's audit log says of grants that ended: "reason by actor", in order.
func revocations(t *testing.T, s *host.Stack, tenant *tenanttest.Tenant) []string {
	t.Helper()
	var out []string
	all := 0 // of one moment with out: an end can be under way
	err := s.DB.Pipe(tenant.Context(), func(b *pgx.Batch) {
		b.Queue(`select array_agg((a.detail->>'reason') || ' by ' || a.actor_kind || ' ' || a.actor_id order by a.id)
				filter (where g.id is not null), count(*)
			from audit_events a left join grants g on g.tenant_id = a.tenant_id and g.environment_id = a.environment_id
				and g.id = a.target_id and g.revoked_at = a.at and a.target_kind = 'grant'
			where a.action = 'grant.revoked'`).QueryRow(func(row pgx.Row) error { return row.Scan(&out, &all) })
	})
	if err != nil || all != len(out) {
		t.Fatalf("%d events, %d of them about a grant that ended then: %v %v", all, len(out), out, err)
	}
	return out
}

func wantRevocations(t *testing.T, s *host.Stack, want ...string) {
	t.Helper()
	if got := revocations(t, s, s.Acme); !slices.Equal(got, want) {
		t.Errorf("the audit log says %q, want %q", got, want)
	}
	if got := revocations(t, s, s.Neighbour); len(got) > 0 {
		t.Errorf("the neighbour's audit log says %q", got)
	}
}

// An audit log that tells of an end twice, or of one that was none, is no record of what happened.
func TestRevoke_IsRecordedExactlyOnce(t *testing.T) {
	t.Parallel()
	t.Run("by its client, many times at once", func(t *testing.T) {
		t.Parallel()
		s := host.New(t)
		c, tokens := connect(t, s)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if answer := c.Revoke(t, tokens.Refresh); answer.Status != http.StatusOK {
					t.Errorf("revoke: %d %s", answer.Status, answer.Raw)
				}
			})
		}
		wg.Wait()
		c.Revoke(t, tokens.Access)
		wantRevocations(t, s, "revoked_by_client by client "+c.ID)
	})
	t.Run("a code that comes again and again", func(t *testing.T) {
		t.Parallel()
		s := host.New(t)
		a := s.Register(t, s.Acme, nil).Authorize("data:read")
		c := code(t, s, a)
		if answer := a.Redeem(t, c); answer.Status != http.StatusOK {
			t.Fatal(answer.Raw)
		}
		for range 3 {
			refused(t, "replay", a.Redeem(t, c), 400, "invalid_grant")
		}
		wantRevocations(t, s, "code_replayed by client "+a.Client.ID)
	})
	t.Run("a refresh token that comes again and again", func(t *testing.T) {
		t.Parallel()
		s := host.New(t)
		c, tokens := connect(t, s)
		c.Refresh(t, c.Refresh(t, tokens.Refresh).Str("refresh_token"))
		s.Clock.Advance(3 * time.Minute)
		for range 3 {
			refused(t, "replay", c.Refresh(t, tokens.Refresh), 400, "invalid_grant")
		}
		wantRevocations(t, s, "refresh_token_replayed by client "+c.ID)
	})
}

func TestRevoke_RecordsNothingThatDidNotEnd(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	c, tokens := connect(t, s)
	stranger := s.Register(t, s.Acme, map[string]any{"client_name": "Stranger"})
	neighbour := s.Register(t, s.Neighbour, nil)
	for name, answer := range map[string]host.Answer{
		"another client":       stranger.Revoke(t, tokens.Refresh),
		"a neighbour's client": neighbour.Revoke(t, tokens.Refresh),
		"an unknown token":     c.Revoke(t, "unknown"),
	} {
		if answer.Status != http.StatusOK {
			t.Errorf("%s: %d %s", name, answer.Status, answer.Raw)
		}
	}
	a := stranger.Authorize("data:read")
	waiting := code(t, s, a)
	exec(t, s, `update consents set revoked_at = now() where client_id = $1`, stranger.ID)
	refused(t, "a code whose consent was withdrawn", a.Redeem(t, waiting), 400, "invalid_grant")
	wantRevocations(t, s)
	if answer := c.Refresh(t, tokens.Refresh); answer.Status != http.StatusOK {
		t.Errorf("the connection is gone: %s", answer.Raw)
	}
}

// Neither the end nor its record exists without the other.
func TestRevoke_EndsNothingThatCannotBeRecorded(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	c, tokens := connect(t, s)
	owner, err := pgx.Connect(t.Context(), s.Database.OwnerURL)
	if err != nil {
		t.Fatal(err)
	}
	defer owner.Close(t.Context()) //nolint:errcheck // the database goes with the test
	const refusal = `alter table audit_events add constraint none_of_these check (action <> 'grant.revoked') not valid`
	if _, err := owner.Exec(t.Context(), refusal); err != nil {
		t.Fatal(err)
	}
	if answer := c.Revoke(t, tokens.Refresh); answer.Status < http.StatusInternalServerError {
		t.Errorf("revoke: %d %s, and nothing was recorded", answer.Status, answer.Raw)
	}
	alive := false
	query(t, s, `select revoked_at is null from grants`, &alive)
	if !alive {
		t.Error("the grant ended without a record")
	}
	if _, err := owner.Exec(t.Context(), `alter table audit_events drop constraint none_of_these`); err != nil {
		t.Fatal(err)
	}
	if answer := c.Revoke(t, tokens.Refresh); answer.Status != http.StatusOK {
		t.Errorf("revoke: %d %s", answer.Status, answer.Raw)
	}
	wantRevocations(t, s, "revoked_by_client by client "+c.ID)
}
