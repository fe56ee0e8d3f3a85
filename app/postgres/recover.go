//go:build linux || darwin

package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/ostiary/ostiary/app/errs"
)

// recover clears what a predecessor left when it died: we hold the lock, so nobody else uses the cluster. A server still
// running is stopped (not adopted: it may be of an older release or have other settings), then a lock file that would stop
// the next one is removed.
func (h *home) recover(ctx context.Context, log *slog.Logger) error {
	pids, err := serverProcesses(h.pgdata())
	if err != nil {
		return fmt.Errorf("look for a server left running: %w", err)
	}
	if len(pids) > 0 {
		log.WarnContext(ctx, "stopping a Postgres server left running by a process that died", "processes", len(pids))
		if err := h.stopLeftovers(ctx, pids); err != nil {
			return err
		}
	}
	return h.removeStalePidFile()
}

// stopLeftovers ends every process of the server: in order, by way of its postmaster, if there still is one. Without it
// nothing can be saved that the log does not hold, and a busy process would not notice for long that it is alone.
func (h *home) stopLeftovers(ctx context.Context, pids []int) error {
	if postmaster, _ := h.readPidFile(); slices.Contains(pids, postmaster) {
		signal([]int{postmaster}, syscall.SIGINT)
		var err error
		if pids, err = h.awaitNoProcess(ctx, orderlyWait); err != nil {
			return err
		}
	}
	for _, s := range []syscall.Signal{syscall.SIGQUIT, syscall.SIGKILL} {
		signal(pids, s)
		var err error
		if pids, err = h.awaitNoProcess(ctx, immediateWait); err != nil {
			return err
		}
	}
	if len(pids) > 0 {
		return errs.New(errs.Unavailable, fmt.Sprintf("A Postgres server left running on %s does not end.", h.dir))
	}
	return nil
}

// awaitNoProcess polls until no process is left or the wait is over, and returns those that are left.
func (h *home) awaitNoProcess(ctx context.Context, wait time.Duration) ([]int, error) {
	deadline := time.NewTimer(wait)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		pids, err := serverProcesses(h.pgdata())
		if err != nil {
			return nil, fmt.Errorf("look for a server left running: %w", err)
		}
		if len(pids) == 0 {
			return nil, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-deadline.C:
			return pids, nil
		case <-tick.C:
		}
	}
}

// removeStalePidFile removes postmaster.pid where Postgres would take it for that of a living server: when the number now
// belongs to some other process, as it easily does in a container, or when a crash of the machine left it empty. In all
// other cases Postgres decides, and checks for shared memory still in use besides.
func (h *home) removeStalePidFile() error {
	pid, err := h.readPidFile()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && !alive(pid) {
		return nil
	}
	if err == nil && mayServe(pid) {
		return errs.New(errs.Conflict,
			fmt.Sprintf("Process %d may be a Postgres server on %s: stop it, or remove %s.", pid, h.dir, h.pidFile()))
	}
	if err := os.Remove(h.pidFile()); err != nil {
		return fmt.Errorf("remove stale lock file: %w", err)
	}
	return nil
}

func (h *home) pidFile() string { return filepath.Join(h.pgdata(), "postmaster.pid") }

// readPidFile returns the first line of postmaster.pid.
func (h *home) readPidFile() (int, error) {
	content, err := os.ReadFile(h.pidFile())
	if err != nil {
		return 0, err
	}
	first, _, _ := strings.Cut(string(content), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(first))
	if err != nil || pid <= 0 {
		return 0, fmt.Errorf("postmaster.pid: no process id")
	}
	return pid, nil
}

// alive reports whether some process has the id, a zombie included, as Postgres itself asks it.
func alive(pid int) bool {
	err := syscall.Kill(pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}

// signal is best effort: a process that has just ended is what we want.
func signal(pids []int, s syscall.Signal) {
	for _, pid := range pids {
		syscall.Kill(pid, s) //nolint:errcheck,gosec // see above
	}
}

// parseLsof returns the processes whose directory is dir from `lsof -Fpn`: a line "p<pid>" for each process, then for each
// of its files a line "n<name>".
func parseLsof(out, dir string) []int {
	var (
		pids    []int
		current int
	)
	for line := range strings.Lines(out) {
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(line, "p"):
			current, _ = strconv.Atoi(line[1:]) //nolint:errcheck // zero matches nothing below
		case line == "n"+dir && current > 0:
			pids = append(pids, current)
			current = 0
		}
	}
	return pids
}
