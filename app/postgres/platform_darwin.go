package postgres

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// childAttr puts a child in its own process group, so a terminal's signals reach it only through us. Nothing tells the
// child here that we were killed: it runs on, and the next start stops it.
func childAttr(credential *syscall.Credential, _ syscall.Signal) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Credential: credential}
}

// serverProcesses returns the Postgres processes that work in the data directory. Every one of them, the postmaster
// included, makes it its working directory.
func serverProcesses(pgdata string) ([]int, error) {
	cmd := exec.Command("lsof", "-w", "-a", "-c", "postgres", "-d", "cwd", "-Fpn")
	cmd.Env = append(os.Environ(), "LC_ALL=en_US.UTF-8") // or it escapes what is not ASCII
	out, err := cmd.Output()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) { // it also fails when it finds nothing
		return nil, fmt.Errorf("run lsof: %w", err)
	}
	return parseLsof(string(out), pgdata), nil
}

// mayServe reports whether a process that serverProcesses did not find could still be a server of ours. lsof spells
// unusual paths in its own way, and a second server on one cluster would destroy it.
func mayServe(pid int) bool {
	out, err := exec.Command("ps", "-o", "comm=", "-p", strconv.Itoa(pid)).Output() //nolint:gosec // a number
	return err == nil && strings.Contains(string(out), "postgres")
}
