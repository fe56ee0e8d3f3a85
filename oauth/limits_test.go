package oauth_test

import (
	"net/http"
	"testing"

	"github.com/ostiary/ostiary/app/apptest/host"
	"github.com/ostiary/ostiary/oauth/ratelimit"
)

func TestLimits_AnswerTooManyAndNeverHideADeadToken(t *testing.T) {
	t.Parallel()
	s := host.New(t, host.WithRateLimit(20))
	c, tokens := connect(t, s)
	other, theirs := connect(t, s)
	s.Clock.BeginWindow(ratelimit.Window)
	c.Revoke(t, tokens.Refresh)
	refused(t, "revoked", c.Refresh(t, tokens.Refresh), 400, "invalid_grant")
	live := theirs.Refresh
	var last host.Answer
	for range 30 * len(s.Nodes) { // until nodes share their counts each has its own
		last = other.Refresh(t, live)
		if last.Status != http.StatusOK {
			break
		}
		live = last.Str("refresh_token")
	}
	refused(t, "over the bound", last, 429, "temporarily_unavailable")
	if last.Header.Get("Retry-After") == "" {
		t.Error("says not when to come back")
	}
	for range s.Nodes { // those that never saw it die, too
		refused(t, "a dead token over the bound", c.Refresh(t, tokens.Refresh), 400, "invalid_grant")
	}
	refused(t, "a made-up token over the bound", c.Refresh(t, "ort_AAAA"), 400, "invalid_grant")
	var post host.Answer
	for range s.Nodes { // the one that has counted least is the last to hear of it
		eventually(t, "the end of registrations", func() bool {
			post = host.PostJSON(t, c.Issuer+"/register", map[string]any{"redirect_uris": []string{host.Redirect}})
			return post.Status != http.StatusCreated
		})
	}
	refused(t, "registration over its bound", post, 429, "temporarily_unavailable")
}
