//go:build e2e

package e2e

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// openerEnv names the socket to which this very test binary, run as xdg-open, hands the URL it was asked to open.
const openerEnv = "OSTIARY_E2E_OPENER"

// opener stands where a desktop's browser would: clients open a URL and it arrives here.
type opener struct {
	dir  string
	sock string
	urls chan string
}

func newOpener(t *testing.T) *opener {
	t.Helper()
	// Not t.TempDir: a socket's path must stay under 108 bytes.
	dir, err := os.MkdirTemp(shared.dir, "open")
	if err != nil {
		t.Fatal(err)
	}
	o := &opener{dir: dir, sock: filepath.Join(dir, "s"), urls: make(chan string, 8)}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"xdg-open", "open", "browser"} {
		if err := os.Symlink(self, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	listener, err := net.Listen("unix", o.sock)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go o.serve(listener)
	return o
}

func (o *opener) serve(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		line, err := bufio.NewReader(conn).ReadString('\n')
		conn.Close()
		if err == nil {
			o.urls <- strings.TrimSpace(line)
		}
	}
}

// env makes a client open its URLs here: through $BROWSER, which the xdg-open inside the npm package `open` asks, or
// through a command found in PATH.
func (o *opener) env() []string {
	return []string{
		openerEnv + "=" + o.sock,
		"BROWSER=" + filepath.Join(o.dir, "browser"),
		"PATH=" + o.dir + string(os.PathListSeparator) + os.Getenv("PATH"),
	}
}

// next waits for the URL that a client opens.
func (o *opener) next(t *testing.T) string {
	t.Helper()
	select {
	case u := <-o.urls:
		return u
	case <-time.After(clientTimeout):
		t.Fatalf("the client opened no browser within %s", clientTimeout)
		return ""
	}
}

// none fails when a URL was opened that nobody waited for: a refresh must not need the person.
func (o *opener) none(t *testing.T) {
	t.Helper()
	select {
	case <-o.urls:
		t.Error("the client opened a browser again")
	default:
	}
}

// relayURL is what the test binary does when a client runs it as xdg-open.
func relayURL(socket, target string) int {
	conn, err := net.DialTimeout("unix", socket, 5*time.Second)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer conn.Close()
	if _, err := fmt.Fprintln(conn, target); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
