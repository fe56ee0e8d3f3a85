package oauth_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ostiary/ostiary/app/apptest/host"
)

func connect(t *testing.T, s *host.Stack) (*host.Client, host.Tokens) {
	t.Helper()
	c := s.Register(t, s.Acme, nil)
	return c, s.Connect(t, host.NewBrowser(t), s.Acme, c.Authorize(), "data:read")
}

// refreshAtOnce presents one token n times in parallel and returns the answers.
func refreshAtOnce(t *testing.T, c *host.Client, token string, n int) []host.Answer {
	t.Helper()
	answers := make([]host.Answer, n)
	var wg sync.WaitGroup
	for i := range answers {
		wg.Go(func() { answers[i] = c.Refresh(t, token) })
	}
	wg.Wait()
	return answers
}

func TestRefresh_ParallelBurstsLoseNoSession(t *testing.T) {
	t.Parallel()
	for _, n := range []int{4, 100} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			s := host.New(t)
			c, tokens := connect(t, s)
			successors := map[string]bool{}
			for _, answer := range refreshAtOnce(t, c, tokens.Refresh, n) {
				if answer.Status != http.StatusOK {
					t.Fatalf("one of %d parallel refreshes failed: %d %s", n, answer.Status, answer.Raw)
				}
				successors[answer.Str("refresh_token")] = true
			}
			if len(successors) != 1 {
				t.Errorf("%d successors; everybody must get the same one", len(successors))
			}
			for successor := range successors {
				if answer := c.Refresh(t, successor); answer.Status != http.StatusOK {
					t.Errorf("the successor is dead: %s", answer.Raw)
				}
			}
			s.Clock.Advance(100 * time.Second)
			if answer := c.Refresh(t, tokens.Refresh); answer.Status != http.StatusOK {
				t.Errorf("the predecessor after 100 s: %s", answer.Raw)
			}
		})
	}
}

func TestRefresh_ReplayAfterTheGraceEndsTheGrant(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	c, tokens := connect(t, s)
	second := c.Refresh(t, tokens.Refresh).Str("refresh_token")
	third := c.Refresh(t, second).Str("refresh_token")
	s.Clock.Advance(121 * time.Second)
	refused(t, "replay", c.Refresh(t, tokens.Refresh), 400, "invalid_grant")
	refused(t, "the newest token after the replay", c.Refresh(t, third), 400, "invalid_grant")
	reason := ""
	err := s.DB.Pipe(s.Acme.Context(), func(b *pgx.Batch) {
		b.Queue(`select revoked_reason from grants`).QueryRow(func(row pgx.Row) error { return row.Scan(&reason) })
	})
	if err != nil || reason != "refresh_token_replayed" {
		t.Errorf("reason %q, %v", reason, err)
	}
}

func TestRefresh_LostAnswerIsRecoveredLate(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	c, tokens := connect(t, s)
	lost := c.Refresh(t, tokens.Refresh).Str("refresh_token")
	s.Clock.Advance(8 * time.Minute)
	answer := c.Refresh(t, tokens.Refresh)
	if answer.Status != http.StatusOK || answer.Str("refresh_token") != lost {
		t.Fatalf("recovery: %d %s", answer.Status, answer.Raw)
	}
	if next := c.Refresh(t, lost); next.Status != http.StatusOK {
		t.Errorf("the recovered token is dead: %s", next.Raw)
	}
}

// Two parties that live off one grant show themselves: the second always comes late, in every generation.
func TestRefresh_ThiefInLockstepIsCaught(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	c, tokens := connect(t, s)
	stolen := tokens.Refresh
	honest := tokens.Refresh
	for range 20 {
		answer := c.Refresh(t, honest)
		if answer.Status != http.StatusOK {
			return // caught: the grant is gone for both
		}
		honest = answer.Str("refresh_token")
		s.Clock.Advance(30 * time.Minute)
		if late := c.Refresh(t, stolen); late.Status == http.StatusOK {
			stolen = late.Str("refresh_token")
		}
		s.Clock.Advance(30 * time.Minute)
	}
	t.Fatal("a thief lived off the grant for 20 generations")
}

func TestRefresh_EndsWhenItMust(t *testing.T) {
	t.Parallel()
	t.Run("idle", func(t *testing.T) {
		t.Parallel()
		s := host.New(t)
		c, tokens := connect(t, s)
		s.Clock.Advance(31 * 24 * time.Hour)
		refused(t, "idle for 31 days", c.Refresh(t, tokens.Refresh), 400, "invalid_grant")
	})
	t.Run("user disabled", func(t *testing.T) {
		t.Parallel()
		s := host.New(t)
		c, tokens := connect(t, s)
		exec(t, s, `update users set disabled_at = now()`)
		refused(t, "disabled user", c.Refresh(t, tokens.Refresh), 400, "invalid_grant")
	})
	t.Run("revoked by its client", func(t *testing.T) {
		t.Parallel()
		s := host.New(t)
		c, tokens := connect(t, s)
		if answer := c.Revoke(t, tokens.Access); answer.Status != http.StatusOK {
			t.Fatal(answer.Raw)
		}
		refused(t, "after revocation of the access token", c.Refresh(t, tokens.Refresh), 400, "invalid_grant")
		if answer := c.Revoke(t, "unknown"); answer.Status != http.StatusOK {
			t.Errorf("unknown token: %d, want 200 (RFC 7009 §2.2)", answer.Status)
		}
	})
}

func TestRefresh_NarrowsAndFollowsPolicy(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	c := s.Register(t, s.Acme, nil)
	tokens := s.Connect(t, host.NewBrowser(t), s.Acme, c.Authorize("data:read", "profiles:read", "offline_access"), "data:read", "profiles:read")
	if tokens.Scope != "data:read profiles:read offline_access" {
		t.Fatalf("scope %q", tokens.Scope)
	}
	form := c.RefreshForm(tokens.Refresh)
	form.Set("scope", "data:read segments:delete")
	narrowed := c.Token(t, form)
	if narrowed.Str("scope") != "data:read" || claims(t, narrowed.Str("access_token"))["scope"] != "data:read" {
		t.Errorf("narrowed to %q", narrowed.Str("scope"))
	}
	full := c.Refresh(t, narrowed.Str("refresh_token"))
	if full.Str("scope") != tokens.Scope {
		t.Errorf("narrowing one access token narrowed the grant: %q", full.Str("scope"))
	}
	form = c.RefreshForm(full.Str("refresh_token"))
	form.Set("scope", "nothing:here")
	refused(t, "nothing left", c.Token(t, form), 400, "invalid_scope")
}

func exec(t *testing.T, s *host.Stack, statement string, args ...any) {
	t.Helper()
	err := s.DB.Pipe(s.Acme.Context(), func(b *pgx.Batch) { b.Queue(statement, args...) })
	if err != nil {
		t.Fatal(err)
	}
}
