//go:build linux || darwin

package postgres

import (
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/ostiary/ostiary/app/errs"
)

// account is the user the server runs as.
type account struct {
	uid, gid int
	name     string
}

// childAccount returns who runs the server: ourselves, or as root the owner of an existing cluster, else an unprivileged
// user of the system.
func childAccount(pgdata string) (account, error) {
	self := account{uid: os.Geteuid(), gid: os.Getegid()}
	owner, exists := ownerOf(pgdata)
	if self.uid != 0 {
		if exists && owner != self.uid {
			return account{}, errs.New(errs.Conflict,
				fmt.Sprintf("The data in %s belong to another user (uid %d).", pgdata, owner))
		}
		return self, nil
	}
	names := []string{"postgres", "_postgres", "nobody"}
	if exists && owner != 0 {
		if u, err := user.LookupId(strconv.Itoa(owner)); err == nil {
			names = []string{u.Username}
		}
	}
	for _, name := range names {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.Atoi(u.Uid)
		gid, gidErr := strconv.Atoi(u.Gid)
		if uidErr == nil && gidErr == nil && uid != 0 {
			return account{uid: uid, gid: gid, name: name}, nil
		}
	}
	return account{}, errs.New(errs.Invalid,
		`Postgres refuses to run as root, and there is no user "postgres" or "nobody" to run it as.`)
}

// switches reports whether the account is not ours.
func (a account) switches() bool { return a.uid != os.Geteuid() }

// credential returns what makes a child process run as the account; nil when it is ours.
func (a account) credential() *syscall.Credential {
	if !a.switches() {
		return nil
	}
	return &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid)} //nolint:gosec // ids come from the system
}

// own gives a file to the account.
func (a account) own(path string) error {
	if !a.switches() {
		return nil
	}
	return os.Lchown(path, a.uid, a.gid)
}

// canEnter reports whether the account may pass through dir and everything above it.
func (a account) canEnter(dir string) bool {
	for {
		info, err := os.Stat(dir)
		if err != nil || !a.canPass(info) {
			return false
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return true
		}
		dir = parent
	}
}

// canPass goes by the mode bits alone. An access list can only make it wrong in a way that initdb then reports.
func (a account) canPass(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || a.uid == 0 {
		return ok
	}
	mode := info.Mode().Perm()
	switch {
	case int(stat.Uid) == a.uid:
		return mode&0o100 != 0
	case int(stat.Gid) == a.gid:
		return mode&0o010 != 0
	default:
		return mode&0o001 != 0
	}
}

// ownerOf returns the owner of what is at path, not following a symbolic link.
func ownerOf(path string) (uid int, exists bool) {
	info, err := os.Lstat(path)
	if err != nil {
		return 0, false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(stat.Uid), true
}
