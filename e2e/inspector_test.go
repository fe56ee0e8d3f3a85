//go:build e2e

package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// MCP Inspector's command line: one process per call, tokens kept between them.
func TestClients_InspectorCLI(t *testing.T) {
	t.Parallel()
	eachWay(t, inspectorJourney)
}

func inspectorJourney(t *testing.T, c *client) {
	callback := fmt.Sprintf("http://127.0.0.1:%d/oauth/callback", freePort(t))

	first := c.inspect(callback, allowedTool)
	p := c.server.authorize(t, c.next(t), approveOnly(allowedScope))
	expectConsent(t, p, c.clientName("MCP Inspector"))
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

	// The Inspector calls only what the server lists, and the gate does not list what was not allowed.
	out, err := c.inspect(callback, refusedTool)()
	if err == nil || !strings.Contains(out, "tool_not_found") {
		t.Errorf("%s: %v: %s", refusedTool, err, out)
	}
	c.callWithStoredToken(refusedTool)
	c.expectJourney()
}

// inspect starts the Inspector for one call and returns a function that waits for its output.
func (c *client) inspect(callback, tool string) func() (string, error) {
	c.t.Helper()
	launcher := filepath.Join("@modelcontextprotocol", "inspector", "clients", "launcher", "build", "index.js")
	cmd := c.node(filepath.Join(shared.modules, launcher), "--cli", "--server-url", c.server.MCPURL, "--transport", "http",
		"--format", "json", "--callback-url", callback,
		"--method", "tools/call", "--tool-name", tool, "--tool-args-json", toolArguments[tool])
	cmd.Args = append(cmd.Args, c.flag("--client-metadata-url")...)
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
var storedAccessToken = regexp.MustCompile(`(\\?"access_token\\?":\s*\\?")([^"\\]+)`)

// callWithStoredToken makes the call that the Inspector does not make, with the Inspector's own token.
func (c *client) callWithStoredToken(tool string) {
	c.t.Helper()
	content, err := os.ReadFile(filepath.Join(c.home, "secrets.json"))
	if err != nil {
		c.t.Fatal(err)
	}
	found := storedAccessToken.FindStringSubmatch(string(content))
	proxy, err := url.Parse(c.recorder.url)
	if err != nil || found == nil {
		c.t.Fatalf("no stored access token (%v)", err)
	}
	body := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"` + tool + `","arguments":` +
		toolArguments[tool] + `}}`
	request, err := http.NewRequest(http.MethodPost, c.server.MCPURL, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+found[2])
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/json, text/event-stream")
	response, err := (&http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(proxy)}}).Do(request)
	if err != nil {
		c.t.Fatal(err)
	}
	response.Body.Close()
}

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
