//go:build linux || darwin

package postgres_test

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ostiary/ostiary/app/postgres"
)

// parentEnv makes the test binary a process that starts a server on the named data directory and then waits to be killed.
const parentEnv = "OSTIARY_POSTGRES_TEST_PARENT"

func TestMain(m *testing.M) {
	if dir := os.Getenv(parentEnv); dir != "" {
		os.Exit(parent(dir))
	}
	code := m.Run()
	if err := os.RemoveAll(filepath.Dir(pristine())); err != nil {
		fmt.Println("remove scratch cluster:", err)
	}
	os.Exit(code)
}

// pristine is a data directory whose cluster was started and stopped once.
var pristine = sync.OnceValue(func() string {
	dir, err := os.MkdirTemp("", "ostiary-postgres-test-")
	if err != nil {
		panic(err)
	}
	if err := os.Chmod(dir, 0o711); err != nil {
		panic(err)
	}
	home := filepath.Join(dir, "postgres")
	server, err := postgres.Start(context.Background(), postgres.Options{DataDir: home, Fast: true})
	if err == nil {
		err = server.Stop(context.Background())
	}
	if err != nil {
		panic(err)
	}
	return home
})

func parent(dir string) int {
	server, err := postgres.Start(context.Background(), postgres.Options{DataDir: dir, Fast: true})
	if err != nil {
		fmt.Println("failed:", err)
		return 1
	}
	fmt.Println("ready", server.AdminURL())
	<-server.Done()
	return 0
}

// startParent runs parent in a process of its own and returns that process and the URL of its server.
func startParent(t *testing.T, dir string) (*exec.Cmd, string) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), parentEnv+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill() //nolint:errcheck // it may have been killed by the test
		cmd.Wait()         //nolint:errcheck // killed
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("parent process: %v", err)
	}
	url, ok := strings.CutPrefix(strings.TrimSpace(line), "ready ")
	if !ok {
		t.Fatalf("parent process: %s", line)
	}
	return cmd, url
}

// dataDir returns a directory that the unprivileged user of a root's server can reach: t.TempDir is closed to others.
func dataDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ostiary-postgres-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) }) //nolint:errcheck // scratch
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "postgres")
}

// cluster returns a data directory with a cluster in it, as initdb left it: a copy is quicker than initdb.
func cluster(t *testing.T) string {
	t.Helper()
	dir := dataDir(t)
	if out, err := exec.Command("cp", "-a", pristine(), dir).CombinedOutput(); err != nil {
		t.Fatalf("copy cluster: %v: %s", err, out)
	}
	return dir
}

func startServer(t *testing.T, opts postgres.Options) *postgres.Server {
	t.Helper()
	opts.Logger = slog.New(slog.NewTextHandler(testWriter{t}, nil))
	server, err := postgres.Start(context.Background(), opts)
	if err != nil {
		t.Fatalf("Start: %v", err)
	}
	t.Cleanup(func() { stopServer(t, server) })
	return server
}

func stopServer(t *testing.T, server *postgres.Server) {
	t.Helper()
	if err := server.Stop(context.Background()); err != nil {
		t.Errorf("Stop: %v", err)
	}
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(line []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(line)))
	return len(line), nil
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), url)
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) }) //nolint:errcheck // the server may be gone
	return conn
}

func exec1(t *testing.T, url, sql string) {
	t.Helper()
	conn := connect(t, url)
	if _, err := conn.Exec(context.Background(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	conn.Close(context.Background()) //nolint:errcheck // done
}

func queryText(t *testing.T, url, sql string) string {
	t.Helper()
	conn := connect(t, url)
	defer conn.Close(context.Background()) //nolint:errcheck // only read
	var text string
	if err := conn.QueryRow(context.Background(), sql).Scan(&text); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return text
}

// postmaster returns the process id of the server on a data directory.
func postmaster(t *testing.T, dir string) int {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(dir, "data", "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(content), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// eventually polls until the condition holds.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	for !condition() {
		select {
		case <-deadline.C:
			t.Fatalf("%s: not within a minute", what)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func gone(pid int) bool { return syscall.Kill(pid, 0) != nil }
