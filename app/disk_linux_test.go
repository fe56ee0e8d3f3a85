package app_test

import (
	"fmt"
	"os"
	"syscall"
	"testing"
)

// smallDisk makes a file system of this many bytes. It takes root; ok is false for anybody else.
func smallDisk(t *testing.T, size int) (dir string, ok bool) {
	t.Helper()
	dir, err := os.MkdirTemp("", "ostiary-disk-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(dir) })
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d,mode=0711", size)); err != nil {
		t.Logf("no small disk (%v): the full disk is simulated", err)
		return "", false
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
	return dir, true
}
