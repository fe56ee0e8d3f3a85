//go:build linux || darwin

package postgres

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/ostiary/ostiary/app/errs"
)

// binaries is a directory that holds postgres and initdb of one version.
type binaries struct {
	dir    string
	major  int
	source Source
}

// installPlaces are where packages put servers that are not on the PATH.
var installPlaces = [...]string{
	"/usr/lib/postgresql/*/bin",                    // Debian, Ubuntu
	"/usr/pgsql-*/bin", "/usr/libexec/postgresql*", // Red Hat, Alpine
	"/opt/homebrew/opt/postgresql@*/bin", "/opt/homebrew/bin", // Homebrew on Apple silicon
	"/usr/local/opt/postgresql@*/bin", "/usr/local/bin", // Homebrew on Intel
	"/home/linuxbrew/.linuxbrew/opt/postgresql@*/bin",                            // Homebrew on Linux
	"/Applications/Postgres.app/Contents/Versions/[0-9]*/bin",                    // Postgres.app
	"/Library/PostgreSQL/*/bin", "/opt/PostgreSQL/*/bin", "/usr/local/pgsql/bin", // EDB, built by hand
}

// findBinaries returns binaries on this machine that the account can run: those on the PATH first, else the newest. An
// existing cluster admits only its own major version; major is 0 when there is none. Errors: NotFound.
func findBinaries(ctx context.Context, account account, major int) (binaries, error) {
	fits := func(b binaries) bool { return b.major >= minMajor && (major == 0 || b.major == major) }
	for _, dir := range pathPlaces() {
		if b, err := inspect(ctx, dir, account); err == nil && fits(b) {
			return b, nil
		}
	}
	var found []binaries
	for _, pattern := range installPlaces {
		dirs, _ := filepath.Glob(pattern) //nolint:errcheck // fails on a malformed pattern only
		for _, dir := range dirs {
			if b, err := inspect(ctx, dir, account); err == nil && fits(b) {
				found = append(found, b)
			}
		}
	}
	if len(found) == 0 {
		return binaries{}, errs.New(errs.NotFound, "There is no suitable Postgres server on this machine.")
	}
	return slices.MaxFunc(found, func(a, b binaries) int { return cmp.Compare(a.major, b.major) }), nil
}

// pathPlaces returns the real directories of the server's programs on the PATH: often only links stand there.
func pathPlaces() []string {
	var dirs []string
	for _, name := range []string{"postgres", "initdb", "pg_ctl"} {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		dirs = append(dirs, filepath.Dir(path))
		if target, err := filepath.EvalSymlinks(path); err == nil {
			dirs = append(dirs, filepath.Dir(target))
		}
	}
	slices.Sort(dirs)
	return slices.Compact(dirs)
}

var versionLine = regexp.MustCompile(`^postgres \(PostgreSQL\) (\d+)`)

// inspect asks the server in dir for its version, as the account that would run it.
func inspect(ctx context.Context, dir string, account account) (binaries, error) {
	if _, err := os.Stat(filepath.Join(dir, "initdb")); err != nil {
		return binaries{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(dir, "postgres"), "--version") //nolint:gosec // a server of this machine
	cmd.Dir, cmd.Env = "/", childEnv()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: account.credential()}
	out, err := cmd.Output()
	if err != nil {
		return binaries{}, fmt.Errorf("ask %s for its version: %w", dir, err)
	}
	match := versionLine.FindSubmatch(out)
	if match == nil {
		return binaries{}, fmt.Errorf("ask %s for its version: unexpected answer", dir)
	}
	major, err := strconv.Atoi(string(match[1]))
	return binaries{dir: dir, major: major, source: System}, err
}

// childEnv is all a server inherits. Ours may hold secrets, and settings such as PGDATA or LC_ALL would change what it does.
func childEnv() []string {
	env := []string{"LC_ALL=C", "TZ=UTC"}
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"} {
		//nolint:forbidigo // handed on, not read
		if value, set := os.LookupEnv(name); set {
			env = append(env, name+"="+value)
		}
	}
	return env
}
