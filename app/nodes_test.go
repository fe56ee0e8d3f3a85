package app_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ostiary/ostiary/app/apptest/host"
)

// at sends a token request to one node, past the proxy.
func at(t *testing.T, n *host.Node, c *host.Client, form string) host.Answer {
	t.Helper()
	issuer := c.Issuer[strings.Index(c.Issuer, "://")+3:]
	name, path, _ := strings.Cut(issuer, "/")
	target := n.URL + "/token"
	if path != "" {
		target = n.URL + "/" + path + "/token"
	}
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, target, strings.NewReader(form))
	if err != nil {
		t.Fatal(err)
	}
	r.Host = name
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return host.Do(t, r)
}

// Each step of the flow is on another node than the one before: nothing of a pending request is in a process.
func TestNodes_OneFlowOverAll(t *testing.T) {
	t.Parallel()
	for _, form := range forms {
		s := host.New(t, host.WithNodes(3), host.WithIssuers(form))
		c := s.Register(t, s.Acme, nil)
		a := c.Authorize()
		b := host.NewBrowser(t)
		p := b.Decide(t, b.SignIn(t, a.URL(), s.Acme.UserEmail), "approve", "data:read")
		code := p.Param("code")
		first := at(t, s.Nodes[0], c, a.TokenForm(code).Encode())
		if first.Status != http.StatusOK {
			t.Fatalf("%s: %d %s", form, first.Status, first.Raw)
		}
		second := at(t, s.Nodes[1], c, c.RefreshForm(first.Str("refresh_token")).Encode())
		if second.Status != http.StatusOK {
			t.Fatalf("%s: refresh on another node: %d %s", form, second.Status, second.Raw)
		}
		if replay := at(t, s.Nodes[2], c, a.TokenForm(code).Encode()); replay.Str("error") != "invalid_grant" {
			t.Errorf("%s: the code again on a third node: %d %s", form, replay.Status, replay.Raw)
		}
		for i, n := range s.Nodes {
			if after := at(t, n, c, c.RefreshForm(second.Str("refresh_token")).Encode()); after.Str("error") != "invalid_grant" {
				t.Errorf("%s: the replay did not end the grant on node %d: %s", form, i, after.Raw)
			}
		}
	}
}

func TestNodes_RacesHaveOneOutcome(t *testing.T) {
	t.Parallel()
	s := host.New(t, host.WithNodes(3))
	c := s.Register(t, s.Acme, nil)
	a := c.Authorize()
	b := host.NewBrowser(t)
	code := b.Decide(t, b.SignIn(t, a.URL(), s.Acme.UserEmail), "approve", "data:read").Param("code")
	everywhere := func(form string, each int) []host.Answer {
		answers := make([]host.Answer, each*len(s.Nodes))
		var group sync.WaitGroup
		for i := range answers {
			group.Go(func() { answers[i] = at(t, s.Nodes[i%len(s.Nodes)], c, form) })
		}
		group.Wait()
		return answers
	}
	won := 0
	for _, answer := range everywhere(a.TokenForm(code).Encode(), 2) {
		if answer.Status == http.StatusOK {
			won++
		}
	}
	if won != 1 {
		t.Errorf("one code was redeemed %d times on three nodes", won)
	}
	c, tokens := connect(t, s)
	successors := map[string]bool{}
	for _, answer := range everywhere(c.RefreshForm(tokens.Refresh).Encode(), 15) {
		if answer.Status != http.StatusOK {
			t.Fatalf("a refresh in a burst over three nodes: %d %s", answer.Status, answer.Raw)
		}
		successors[answer.Str("refresh_token")] = true
	}
	if len(successors) != 1 {
		t.Errorf("%d successors", len(successors))
	}
}

// changes are what an admin does, and what every node must then know.
func changes(t *testing.T, s *host.Stack) map[string]func(n *host.Node) bool {
	t.Helper()
	disabled := s.Register(t, s.Acme, map[string]any{"client_name": "Disabled"})
	tokens := s.Connect(t, host.NewBrowser(t), s.Acme, disabled.Authorize("data:read"), "data:read")
	for _, n := range s.Nodes { // every node has everything in memory
		if answer := at(t, n, disabled, disabled.RefreshForm(tokens.Refresh).Encode()); answer.Status != http.StatusOK {
			t.Fatalf("before the change: %d %s", answer.Status, answer.Raw)
		}
	}
	policy := func(n *host.Node) host.Answer {
		r, err := http.NewRequestWithContext(context.Background(), http.MethodGet,
			n.URL+"/i/"+s.Acme.Environment+"/resources/"+s.Acme.ResourceID+"/policy", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = hostOf(t, s.URL)
		return host.Do(t, r)
	}
	before := policy(s.Nodes[0]).Header.Get("ETag")

	draft, err := s.Resources.Get(s.Acme.Operator(), s.Acme.ResourceID)
	if err != nil {
		t.Fatal(err)
	}
	edited := draft.Scopes[0]
	edited.Title = "Ask your data"
	if _, err := s.Resources.UpdateScope(s.Acme.Operator(), s.Acme.ResourceID, edited); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Resources.Publish(s.Acme.Operator(), s.Acme.ResourceID, ""); err != nil {
		t.Fatal(err)
	}
	err = s.DB.Pipe(s.Acme.Context(), func(b *pgx.Batch) {
		b.Queue(`update clients set disabled_at = now() where id = $1`, disabled.ID)
		b.Queue(`select pg_notify('ostiary_environment', $1)`, s.Acme.ID+" "+s.Acme.EnvironmentID)
	})
	if err != nil {
		t.Fatal(err)
	}
	return map[string]func(n *host.Node) bool{
		"the published policy": func(n *host.Node) bool { return policy(n).Header.Get("ETag") != before },
		"the disabled client": func(n *host.Node) bool {
			return at(t, n, disabled, disabled.RefreshForm(tokens.Refresh).Encode()).Str("error") == "invalid_client"
		},
	}
}

func TestNodes_ChangesAreSeenByAll(t *testing.T) {
	t.Parallel()
	s := host.New(t, host.WithNodes(3), host.WithIssuers(host.PathForm))
	for what, seen := range changes(t, s) {
		for _, n := range s.Nodes {
			eventually(t, what, func() bool { return seen(n) })
		}
	}
}

// Notifications are a convenience: without them every node is right within the refresh interval.
func TestNodes_LostNotificationsCostAMinute(t *testing.T) {
	t.Parallel()
	s := host.New(t, host.WithNodes(3), host.WithIssuers(host.PathForm))
	eventually(t, "the listeners", func() bool {
		return count(t, s, s.Acme, "pg_stat_activity where datname = current_database() and query ilike 'listen %'") == 3
	})
	s.Cable.Deafen()
	all := changes(t, s)
	for range 5 { // what was heard before may still be acted upon
		if !heard(s, all) {
			break
		}
		all = changes(t, s)
	}
	if heard(s, all) {
		t.Fatal("a node heard of it: the test proves nothing")
	}
	s.Clock.Advance(61 * time.Second)
	for what, seen := range all {
		for i, n := range s.Nodes {
			if !seen(n) {
				t.Errorf("node %d serves %s as it was a minute ago", i, what)
			}
		}
	}
}

func heard(s *host.Stack, all map[string]func(n *host.Node) bool) bool {
	for _, seen := range all {
		if slices.ContainsFunc(s.Nodes, seen) {
			return true
		}
	}
	return false
}

// A node that is told to stop says so while it still serves, and ends connections by agreement.
func TestNodes_SayThatTheyGoBeforeTheyGo(t *testing.T) {
	t.Parallel()
	s := host.New(t, host.WithNodes(2), host.WithDrainDelay(10*time.Second))
	ask := func(path string) (status int, closes bool) {
		r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, s.Nodes[0].URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := host.Transport().RoundTrip(r)
		if err != nil {
			return 0, false
		}
		defer answer.Body.Close()
		return answer.StatusCode, answer.Close
	}
	if status, closes := ask("/readyz"); status != http.StatusNoContent || closes {
		t.Fatalf("before: %d, closes %v", status, closes)
	}
	var stopping sync.WaitGroup
	stopping.Go(func() { s.Nodes[0].Stop(t) })
	eventually(t, "the word that it goes", func() bool { status, _ := ask("/readyz"); return status == http.StatusServiceUnavailable })
	if status, closes := ask("/healthz"); status != http.StatusNoContent || !closes {
		t.Errorf("while it goes: %d, closes %v", status, closes)
	}
	stopping.Wait()
	if status, _ := ask("/healthz"); status != 0 {
		t.Errorf("it answers after its end: %d", status)
	}
}

// A rolling deployment under load: every node is replaced while hosts refresh, read and connect and users sign in and decide. No
// request fails, no grant is lost.
func TestNodes_RollingRestartDropsNothing(t *testing.T) {
	t.Parallel()
	s := host.New(t, host.WithNodes(2), host.WithDrainDelay(2*time.Second))
	l := newLoad(t, s, 6)
	l.start()
	l.connecting(t, s)
	for round := range 4 {
		s.Replace(t, round%2)
	}
	l.end(t)
	if failed := s.Edge.Failed.Load(); failed != 0 {
		t.Errorf("%d requests found no node", failed)
	}
	l.alive(t)
	if l.arrived.Load() == 0 || l.redeemed.Load() == l.arrived.Load() {
		t.Errorf("%d codes were redeemed, %d of them after a sign-in", l.redeemed.Load(), l.arrived.Load())
	}
	t.Logf("%d requests during four restarts", l.requests.Load())
}
