//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// mcp-remote bridges a stdio client to a remote server and does OAuth on its own. The stdio side is spoken by the Go SDK.
func TestClients_MCPRemote(t *testing.T) {
	t.Parallel()
	eachWay(t, remoteJourney)
}

func remoteJourney(t *testing.T, c *client) {
	connect := c.remote()
	p := c.server.authorize(t, c.next(t), approveOnly(allowedScope))
	expectConsent(t, p, c.clientName("MCP CLI Proxy"))
	session := connect()
	if result, err := callTool(session, allowedTool); err != nil || result.IsError {
		t.Errorf("%s: %v, %+v", allowedTool, err, result)
	}
	session.Close()

	// An hour later: the stored access token is refused, and the refresh needs no person.
	before := c.editTokens(func(tokens map[string]any) { tokens["access_token"] = "expired" })
	session = c.remote()()
	if result, err := callTool(session, allowedTool); err != nil || result.IsError {
		t.Errorf("%s after the refresh: %v, %+v", allowedTool, err, result)
	}
	c.none(t)
	if after := c.editTokens(nil); after["refresh_token"] == before["refresh_token"] {
		t.Error("the refresh token was not rotated")
	}

	// The refused tool: mcp-remote asks the person for the union, who denies.
	failed := make(chan error, 1)
	go func() {
		_, err := callTool(session, refusedTool)
		failed <- err
	}()
	stepUp := c.next(t)
	if wanted := requestedScopes(t, stepUp); !slices.Contains(wanted, refusedScope) {
		t.Errorf("the step-up asks for %q, not for %s", wanted, refusedScope)
	}
	tb := c.server.newTab(t)
	redirect := tb.decide(tb.toConsent(stepUp), choice{})
	if got := redirect.Query().Get("error"); got != "access_denied" {
		t.Errorf("error=%q, want access_denied", got)
	}
	if err := <-failed; err == nil {
		t.Errorf("%s answered", refusedTool)
	}
	c.expectJourney()
}

// remote starts mcp-remote and returns a function that waits for its session.
func (c *client) remote() func() *mcp.ClientSession {
	c.t.Helper()
	cmd := c.node(filepath.Join(shared.modules, "mcp-remote", "dist", "proxy.js"),
		c.server.MCPURL, "--enable-proxy", "--auth-timeout", "60")
	cmd.Args = append(cmd.Args, c.flag("--client-metadata-url")...)
	cmd.Env = append(cmd.Env, "MCP_REMOTE_CONFIG_DIR="+c.home)
	type result struct {
		session *mcp.ClientSession
		err     error
	}
	done := make(chan result, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), clientTimeout)
		defer cancel()
		host := mcp.NewClient(&mcp.Implementation{Name: "ostiary-e2e", Version: "1.0.0"}, nil)
		session, err := host.Connect(ctx, &mcp.CommandTransport{Command: cmd}, nil)
		done <- result{session, err}
	}()
	return func() *mcp.ClientSession {
		c.t.Helper()
		r := <-done
		if r.err != nil {
			c.t.Fatalf("mcp-remote: %v\nwhat passed:\n%s", r.err, c.recorder)
		}
		c.t.Cleanup(func() { r.session.Close() })
		return r.session
	}
}

// editTokens reads the tokens that mcp-remote stored, lets change edit them, and returns what they were.
func (c *client) editTokens(change func(map[string]any)) map[string]any {
	c.t.Helper()
	files, err := filepath.Glob(filepath.Join(c.home, "mcp-remote-v1", "*_tokens.json"))
	if err != nil || len(files) != 1 {
		c.t.Fatalf("mcp-remote stored %q, want one token file (%v)", files, err)
	}
	return editJSON(c.t, files[0], change)
}

// editJSON returns the object in a file as it was, after change has edited the file.
func editJSON(t *testing.T, file string, change func(map[string]any)) map[string]any {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	read := func() map[string]any {
		var object map[string]any
		if err := json.Unmarshal(content, &object); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		return object
	}
	before := read()
	if change == nil {
		return before
	}
	after := read()
	change(after)
	edited, err := json.Marshal(after)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, edited, 0o600); err != nil {
		t.Fatal(err)
	}
	return before
}

func callTool(session *mcp.ClientSession, name string) (*mcp.CallToolResult, error) {
	ctx, cancel := context.WithTimeout(context.Background(), clientTimeout)
	defer cancel()
	return session.CallTool(ctx, &mcp.CallToolParams{Name: name, Arguments: json.RawMessage(toolArguments[name])})
}
