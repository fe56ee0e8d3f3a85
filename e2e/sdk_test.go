//go:build e2e

package e2e

import (
	"bufio"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// event is a line that the scripts in e2e/clients print.
type event struct {
	Step  string `json:"step"`  // called, refreshed, refused, done
	Text  string `json:"text"`  // of the tool's answer
	Error string `json:"error"` // as the SDK reports it

	Scope  string         `json:"scope"`  // granted
	Claims map[string]any `json:"claims"` // of an id_token, or userinfo
}

// events runs a script and returns a function that waits for its next line.
func events(t *testing.T, cmd *exec.Cmd) func(step string) event {
	t.Helper()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := make(chan event, 16)
	go func() {
		defer close(lines)
		scanner := bufio.NewScanner(stdout)
		for scanner.Scan() {
			var e event
			if json.Unmarshal(scanner.Bytes(), &e) == nil {
				lines <- e
			}
		}
		if err := cmd.Wait(); err != nil {
			lines <- event{Step: "failed", Error: err.Error()}
		}
	}()
	return func(step string) event {
		t.Helper()
		select {
		case e := <-lines:
			if e.Step != step {
				t.Fatalf("expected the client to be %q, it says %+v", step, e)
			}
			return e
		case <-time.After(clientTimeout):
			t.Fatalf("the client was not %q within %s", step, clientTimeout)
			return event{}
		}
	}
}

// The first TypeScript SDK never asks the person again after a 403.
func TestClients_SDKsStopAtTheStepUpChallenge(t *testing.T) {
	t.Parallel()
	eachWay(t, stopJourney)
}

func stopJourney(t *testing.T, c *client) {
	next := events(t, c.node(script("sdk1.mjs"), c.server.MCPURL, c.documentOrNone()))
	p := c.server.authorize(t, c.next(t), approveOnly(allowedScope))
	expectConsent(t, p, c.clientName("Ostiary e2e"))
	called := next("called")
	next("refreshed")
	c.none(t)
	refused := next("refused")
	if refused.Error == "" || called.Text == "" {
		t.Errorf("called %+v, refused %+v", called, refused)
	}
	next("done")
	c.none(t)
	c.expectJourney()
}

// The second TypeScript SDK and the Go SDK ask again for the union of permissions after a 403: once the person agrees, the
// tool answers.
func TestClients_SDKsStepUp(t *testing.T) {
	t.Parallel()
	for name, command := range map[string]func(*client) *exec.Cmd{
		"TypeScript 2, protocol 2025": func(c *client) *exec.Cmd {
			return c.node(script("sdk2.mjs"), c.server.MCPURL, "legacy", "seg_growth", c.documentOrNone())
		},
		"TypeScript 2, protocol 2026": func(c *client) *exec.Cmd {
			return c.node(script("sdk2.mjs"), c.server.MCPURL, "auto", "seg_risk", c.documentOrNone())
		},
		"Go": func(c *client) *exec.Cmd {
			return c.command(shared.goClient, c.server.MCPURL, c.recorder.url, "seg_enterprise", c.documentOrNone())
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachWay(t, func(t *testing.T, c *client) { stepUpJourney(t, c, command(c)) })
		})
	}
}

func stepUpJourney(t *testing.T, c *client, command *exec.Cmd) {
	t.Helper()
	next := events(t, command)
	p := c.server.authorize(t, c.next(t), approveOnly(allowedScope))
	expectConsent(t, p, c.clientName("Ostiary e2e"))
	if called := next("called"); called.Text == "" {
		t.Error("the tool answered nothing")
	}
	next("refreshed")

	stepUp := c.next(t)
	wanted := requestedScopes(t, stepUp)
	if !slices.Contains(wanted, refusedScope) || !slices.Contains(wanted, allowedScope) {
		t.Errorf("the step-up asks for %q, not for the union", wanted)
	}
	p = c.server.authorize(t, stepUp, approveOnly(allowedScope, refusedScope))
	expectConsent(t, p, c.clientName("Ostiary e2e"))
	if called := next("called"); called.Text == "" {
		t.Error("the tool answered nothing after the step-up")
	}
	next("done")
	c.expectJourney()
}

// A person who denies: every SDK gets access_denied instead of a code.
func TestClients_DeniedConsentEndsInAccessDenied(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	next := events(t, c.node(script("sdk2.mjs"), c.server.MCPURL, "legacy", "seg_growth", ""))
	tb := c.server.newTab(t)
	redirect := tb.decide(tb.toConsent(c.next(t)), choice{})
	if got := redirect.Query().Get("error"); got != "access_denied" {
		t.Errorf("error=%q, want access_denied", got)
	}
	if refused := next("denied"); refused.Error == "" {
		t.Error("the client reported no error")
	}
	next("done")
}

func script(name string) string { return filepath.Join(filepath.Dir(shared.modules), name) }
