//go:build linux || darwin

package apptest

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/ostiary/ostiary/app/db"
	"github.com/ostiary/ostiary/app/postgres"
)

// Private is a Postgres server of one test's own, as durable as in production, for tests that stop and kill it.
type Private struct {
	DB     // a database with the shipped migrations
	dir    string
	server *postgres.Server
}

// NewPrivate starts a server whose data are in dir, or in memory when dir is empty. It ends with the test.
func NewPrivate(t testing.TB, dir string) *Private {
	t.Helper()
	if dir == "" {
		dir = scratch(t)
	}
	p := &Private{dir: filepath.Join(dir, "postgres")}
	t.Cleanup(func() { p.Stop(t) })
	p.Start(t)
	roles, err := p.server.EnsureRoles(t.Context(), "ostiary")
	if err == nil {
		p.DB = DB(roles)
		err = db.Migrate(t.Context(), p.OwnerURL)
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// scratch returns a directory that the unprivileged user of a root's server can reach: t.TempDir is closed to others.
func scratch(t testing.TB) string {
	t.Helper()
	base := ""
	if isRoomyMemory(memoryDir) {
		base = memoryDir
	}
	dir, err := os.MkdirTemp(base, "ostiary-private-")
	if err == nil {
		t.Cleanup(func() { os.RemoveAll(dir) }) //nolint:errcheck // scratch
		err = os.Chmod(dir, 0o711)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// AdminURL returns the URL of the server's superuser.
func (p *Private) AdminURL() string { return p.server.AdminURL() }

// Start starts the server after Stop or Kill, at the same address.
func (p *Private) Start(t testing.TB) {
	t.Helper()
	server, err := postgres.Start(context.Background(), postgres.Options{DataDir: p.dir, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatalf("apptest: %v", err)
	}
	p.server = server
}

// Stop shuts the server down in order: sessions are ended, data are written. It may be repeated.
func (p *Private) Stop(t testing.TB) {
	t.Helper()
	if p.server == nil {
		return
	}
	if err := p.server.Stop(context.Background()); err != nil {
		t.Errorf("apptest: %v", err)
	}
}

// Kill ends the server with SIGKILL, as a crash of its machine does.
func (p *Private) Kill(t testing.TB) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(p.dir, "data", "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(content), "\n")
	pid, err := strconv.Atoi(first)
	if err == nil {
		err = syscall.Kill(pid, syscall.SIGKILL)
	}
	if err != nil {
		t.Fatal(err)
	}
	<-p.server.Done()
	p.Stop(t) // lets go of the directory
}

// Done is closed when the server has ended.
func (p *Private) Done() <-chan struct{} { return p.server.Done() }
