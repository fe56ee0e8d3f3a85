//go:build e2e

package e2e

import (
	"bufio"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The MCP project's own conformance suite against our issuers: their metadata, and a code grant through the browser.
func TestConformance_AuthorizationServer(t *testing.T) {
	t.Parallel()
	path, host := shared.ways[0], shared.ways[2]
	for form, s := range map[string]*server{"path": path.server, "host": host.server, "custom domain": host.custom()} {
		t.Run(form, func(t *testing.T) {
			t.Parallel()
			conform(t, way{server: s}.newClient(t))
		})
	}
}

func conform(t *testing.T, c *client) {
	t.Helper()
	port := freePort(t)
	id := registerAt(t, c.server.Issuer, "http://127.0.0.1:"+strconv.Itoa(port)+"/callback")
	results := filepath.Join(c.home, "results")
	cmd := c.node(filepath.Join(shared.modules, "@modelcontextprotocol", "conformance", "dist", "index.js"),
		"authorization", "--url", c.server.Issuer, "--client-id", id, "--port", strconv.Itoa(port),
		"--output-dir", results)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	authorizeURL := make(chan string, 1)
	output := make(chan string, 1)
	go func() {
		var all strings.Builder
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			all.WriteString(lines.Text() + "\n")
			line := strings.TrimSpace(lines.Text())
			if strings.HasPrefix(line, c.server.Issuer+"/") && strings.Contains(line, "code_challenge=") {
				authorizeURL <- line
			}
		}
		output <- all.String()
	}()
	select {
	case u := <-authorizeURL:
		c.server.authorize(t, u, choice{approve: true})
	case all := <-output:
		t.Fatalf("the suite ended before it asked for a browser:\n%s", all)
	case <-time.After(clientTimeout):
		t.Fatal("the suite asked for no browser")
	}
	all := <-output
	if err := cmd.Wait(); err != nil {
		t.Errorf("the suite failed (%v):\n%s", err, all)
	}
	expectChecks(t, results, all)
}

// expectChecks reads the suite's result files: both scenarios there, no check failed or skipped.
func expectChecks(t *testing.T, dir, output string) {
	t.Helper()
	passed := map[string]bool{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.Name() != "checks.json" {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		var checks []struct {
			ID           string `json:"id"`
			Status       string `json:"status"`
			ErrorMessage string `json:"errorMessage"`
		}
		if err := json.Unmarshal(content, &checks); err != nil {
			return err
		}
		for _, check := range checks {
			switch check.Status {
			case "SUCCESS":
				passed[check.ID] = true
			case "INFO":
			case "WARNING": // the suite counts it as passed
				t.Logf("%s: %s", check.ID, check.ErrorMessage)
			default:
				t.Errorf("%s: %s: %s", check.ID, check.Status, check.ErrorMessage)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, wanted := range []string{"authorization-server-metadata", "authorization-code-grant"} {
		if !passed[wanted] {
			t.Errorf("%s did not pass; passed: %v\n%s", wanted, passed, output)
		}
	}
}
