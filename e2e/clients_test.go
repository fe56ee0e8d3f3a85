//go:build e2e

package e2e

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// clientTimeout bounds every wait for a client. mcp-remote alone waits 30 s for a sign-in; a slow machine takes its time.
const clientTimeout = 2 * time.Minute

// The demo tenant's tools and permissions that the journeys use.
const (
	allowedTool  = "run_query"
	allowedScope = "data:read"
	refusedTool  = "delete_segment"
	refusedScope = "segments:delete"
)

// toolArguments are what the two tools need. Whoever really deletes a segment takes one of its own.
var toolArguments = map[string]string{
	allowedTool: `{"dataset":"accounts"}`,
	refusedTool: `{"segment_id":"seg_dach"}`,
}

// client is a released MCP client as a subprocess, with a home of its own.
type client struct {
	t    *testing.T
	home string
	way
	*recorder
	*opener
}

// newClient is a client that registers at the server everybody shares.
func newClient(t *testing.T) *client {
	t.Helper()
	return way{server: shared.server}.newClient(t)
}

func (w way) newClient(t *testing.T) *client {
	t.Helper()
	return &client{t: t, home: t.TempDir(), way: w, recorder: newRecorder(t), opener: newOpener(t)}
}

func (c *client) env(more ...string) []string {
	// No DISPLAY: xdg-open must ask $BROWSER.
	return slices.Concat([]string{"HOME=" + c.home, "LANG=C.UTF-8"}, c.recorder.env(), c.opener.env(), shared.authority.env(), more)
}

// command prepares a client. Its standard error goes to a file among the artifacts.
func (c *client) command(name string, args ...string) *exec.Cmd {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*clientTimeout)
	c.t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = c.home
	cmd.Env = c.env()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	logName := strings.ReplaceAll(c.t.Name(), "/", "-") + ".log"
	log, err := os.OpenFile(filepath.Join(shared.artifacts, logName), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { log.Close() })
	cmd.Stderr = log
	return cmd
}

// node prepares a script of e2e/clients, or of an npm package, on the Node 22 that npm brought.
func (c *client) node(script string, args ...string) *exec.Cmd {
	c.t.Helper()
	return c.command(shared.node, append([]string{script}, args...)...)
}

// expectJourney checks from outside what a client's whole journey must have shown: a 401 that names the metadata, a code
// redeemed for the resource, a tool called, one refresh, and a 403 that says which permission a refused tool needs.
func (c *client) expectJourney() {
	c.t.Helper()
	mcp := c.server.MCPURL
	steps := []struct {
		what  string
		match func(exchange) bool
	}{
		{"a 401 with resource_metadata", func(e exchange) bool {
			return e.URL == mcp && e.Status == 401 && strings.HasPrefix(e.Challenge, "Bearer ") &&
				strings.Contains(e.Challenge, `resource_metadata="`)
		}},
		{"a code redeemed for the resource", func(e exchange) bool {
			return e.Grant == "authorization_code" && e.Status == 200 && e.Resource == mcp
		}},
		{"a refresh", func(e exchange) bool { return e.Grant == "refresh_token" && e.Status == 200 }},
		{"an answer from " + allowedTool, func(e exchange) bool { return e.Tool == allowedTool && e.Status == 200 }},
		{"a step-up challenge for " + refusedTool, func(e exchange) bool {
			return e.Tool == refusedTool && e.Status == 403 && strings.HasPrefix(e.Challenge, "Bearer ") &&
				strings.Contains(e.Challenge, `error="insufficient_scope"`) &&
				slices.Contains(strings.Fields(challengeScope(e.Challenge)), refusedScope)
		}},
	}
	for _, step := range steps {
		if c.count(step.match) == 0 {
			c.t.Errorf("the client never saw %s", step.what)
		}
	}
	registered := c.count(func(e exchange) bool { return e.Method == http.MethodPost && strings.HasSuffix(e.URL, "/register") })
	if (registered > 0) == c.document {
		c.t.Errorf("the client registered %d times; it has a document: %t", registered, c.document)
	}
	if n := c.count(func(e exchange) bool { return e.Status >= 500 }); n > 0 {
		c.t.Errorf("%d answers were server errors", n)
	}
	if c.t.Failed() {
		c.t.Logf("what passed:\n%s", c.recorder)
	}
}

// challengeScope returns the scope attribute of a challenge.
func challengeScope(challenge string) string {
	_, rest, _ := strings.Cut(challenge, `scope="`)
	value, _, _ := strings.Cut(rest, `"`)
	return value
}

// expectConsent checks what every consent page of a journey must say.
func expectConsent(t *testing.T, p consentPage, clientName string) {
	t.Helper()
	if !strings.Contains(p.Text, "localhost") && !strings.Contains(p.Text, "127.0.0.1") {
		t.Errorf("the consent page does not say where it leads:\n%s", p.Text)
	}
	if !strings.Contains(p.Text, clientName) {
		t.Errorf("the consent page does not name %q:\n%s", clientName, p.Text)
	}
	if box, ok := p.box(refusedScope); ok && box.Checked {
		t.Errorf("%s is destructive and ticked beforehand", refusedScope)
	}
}
