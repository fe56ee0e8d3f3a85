//go:build linux || darwin

package apptest

import (
	"os"
	"sync/atomic"
	"testing"
)

// current is how tests find what Main made: package testing passes no value from TestMain to a test.
var current atomic.Pointer[kit]

// Main runs the package's tests and exits. It is the whole of a TestMain, because the same binary is also the supervisor
// of the shared server.
func Main(m *testing.M) {
	if dir := os.Getenv(superviseEnv); dir != "" {
		os.Exit(supervise(dir, os.Getenv(idleEnv)))
	}
	k := &kit{}
	current.Store(k)
	code := m.Run()
	k.close()
	os.Exit(code)
}

// acquire returns the package's kit, connected.
func acquire(t testing.TB) *kit {
	t.Helper()
	k := current.Load()
	if k == nil {
		t.Fatal("apptest: the package needs func TestMain(m *testing.M) { apptest.Main(m) }")
	}
	if err := k.connect(t.Context()); err != nil {
		t.Fatalf("apptest: %v", err)
	}
	return k
}
