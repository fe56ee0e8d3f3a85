//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// suite is what all tests of one run share. It is written by TestMain only.
type suite struct {
	dir       string // removed at the end
	artifacts string // kept: screenshots and logs
	binary    string // ostiary
	goClient  string // e2e/clients/gosdk
	chromium  string
	node      string
	modules   string  // node_modules of e2e/clients
	server    *server // the first of ways
	ways      []way

	authority  *authority
	privateKey string // file of the key that the client at keyedDocumentURL has
	browser    *browser
}

var shared suite

func TestMain(m *testing.M) {
	if socket := os.Getenv(openerEnv); socket != "" && len(os.Args) == 2 {
		os.Exit(relayURL(socket, os.Args[1]))
	}
	os.Exit(runSuite(m))
}

func runSuite(m *testing.M) int {
	if err := shared.setUp(); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		shared.tearDown()
		return 1
	}
	code := m.Run()
	if err := shared.tearDown(); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	return code
}

func (s *suite) setUp() error {
	var err error
	if s.dir, err = os.MkdirTemp("", "ostiary-e2e-"); err != nil {
		return err
	}
	// As root, Postgres runs under another user and must be able to walk to its data.
	if err := os.Chmod(s.dir, 0o755); err != nil {
		return err
	}
	if err := s.findTools(); err != nil {
		return err
	}
	if s.artifacts = os.Getenv("OSTIARY_E2E_ARTIFACTS"); s.artifacts == "" {
		s.artifacts = filepath.Join(s.dir, "artifacts")
	}
	if s.artifacts, err = filepath.Abs(s.artifacts); err != nil {
		return err
	}
	if err := os.MkdirAll(s.artifacts, 0o755); err != nil {
		return err
	}
	if err := s.build(); err != nil {
		return err
	}
	if s.authority, err = newAuthority(filepath.Join(s.dir, "authority.pem")); err != nil {
		return err
	}
	if err := s.startWays(); err != nil {
		return err
	}
	s.browser, err = startBrowser(s.chromium)
	return err
}

func (s *suite) tearDown() error {
	if s.browser != nil {
		s.browser.stop()
	}
	err := s.stopWays()
	if s.dir != "" {
		err = firstError(err, os.RemoveAll(s.dir))
	}
	return err
}

func (s *suite) findTools() error {
	modules, err := filepath.Abs(filepath.Join("clients", "node_modules"))
	if err != nil {
		return err
	}
	s.modules = modules
	s.node = filepath.Join(modules, "node", "bin", "node")
	if _, err := os.Stat(s.node); err != nil {
		return fmt.Errorf("the official clients are not installed: run e2e/setup.sh")
	}
	s.chromium = os.Getenv("OSTIARY_E2E_CHROMIUM")
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable",
		"/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"} {
		if s.chromium != "" {
			return nil
		}
		if path, err := exec.LookPath(name); err == nil {
			s.chromium = path
		}
	}
	if s.chromium == "" {
		return fmt.Errorf("no Chromium: run e2e/setup.sh or set OSTIARY_E2E_CHROMIUM")
	}
	return nil
}

// build compiles the server and the Go client, unless OSTIARY_E2E_BINARY names a server to test.
func (s *suite) build() error {
	s.goClient = filepath.Join(s.dir, "gosdk")
	targets := map[string]string{s.goClient: "./clients/gosdk"}
	if s.binary = os.Getenv("OSTIARY_E2E_BINARY"); s.binary == "" {
		s.binary = filepath.Join(s.dir, "ostiary")
		targets[s.binary] = "../cmd/ostiary"
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	for out, pkg := range targets {
		cmd := exec.CommandContext(ctx, "go", "build", "-o", out, pkg)
		if text, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w\n%s", pkg, err, strings.TrimSpace(string(text)))
		}
	}
	return nil
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
