package oauth_test

import (
	"net/http"
	"net/url"
	"strconv"
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

// Whoever makes up a client for each request is bounded by where they come from.
func TestLimits_OneAddressIsBoundWhateverItsClients(t *testing.T) {
	t.Parallel()
	s := host.New(t, host.WithRateLimit(2)) // ten of one address, on each node until they share their counts
	s.Clock.BeginWindow(ratelimit.Window)
	var last host.Answer
	for n := range 10*len(s.Nodes) + 1 {
		last = askAs(t, s, "client-"+strconv.Itoa(n))
		if n < 10 && last.Status != http.StatusUnauthorized {
			t.Fatalf("request %d of an address: %d %s", n+1, last.Status, last.Raw)
		}
	}
	refused(t, "one more of that address", last, 429, "temporarily_unavailable")
}

// Nodes tell each other what they counted: asking one after the other gains nothing.
func TestLimits_HoldOverNodes(t *testing.T) {
	t.Parallel()
	const limit = 1000
	s := host.New(t, host.WithRateLimit(limit), host.WithNodes(2))
	s.Clock.BeginWindow(ratelimit.Window)
	for range limit + 50 { // half of them at each node
		if last := askAs(t, s, "nobody"); last.Status == http.StatusTooManyRequests {
			return // they were that quick
		}
	}
	more := 0
	eventually(t, "the nodes share their counts", func() bool {
		if more++; more > limit/2 {
			t.Fatal("a node had to reach its bound alone")
		}
		return askAs(t, s, "nobody").Status == http.StatusTooManyRequests
	})
}

// askAs sends a token request of a client that does not exist.
func askAs(t *testing.T, s *host.Stack, clientID string) host.Answer {
	t.Helper()
	return host.PostForm(t, s.Acme.Issuer+"/token", url.Values{
		"grant_type": {"authorization_code"}, "client_id": {clientID}, "code": {"oac_AAAA"},
	})
}
