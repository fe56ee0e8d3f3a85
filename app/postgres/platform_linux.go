package postgres

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// childAttr puts a child in its own process group, so a terminal's signals reach it only through us, and has the kernel
// send it onDeath when the thread that started it ends. See start for what that asks of the thread.
func childAttr(credential *syscall.Credential, onDeath syscall.Signal) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Credential: credential, Pdeathsig: onDeath}
}

// serverProcesses returns the Postgres processes that work in the data directory. Every one of them, the postmaster
// included, makes it its working directory. A zombie has none and is not counted.
func serverProcesses(pgdata string) ([]int, error) {
	links, err := filepath.Glob("/proc/[0-9]*/cwd")
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, link := range links {
		// Unreadable means another user's, or gone meanwhile: not a server of ours.
		if dir, err := os.Readlink(link); err != nil || dir != pgdata {
			continue
		}
		proc := filepath.Dir(link)
		name, err := os.ReadFile(filepath.Join(proc, "comm")) //nolint:gosec // below /proc
		if err != nil || !bytes.HasPrefix(name, []byte("postgres")) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(proc)); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// mayServe reports whether a process that serverProcesses did not find could still be a server of ours: here it cannot.
func mayServe(int) bool { return false }
