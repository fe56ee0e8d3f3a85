//go:build unix

package report

import (
	"os"
	"syscall"
)

// lockFile opens a file that only one process may hold; the system lets go of it when the process ends, however it ends.
func lockFile(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // in the directory the operator named
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil { //nolint:gosec // a small number
		_ = file.Close() // nothing was written
		return nil, err
	}
	return file, nil
}

// unlockFile frees the lock. Closing alone would not while a child that was just forked still has the file, until it execs.
func unlockFile(file *os.File) {
	_ = syscall.Flock(int(file.Fd()), syscall.LOCK_UN) //nolint:gosec // a small number; closing frees it as well, only later
	_ = file.Close()                                   // nothing was written
}
