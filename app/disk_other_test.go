//go:build !linux

package app_test

import "testing"

// smallDisk needs Linux.
func smallDisk(t *testing.T, _ int) (dir string, ok bool) {
	t.Helper()
	return "", false
}
