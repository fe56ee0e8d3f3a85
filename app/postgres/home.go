//go:build linux || darwin

package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/secret"
)

const (
	socketPort = 5432 // names the socket file; no TCP port
	// maxSocketPath is the shortest limit of the systems we run on (macOS: 104 bytes with the closing NUL).
	maxSocketPath = 103
	maxLogBytes   = 8 << 20
	maxTailBytes  = 2 << 10
)

// home is the directory that holds everything of one server, and the lock that makes it ours.
type home struct {
	dir     string
	account account
	lock    *os.File

	logStart int64 // size of the log when the server was started
}

func (h *home) pgdata() string      { return filepath.Join(h.dir, "data") }
func (h *home) unfinished() string  { return filepath.Join(h.dir, "data.unfinished") }
func (h *home) credentials() string { return filepath.Join(h.dir, "credentials.json") }
func (h *home) logFile() string     { return filepath.Join(h.dir, "postgres.log") }

// openHome makes and locks the directory. Errors: Conflict when another process has it.
func openHome(ctx context.Context, opts Options) (*home, error) {
	dir, err := filepath.Abs(opts.DataDir)
	if err != nil {
		return nil, fmt.Errorf("locate data directory: %w", err)
	}
	account, err := childAccount(filepath.Join(dir, "data"))
	if err != nil {
		return nil, err
	}
	dir, err = reachable(ctx, dir, account, opts.Logger)
	if err != nil {
		return nil, err
	}
	h := &home{dir: dir, account: account}
	if owner, exists := ownerOf(h.pgdata()); exists && owner != account.uid {
		// The fallback directory of root has its own history.
		if h.account, err = childAccount(h.pgdata()); err != nil {
			return nil, err
		}
	}
	if h.lock, err = lockFile(filepath.Join(dir, "lock")); err != nil {
		return nil, err
	}
	return h, nil
}

// reachable makes dir, or for a child that could not get there another one keyed by it, and returns its real path: the
// server's processes are recognized by it.
func reachable(ctx context.Context, dir string, account account, log *slog.Logger) (string, error) {
	if err := makeDir(dir, account); err != nil {
		return "", errs.Wrap(errs.Invalid, fmt.Sprintf("The data directory %s cannot be made.", dir), err)
	}
	path, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return "", fmt.Errorf("locate data directory: %w", err)
	}
	if account.canEnter(path) {
		return path, nil
	}
	fallback := elsewhere(path)
	for _, d := range []string{filepath.Dir(fallback), fallback} {
		if err := makeDir(d, account); err != nil {
			return "", errs.Wrap(errs.Invalid,
				fmt.Sprintf("User %q, who runs Postgres for root, cannot enter %s.", account.name, dir), err)
		}
	}
	log.InfoContext(ctx, "root's Postgres runs as a user who cannot reach the data directory; its data live elsewhere",
		"user", account.name, "data_dir", dir, "used", fallback)
	return filepath.EvalSymlinks(fallback)
}

// elsewhere is the directory that stands in for one that root's unprivileged server cannot reach.
func elsewhere(path string) string { return filepath.Join("/var/lib/ostiary", shortHash(path)) }

// makeDir makes a directory for us alone. One that another account has to pass through stays closed to reading.
func makeDir(dir string, account account) error {
	if !account.switches() {
		return os.MkdirAll(dir, 0o700)
	}
	if err := os.MkdirAll(dir, 0o711); err != nil { //nolint:gosec // G301: traversable on purpose, not readable
		return err
	}
	info, err := os.Stat(dir)
	if err != nil || account.canPass(info) {
		return err
	}
	if owner, _ := ownerOf(dir); owner != os.Geteuid() {
		return nil // not ours to open
	}
	return os.Chmod(dir, info.Mode().Perm()|0o011)
}

// lockFile takes an exclusive lock that the kernel frees when we die. Children do not inherit it.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) //nolint:gosec // our own file
	if err != nil {
		return nil, errs.Wrap(errs.Invalid,
			fmt.Sprintf("The data directory %s is not ours to write.", filepath.Dir(path)), err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		holder, _ := os.ReadFile(path) //nolint:gosec,errcheck // best effort: the number only helps the message
		f.Close()                      //nolint:errcheck // nothing was written
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock data directory: %w", err)
		}
		return nil, errs.New(errs.Conflict, fmt.Sprintf("The data directory %s is in use by another process (pid %s).",
			filepath.Dir(path), strings.TrimSpace(string(holder))))
	}
	if err := f.Truncate(0); err == nil {
		_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
		if err != nil {
			f.Close() //nolint:errcheck // the write error tells more
			return nil, fmt.Errorf("lock data directory: %w", err)
		}
	}
	return f, nil
}

// close frees the lock. Closing alone would not while a child that was just forked still has the file, until it execs.
func (h *home) close() {
	_ = syscall.Flock(int(h.lock.Fd()), syscall.LOCK_UN) // closing frees it as well, only later
	_ = h.lock.Close()                                   // nothing was written
}

// readPasswords returns the passwords of an existing cluster.
func (h *home) readPasswords() (rolePasswords, error) {
	var p rolePasswords
	content, err := os.ReadFile(h.credentials())
	if err == nil {
		err = json.Unmarshal(content, &p)
	}
	if err != nil {
		return rolePasswords{}, errs.Wrap(errs.Invalid,
			fmt.Sprintf("The passwords of the data in %s cannot be read; start again from an empty data directory.", h.dir), err)
	}
	return p, nil
}

// newPasswords makes and keeps the passwords of a new cluster.
func (h *home) newPasswords() (rolePasswords, error) {
	p := rolePasswords{Admin: secret.NewToken(), Owner: secret.NewToken(), App: secret.NewToken()}
	content, err := json.Marshal(p)
	if err != nil {
		return rolePasswords{}, fmt.Errorf("keep passwords: %w", err)
	}
	draft := h.credentials() + ".new"
	if err := os.WriteFile(draft, content, 0o600); err != nil {
		return rolePasswords{}, fmt.Errorf("keep passwords: %w", err)
	}
	if err := os.Rename(draft, h.credentials()); err != nil {
		return rolePasswords{}, fmt.Errorf("keep passwords: %w", err)
	}
	return p, nil
}

// socketDir makes an empty directory for the Unix socket: inside the home where the path is short enough, else in the
// temporary directory under a name only this home gives.
func (h *home) socketDir() (string, error) {
	name := "ostiary-" + shortHash(h.dir)
	places := []string{filepath.Join(h.dir, "socket"), filepath.Join(os.TempDir(), name), filepath.Join("/tmp", name)}
	for _, dir := range places {
		file := fmt.Sprintf("%s/.s.PGSQL.%d", dir, 65535)
		if len(file) > maxSocketPath || strings.ContainsAny(dir, "\"\n") || !h.account.canEnter(filepath.Dir(dir)) {
			continue
		}
		// We hold the home's lock, so whatever is in there is a dead server's. A stranger's directory cannot be removed
		// from a sticky /tmp, and then Mkdir fails: better no server than one behind somebody else's socket.
		if err := os.RemoveAll(dir); err != nil {
			return "", fmt.Errorf("clear socket directory: %w", err)
		}
		if err := os.Mkdir(dir, 0o700); err != nil {
			return "", fmt.Errorf("make socket directory: %w", err)
		}
		return dir, h.account.own(dir)
	}
	return "", errs.New(errs.Invalid, "There is no directory with a path short enough for Postgres' socket.")
}

// openLog opens the server's log for appending. A long one is put aside first.
func (h *home) openLog() (*os.File, error) {
	if info, err := os.Stat(h.logFile()); err == nil && info.Size() > maxLogBytes {
		if err := os.Rename(h.logFile(), h.logFile()+".1"); err != nil {
			return nil, fmt.Errorf("put server log aside: %w", err)
		}
	}
	f, err := os.OpenFile(h.logFile(), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open server log: %w", err)
	}
	if h.logStart, err = f.Seek(0, io.SeekEnd); err != nil {
		f.Close() //nolint:errcheck // nothing was written
		return nil, fmt.Errorf("open server log: %w", err)
	}
	return f, nil
}

// logTail returns the end of what the server wrote since openLog, on one line.
func (h *home) logTail() string {
	content, err := os.ReadFile(h.logFile())
	if err != nil || int64(len(content)) <= h.logStart {
		return "it logged nothing"
	}
	content = content[max(h.logStart, int64(len(content)-maxTailBytes)):]
	return oneLine(string(content))
}

func oneLine(text string) string {
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r == '\n' }), " | ")
}

func shortHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:6])
}
