package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/ostiary/ostiary/app/apptest/host"
	"github.com/ostiary/ostiary/oauth/attemptlog"
)

// attempts runs the command against a stack.
func attempts(t *testing.T, s *host.Stack, o attemptsOptions) (string, error) {
	t.Helper()
	s.App.Attempts().Flush(t.Context())
	var out bytes.Buffer
	err := showAttempts(operator(t.Context()), s.App, o, &out)
	return out.String(), err
}

func TestAttempts_PrintsListCaseAndJSON(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	acme := attemptsOptions{environmentFlags: environmentFlags{tenant: s.Acme.Slug}}
	out, err := attempts(t, s, acme)
	if err != nil || !strings.Contains(out, "Nobody has tried to connect") {
		t.Fatalf("empty: %q, %v", out, err)
	}
	a := s.Register(t, s.Acme, nil).Authorize()
	a.Params.Set("redirect_uri", "https://evil.example/cb")
	host.NewBrowser(t).Open(t, a.URL())
	out, err = attempts(t, s, acme)
	if err != nil || !strings.Contains(out, "authorize refused: redirect_uri_unknown") || !strings.Contains(out, "Test host") {
		t.Fatalf("list: %q, %v", out, err)
	}
	acme.json = true
	out, err = attempts(t, s, acme)
	var found attemptlog.Attempt
	if err != nil || json.Unmarshal([]byte(out), &found) != nil || found.Last.Reason != "redirect_uri_unknown" {
		t.Fatalf("JSON: %q, %v", out, err)
	}
	acme.json, acme.caseID = false, strings.ToLower(found.CaseID)
	out, err = attempts(t, s, acme)
	for _, want := range []string{"register", "https://evil.example/cb", host.Redirect, "Register this address", "(app)"} {
		if err != nil || !strings.Contains(out, want) {
			t.Errorf("case: no %q in %q, %v", want, out, err)
		}
	}
	for name, o := range map[string]attemptsOptions{
		"there is no tenant":              {environmentFlags: environmentFlags{tenant: "nobody"}},
		"name one of its environments":    {environmentFlags: environmentFlags{tenant: s.Acme.Slug, environment: s.Neighbour.Environment}},
		"no attempt with this case id":    {environmentFlags: environmentFlags{tenant: s.Neighbour.Slug}, caseID: found.CaseID},
		"no attempt with this case id. A": {environmentFlags: environmentFlags{tenant: s.Acme.Slug}, caseID: "nonsense"},
	} {
		if out, err := attempts(t, s, o); err == nil || !strings.Contains(err.Error(), name) || out != "" {
			t.Errorf("%s: %q, %v", name, out, err)
		}
	}
}

// written collects lines until somebody has seen enough.
type written struct {
	lines chan string
}

func (w written) Write(p []byte) (int, error) {
	w.lines <- string(p)
	return len(p), nil
}

func TestAttempts_FollowsStepsAsTheyHappen(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	ctx, stop := context.WithTimeout(t.Context(), 2*time.Minute)
	defer stop()
	out, done := written{make(chan string, 64)}, make(chan error, 1)
	go func() {
		done <- showAttempts(operator(ctx), s.App, attemptsOptions{environmentFlags: environmentFlags{tenant: s.Acme.Slug}, follow: true, json: true}, out)
	}()
	var seen []string
	for len(seen) < 2 {
		select {
		case line := <-out.lines:
			seen = append(seen, line)
		case <-time.After(100 * time.Millisecond): // until the follower has begun, nothing is printed: try again
			host.PostForm(t, s.Acme.Issuer+"/token", url.Values{"grant_type": {"nonsense"}, "client_id": {"nobody"}})
		case <-ctx.Done():
			t.Fatalf("printed %q", seen)
		}
	}
	stop()
	if err := <-done; err != nil {
		t.Errorf("following ended with %v", err)
	}
	var step attemptlog.Step
	if err := json.Unmarshal([]byte(seen[0]), &step); err != nil || step.Kind != attemptlog.KindToken {
		t.Errorf("printed %q", seen[0])
	}
	if seen[0] == seen[1] {
		t.Error("a step was printed twice")
	}
}
