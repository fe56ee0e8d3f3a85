//go:build e2e

package e2e

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	// A first start may fetch Postgres; later ones take about a second.
	serverStartTimeout = 2 * time.Minute
	serverStopTimeout  = 30 * time.Second
)

// credentials are a demo sign-in.
type credentials struct {
	Email    string `json:"email"`
	Password string `json:"password"`
}

// ready is the line that `ostiary dev --json` prints.
type ready struct {
	DashboardURL string      `json:"dashboard_url"`
	Issuer       string      `json:"issuer"`
	MCPURL       string      `json:"mcp_url"`
	Member       credentials `json:"member"`
	User         credentials `json:"user"`
}

// server is a running `ostiary dev`.
type server struct {
	ready
	cmd    *exec.Cmd
	log    *os.File
	exited chan error
	once   *sync.Once
}

// start says how to run a server.
type start struct {
	dataDir, logFile string
	args, env        []string // besides the usual ones
	user             uint32   // whom it runs as; 0 is whoever runs the tests
}

// startServer runs the binary on free ports and returns when it says that it is ready.
func startServer(binary string, o start) (*server, error) {
	// As root, Postgres runs as another user, who must be able to walk through to its data.
	if err := os.MkdirAll(o.dataDir, 0o755); err != nil {
		return nil, err
	}
	log, err := os.Create(o.logFile)
	if err != nil {
		return nil, err
	}
	base := []string{"dev", "--json", "--port", "0", "--mcp-port", "0", "--data-dir", o.dataDir}
	cmd := exec.Command(binary, append(base, o.args...)...)
	cmd.Stderr, cmd.Env = log, append(os.Environ(), o.env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a Ctrl-C for the tests must not race our own SIGINT
	if o.user != 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: o.user, Gid: o.user}
		if err := os.Chown(o.dataDir, int(o.user), int(o.user)); err != nil {
			return nil, err
		}
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &server{cmd: cmd, log: log, exited: make(chan error, 1), once: new(sync.Once)}
	line := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(stdout)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			select {
			case line <- lines.Text():
			default: // only the first line is the contract
			}
		}
		s.exited <- cmd.Wait()
	}()
	select {
	case text := <-line:
		if err := json.Unmarshal([]byte(text), &s.ready); err != nil {
			return nil, firstError(fmt.Errorf("dev --json printed %q: %w", text, err), s.stop())
		}
		if err := s.check(); err != nil {
			return nil, firstError(fmt.Errorf("dev --json printed %q: %w", text, err), s.stop())
		}
		return s, nil
	case err := <-s.exited:
		s.exited <- err
		err = firstError(err, errors.New("it exited with 0"))
		return nil, fmt.Errorf("dev ended before it was ready, see %s:\n%s\n%w", o.logFile, tail(o.logFile), err)
	case <-time.After(serverStartTimeout):
		return nil, firstError(fmt.Errorf("dev was not ready after %s, see %s", serverStartTimeout, o.logFile), s.stop())
	}
}

func (s *server) check() error {
	for name, value := range map[string]string{
		"dashboard_url": s.DashboardURL, "issuer": s.Issuer, "mcp_url": s.MCPURL, "member.email": s.Member.Email,
		"member.password": s.Member.Password, "user.email": s.User.Email, "user.password": s.User.Password,
	} {
		if value == "" {
			return fmt.Errorf("%s is missing", name)
		}
	}
	for _, raw := range []string{s.DashboardURL, s.Issuer, s.MCPURL} {
		if u, err := url.Parse(raw); err != nil || !isHere(u.Hostname()) || u.Port() == "" {
			return fmt.Errorf("%q is not on a port of localhost", raw)
		}
	}
	return nil
}

// isHere reports whether a host is this machine, names below localhost included.
func isHere(host string) bool {
	return host == "localhost" || host == "127.0.0.1" || strings.HasSuffix(host, ".localhost")
}

// stop ends the server as Ctrl-C does, and returns an error unless it ended cleanly in time.
func (s *server) stop() error {
	var err error
	s.once.Do(func() {
		defer s.log.Close()
		if err = s.cmd.Process.Signal(os.Interrupt); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return
		}
		select {
		case err = <-s.exited:
			if err != nil {
				err = fmt.Errorf("dev did not end cleanly after Ctrl-C: %w", err)
			}
		case <-time.After(serverStopTimeout):
			err = firstError(fmt.Errorf("dev did not end within %s of Ctrl-C", serverStopTimeout), s.cmd.Process.Kill())
		}
	})
	return err
}

// kill ends the server as a crash does, and leaves its Postgres to be recovered.
func (s *server) kill(t *testing.T) {
	t.Helper()
	s.once.Do(func() {
		defer s.log.Close()
		if err := s.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		<-s.exited
	})
}

// tail returns the last lines of a file, for a failure message.
func tail(file string) string {
	content, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(content)), "\n")
	return strings.Join(lines[max(0, len(lines)-20):], "\n")
}
