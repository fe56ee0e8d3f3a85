//go:build e2e

package e2e

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// MCP Inspector's command line: one process per call, tokens kept between them.
func TestClients_InspectorCLI(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	callback := fmt.Sprintf("http://127.0.0.1:%d/oauth/callback", freePort(t))

	first := c.inspect(callback, allowedTool)
	p := authorize(t, c.next(t), approveOnly(allowedScope))
	expectConsent(t, p, "MCP Inspector")
	if out, err := first(); err != nil {
		t.Fatalf("%s: %v\n%s", allowedTool, err, out)
	}

	// An hour later: the stored access token is refused, and the refresh needs no person.
	expired := expireStored(t, filepath.Join(c.home, "secrets.json"))
	if out, err := c.inspect(callback, allowedTool)(); err != nil {
		t.Errorf("%s after the refresh: %v\n%s", allowedTool, err, out)
	}
	c.none(t)
	if content, err := os.ReadFile(filepath.Join(c.home, "secrets.json")); err != nil || bytes.Equal(content, expired) {
		t.Errorf("the refreshed tokens were not stored (%v)", err)
	}

	out, err := c.inspect(callback, refusedTool)()
	if err == nil {
		t.Errorf("%s answered: %s", refusedTool, out)
	}
	c.expectJourney()
}

// inspect starts the Inspector for one call and returns a function that waits for its output.
func (c *client) inspect(callback, tool string) func() (string, error) {
	c.t.Helper()
	launcher := filepath.Join("@modelcontextprotocol", "inspector", "clients", "launcher", "build", "index.js")
	cmd := c.node(filepath.Join(shared.modules, launcher), "--cli", "--server-url", shared.server.MCPURL, "--transport", "http",
		"--format", "json", "--callback-url", callback,
		"--method", "tools/call", "--tool-name", tool, "--tool-args-json", toolArguments)
	cmd.Env = append(cmd.Env, "MCP_AUTO_OPEN_ENABLED=true", "MCP_STORAGE_DIR="+c.home, "MCP_INSPECTOR_SECRET_STORE=file",
		"MCP_CATALOG_PATH="+filepath.Join(c.home, "catalog.json"))
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	return func() (string, error) {
		err := cmd.Wait()
		return strings.TrimSpace(out.String() + "\n" + log.String()), err
	}
}

// storedAccessToken finds one in the file of secrets, where it is JSON within a JSON string.
var storedAccessToken = regexp.MustCompile(`(\\?"access_token\\?":\s*\\?")[^"\\]+`)

// expireStored replaces the stored access token by one that the server refuses, and returns what the file is then.
func expireStored(t *testing.T, file string) []byte {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	expired := storedAccessToken.ReplaceAll(content, []byte("${1}expired"))
	if bytes.Equal(expired, content) {
		t.Fatal("the Inspector stored no access token")
	}
	if err := os.WriteFile(file, expired, 0o600); err != nil {
		t.Fatal(err)
	}
	return expired
}
