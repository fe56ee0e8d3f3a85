//go:build linux || darwin

package postgres_test

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/postgres"
)

func TestServer_RestartKeepsDataAndPasswords(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	first := startServer(t, postgres.Options{DataDir: dir, Fast: true})
	exec1(t, first.AdminURL(), `create table kept as select 'kept' as word`)
	stopServer(t, first)
	stopServer(t, first) // may be repeated
	select {
	case <-first.Done():
	default:
		t.Error("Done is open after Stop")
	}

	second := startServer(t, postgres.Options{DataDir: dir, Fast: true})
	if got := queryText(t, second.AdminURL(), `select word from kept`); got != "kept" {
		t.Errorf("after a restart: %q", got)
	}
	if first.AdminURL() != second.AdminURL() {
		t.Error("the URL changed with the restart")
	}
	if second.Version == "" || second.Source != postgres.System {
		t.Errorf("version %q, source %q", second.Version, second.Source)
	}
	info, err := os.Stat(filepath.Join(dir, "credentials.json"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("credentials.json: %v, %v", info.Mode(), err)
	}
}

func TestServer_IsSetUpForDevelopment(t *testing.T) {
	t.Parallel()
	server := startServer(t, postgres.Options{DataDir: cluster(t)})
	for expression, want := range map[string]string{
		`current_setting('data_checksums')`: "on", `current_setting('server_encoding')`: "UTF8",
		`current_setting('listen_addresses')`: "", `current_setting('timezone')`: "UTC", `current_setting('fsync')`: "on",
		`(select datcollate from pg_database where datname = 'template1')`: "C",
	} {
		if got := queryText(t, server.AdminURL(), `select `+expression); got != want {
			t.Errorf("%s = %q, want %q", expression, got, want)
		}
	}
	_, after, _ := strings.Cut(server.AdminURL(), "@")
	if conn, err := pgx.Connect(context.Background(), "postgres://postgres:guess@"+after); err == nil {
		conn.Close(context.Background()) //nolint:errcheck // the test has failed
		t.Error("a wrong password is let in")
	}
}

func TestServer_CancelledContextStopsIt(t *testing.T) {
	t.Parallel()
	dir := cluster(t)
	ctx, cancel := context.WithCancel(context.Background())
	server, err := postgres.Start(ctx, postgres.Options{DataDir: dir, Fast: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stopServer(t, server) })
	cancel()
	<-server.Done()
	stopServer(t, server) // waits for the lock to be free
	startServer(t, postgres.Options{DataDir: dir, Fast: true})
}

func TestServer_SecondStartOnOneDirectoryIsRefused(t *testing.T) {
	t.Parallel()
	dir := cluster(t)
	startServer(t, postgres.Options{DataDir: dir, Fast: true})
	_, err := postgres.Start(context.Background(), postgres.Options{DataDir: dir})
	if !errs.Is(err, errs.Conflict) {
		t.Fatalf("second Start: %v, want a conflict", err)
	}
	if text := err.Error(); strings.Contains(text, "\n") || !strings.Contains(text, "pid "+strconv.Itoa(os.Getpid())) {
		t.Errorf("the message is not one line that names the holder: %q", text)
	}
	if err := postgres.Reset(context.Background(), postgres.Options{DataDir: dir}); !errs.Is(err, errs.Conflict) {
		t.Errorf("Reset under a running server: %v, want a conflict", err)
	}
}

func TestServer_KilledPostmasterIsRecovered(t *testing.T) {
	t.Parallel()
	dir := cluster(t)
	first := startServer(t, postgres.Options{DataDir: dir})
	exec1(t, first.AdminURL(), `create table kept as select 'kept' as word`)
	// A session that is busy does not notice that its postmaster died: the next start has to end it.
	busy := connect(t, first.AdminURL())
	go busy.Exec(context.Background(), `do $$ begin loop end loop; end $$`) //nolint:errcheck // cut off
	eventually(t, "busy session", func() bool {
		return queryText(t, first.AdminURL(),
			`select count(*)::text from pg_stat_activity where query like 'do $$%' and state = 'active'`) == "1"
	})
	if err := syscall.Kill(postmaster(t, dir), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-first.Done()
	stopServer(t, first)

	second := startServer(t, postgres.Options{DataDir: dir})
	if got := queryText(t, second.AdminURL(), `select word from kept`); got != "kept" {
		t.Errorf("after a crash: %q", got)
	}
}

func TestServer_KilledParentIsRecovered(t *testing.T) {
	t.Parallel()
	dir := cluster(t)
	process, url := startParent(t, dir)
	exec1(t, url, `create table kept as select 'kept' as word`)
	pid := postmaster(t, dir)
	if err := process.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	process.Wait() //nolint:errcheck // killed

	// At once: the orphan is still shutting down (Linux) or running on (elsewhere).
	server := startServer(t, postgres.Options{DataDir: dir, Fast: true})
	if got := queryText(t, server.AdminURL(), `select word from kept`); got != "kept" {
		t.Errorf("after the parent was killed: %q", got)
	}
	if postmaster(t, dir) == pid {
		t.Error("the server is still the orphan")
	}
}

func TestServer_DiesWithItsParent(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		return // only Linux tells a child; elsewhere the next start stops it
	}
	dir := cluster(t)
	process, _ := startParent(t, dir)
	pid := postmaster(t, dir)
	if err := process.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	process.Wait() //nolint:errcheck // killed
	eventually(t, "end of the server", func() bool {
		_, err := os.Stat(filepath.Join(dir, "data", "postmaster.pid")) // removed by an orderly shutdown only
		return gone(pid) || os.IsNotExist(err)
	})
}

func TestServer_StalePidFileOfALivingProcessIsRemoved(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{
		"number in use by another process": strconv.Itoa(os.Getppid()) + "\n/elsewhere\n",
		"empty after a crash":              "",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := cluster(t)
			stopServer(t, startServer(t, postgres.Options{DataDir: dir, Fast: true}))
			if err := os.WriteFile(filepath.Join(dir, "data", "postmaster.pid"), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			startServer(t, postgres.Options{DataDir: dir, Fast: true})
		})
	}
}

func TestServer_InterruptedInitIsMadeAnew(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	if err := os.MkdirAll(filepath.Join(dir, "data.unfinished", "base"), 0o700); err != nil {
		t.Fatal(err)
	}
	startServer(t, postgres.Options{DataDir: dir, Fast: true})
}

func TestServer_ListensOnThePortAskedFor(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := net.SplitHostPort(listener.Addr().String())
	port, _ := strconv.Atoi(text)
	dir := cluster(t)
	_, err = postgres.Start(context.Background(), postgres.Options{DataDir: dir, Port: port})
	if !errs.Is(err, errs.Conflict) {
		t.Errorf("a taken port: %v, want a conflict", err)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	startServer(t, postgres.Options{DataDir: dir, Port: port, Fast: true})
	conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", text))
	if err != nil {
		t.Fatalf("no one listens on the port: %v", err)
	}
	conn.Close() //nolint:errcheck // only looked
}

func TestServer_LongPathsStillHaveASocket(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(dataDir(t), strings.Repeat("long", 30), "with space")
	server := startServer(t, postgres.Options{DataDir: dir, Fast: true})
	exec1(t, server.AdminURL(), `select 1`)
}

// For root's unprivileged server t.TempDir is out of reach, as everything below /root is; for others it is just a directory.
func TestServer_StartsAlsoWhereItsAccountCannotGo(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "closed")
	first := startServer(t, postgres.Options{DataDir: dir, Fast: true})
	used := filepath.Dir(queryText(t, first.AdminURL(), `select current_setting('data_directory')`))
	t.Cleanup(func() { os.RemoveAll(used) })
	if os.Geteuid() == 0 && !strings.HasPrefix(used, "/var/lib/ostiary/") {
		t.Errorf("root's data are in %s", used)
	}
	exec1(t, first.AdminURL(), `create table kept as select 'kept' as word`)
	stopServer(t, first)

	second := startServer(t, postgres.Options{DataDir: dir, Fast: true})
	if got := queryText(t, second.AdminURL(), `select word from kept`); got != "kept" {
		t.Errorf("after a restart: %q", got)
	}
}

func TestReset_RemovesTheData(t *testing.T) {
	t.Parallel()
	dir := cluster(t)
	first := startServer(t, postgres.Options{DataDir: dir, Fast: true})
	exec1(t, first.AdminURL(), `create table gone (id int)`)
	stopServer(t, first)
	if err := postgres.Reset(context.Background(), postgres.Options{DataDir: dir}); err != nil {
		t.Fatal(err)
	}
	second := startServer(t, postgres.Options{DataDir: dir, Fast: true})
	if got := queryText(t, second.AdminURL(), `select coalesce(to_regclass('gone')::text, 'none')`); got != "none" {
		t.Errorf("after Reset the table is %q", got)
	}
	if first.AdminURL() == second.AdminURL() {
		t.Error("Reset kept the password")
	}
}

// What root's server keeps elsewhere for a directory goes once that directory is gone: never before, never under a running
// server, and nothing beside it. For others there is nothing elsewhere, and nothing to remove.
func TestReset_OfADirectoryThatIsGoneTouchesOnlyWhatWasKeptForIt(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "closed")
	reset := func() error { return postgres.Reset(context.Background(), postgres.Options{DataDir: dir}) }
	if err := reset(); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() != 0 {
		return
	}
	server := startServer(t, postgres.Options{DataDir: dir, Fast: true})
	used := filepath.Dir(queryText(t, server.AdminURL(), `select current_setting('data_directory')`))
	neighbour := used + "-neighbour"
	t.Cleanup(func() { os.RemoveAll(used); os.RemoveAll(neighbour) })
	kept := []string{filepath.Join(neighbour, "data", "PG_VERSION"), filepath.Join(used, "notes.txt")}
	for _, file := range kept {
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(dir); err != nil { // empty: everything is elsewhere
		t.Fatal(err)
	}
	if err := reset(); !errs.Is(err, errs.Conflict) {
		t.Errorf("under a running server: %v, want a conflict", err)
	}
	stopServer(t, server)
	for range 2 { // the second finds nothing
		if err := reset(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(filepath.Join(used, "data")); !os.IsNotExist(err) {
		t.Errorf("the cluster is still there: %v", err)
	}
	for _, file := range kept {
		if _, err := os.Stat(file); err != nil {
			t.Errorf("what is not the cluster's is gone: %v", err)
		}
	}
}

func TestStart_ConfiguredServerIsUsedAndLeftRunning(t *testing.T) {
	t.Parallel()
	running := startServer(t, postgres.Options{DataDir: cluster(t), Fast: true})
	server, err := postgres.Start(context.Background(), postgres.Options{
		URL: running.AdminURL(), OwnerPassword: "an owner's", AppPassword: "an app's",
	})
	if err != nil {
		t.Fatal(err)
	}
	if server.Source != postgres.Configured || server.Version != running.Version {
		t.Errorf("server = %q %q", server.Source, server.Version)
	}
	if server.AdminURL() != running.AdminURL() {
		t.Error("the URL is not the configured one")
	}
	roles, err := server.EnsureRoles(context.Background(), "ostiary")
	if err != nil {
		t.Fatal(err)
	}
	stopServer(t, server)
	if got := queryText(t, roles.AppURL, `select current_user::text`); got != postgres.AppRole {
		t.Errorf("app role = %q", got)
	}
}

func TestStart_RefusesOptionsThatCannotWork(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string]postgres.Options{
		"nothing named":      {},
		"not a Postgres URL": {URL: "mysql://localhost/x"},
	} {
		if _, err := postgres.Start(context.Background(), opts); !errs.Is(err, errs.Invalid) {
			t.Errorf("%s: %v, want invalid", name, err)
		}
	}
	_, err := postgres.Start(context.Background(), postgres.Options{URL: "postgres://u:secretword@127.0.0.1:1/x"})
	if !errs.Is(err, errs.Unavailable) || strings.Contains(err.Error(), "secretword") {
		t.Errorf("a server that is not there: %v", err)
	}
}

// What root's server keeps elsewhere for a directory outlives it once: who finds the directory again can bring it back.
func TestSetAside_KeepsWhatADirectoryThatIsGoneLeft(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "closed")
	var log bytes.Buffer
	setAside := func() error {
		return postgres.SetAside(context.Background(), postgres.Options{DataDir: dir, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	}
	if err := setAside(); err != nil || log.Len() > 0 {
		t.Fatalf("%v, %s", err, &log)
	}
	if os.Geteuid() != 0 {
		return // for others nothing is elsewhere
	}
	start := func() (server *postgres.Server, used string) {
		server = startServer(t, postgres.Options{DataDir: dir, Fast: true})
		return server, filepath.Dir(queryText(t, server.AdminURL(), `select current_setting('data_directory')`))
	}
	leave := func(word string) (used string) {
		server, used := start()
		t.Cleanup(func() { os.RemoveAll(used); os.RemoveAll(used + ".aside"); os.RemoveAll(used + ".new") })
		exec1(t, server.AdminURL(), `create table said as select '`+word+`' as word`)
		if err := setAside(); err != nil || log.Len() > 0 {
			t.Errorf("the directory is there: %v, %s", err, &log)
		}
		if err := os.Remove(dir); err != nil {
			t.Fatal(err)
		}
		if err := setAside(); !errs.Is(err, errs.Conflict) {
			t.Errorf("under a running server: %v, want a conflict", err)
		}
		stopServer(t, server)
		return used
	}
	for _, word := range []string{"first", "second"} {
		used := leave(word)
		for range 2 { // the second finds nothing, and leaves what is kept
			if err := setAside(); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := os.Stat(used); !os.IsNotExist(err) {
			t.Errorf("the cluster of %s is still in use: %v", word, err)
		}
		if !strings.Contains(log.String(), used+".aside") {
			t.Errorf("nobody is told where it is: %s", &log)
		}
		log.Reset()
	}
	used := leave("third")
	if err := postgres.Reset(context.Background(), postgres.Options{DataDir: dir}); err != nil {
		t.Fatal(err)
	}
	for _, move := range [][2]string{{used, used + ".new"}, {used + ".aside", used}} {
		if err := os.Rename(move[0], move[1]); err != nil {
			t.Fatal(err)
		}
	}
	server, _ := start()
	if got := queryText(t, server.AdminURL(), `select word from said`); got != "second" {
		t.Errorf("brought back: %q", got)
	}
}
