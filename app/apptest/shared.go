//go:build linux || darwin

package apptest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	superviseEnv = "OSTIARY_APPTEST_SUPERVISE" // makes a test binary the supervisor of the directory it names
	idleEnv      = "OSTIARY_APPTEST_IDLE"      // how long that supervisor keeps an unused server
	idleLimit    = 30 * time.Second
	memoryDir    = "/dev/shm"
	memoryNeeded = 4 << 30          // containers often have 64 MiB there
	startTimeout = 90 * time.Second // a first start may have to download Postgres
)

// shared is the directory in which the processes of all test runs of one user meet.
type shared struct {
	dir  string
	idle time.Duration
}

// leases is read-locked by each user of the server, startLock locked to start or stop it.
func (s shared) leases() string    { return filepath.Join(s.dir, "leases") }
func (s shared) startLock() string { return filepath.Join(s.dir, "start.lock") }
func (s shared) announced() string { return filepath.Join(s.dir, "server.json") }
func (s shared) log() string       { return filepath.Join(s.dir, "supervisor.log") }
func (s shared) postgres() string  { return filepath.Join(s.dir, "postgres") }

// defaultShared is where all processes of the user meet. Creating a database is mostly making and removing some three
// hundred files: memory does that several times as fast as a disk that is not idle.
func defaultShared() (shared, error) {
	base := os.TempDir()
	if _, chosen := os.LookupEnv("TMPDIR"); !chosen && isRoomyMemory(memoryDir) {
		base = memoryDir
	}
	return openShared(filepath.Join(base, "ostiary-test-"+strconv.Itoa(os.Getuid())))
}

// openShared makes the directory. In a temporary directory that everybody may write, it could be somebody else's trap.
func openShared(dir string) (shared, error) {
	mode := fs.FileMode(0o700)
	if os.Getuid() == 0 {
		mode = 0o711 // root's server runs as another user, who has to pass through
	}
	if err := os.Mkdir(dir, mode); err != nil && !errors.Is(err, fs.ErrExist) {
		return shared{}, fmt.Errorf("make shared directory: %w", err)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return shared{}, fmt.Errorf("look at shared directory: %w", err)
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.IsDir() || int(stat.Uid) != os.Getuid() || info.Mode().Perm()&0o066 != 0 {
		return shared{}, fmt.Errorf("%s is not a directory of ours alone", dir)
	}
	return shared{dir: dir, idle: idleLimit}, nil
}

// join takes a lease and returns the URL of the running server, started if need be. The lease lasts until it is closed or
// the process ends.
func (s shared) join(ctx context.Context) (url string, lease *os.File, err error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if lease, err = flock(ctx, s.leases(), syscall.LOCK_SH); err != nil {
		return "", nil, err
	}
	starting, err := flock(ctx, s.startLock(), syscall.LOCK_EX)
	if err == nil {
		defer starting.Close() //nolint:errcheck // only frees the lock
		url, err = s.find(ctx)
	}
	if err != nil {
		lease.Close() //nolint:errcheck // only frees the lock
		return "", nil, err
	}
	return url, lease, nil
}

// find returns the URL of a server that answers. One that was announced and does not answer is about to be given up by its
// supervisor, so a new supervisor may be refused at first and is tried again.
func (s shared) find(ctx context.Context) (string, error) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	var ended chan error
	for {
		if url, err := s.ask(ctx); err == nil {
			return url, nil
		}
		if ended == nil {
			var err error
			if ended, err = s.spawn(); err != nil {
				return "", err
			}
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("the shared Postgres server does not start (%w), see %s", ctx.Err(), s.log())
		case err := <-ended:
			if err != nil && !isTemporary(err) {
				return "", fmt.Errorf("the supervisor of the shared Postgres server failed (%w), see %s", err, s.log())
			}
			ended = nil
		case <-tick.C:
		}
	}
}

// ask returns the URL of the announced server if it answers.
func (s shared) ask(ctx context.Context) (string, error) {
	content, err := os.ReadFile(s.announced())
	if err != nil {
		return "", err
	}
	var url string
	if err := json.Unmarshal(content, &url); err != nil {
		return "", err
	}
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return "", err
	}
	return url, conn.Close(ctx)
}

// spawn runs this test binary as the supervisor: in a session of its own, with no descriptor of ours, since `go test`
// waits until everybody has closed its output.
func (s shared) spawn() (chan error, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find the test binary: %w", err)
	}
	log, err := os.OpenFile(s.log(), os.O_WRONLY|os.O_CREATE|os.O_APPEND|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open supervisor log: %w", err)
	}
	defer log.Close()                         //nolint:errcheck // the child has its own descriptor
	cmd := exec.Command(self, "-test.run=^$") //nolint:gosec // ourselves; without Main it would run no test
	cmd.Env = append(os.Environ(), superviseEnv+"="+s.dir, idleEnv+"="+s.idle.String())
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.dir, log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start supervisor: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	return ended, nil
}

// exitBusy is the supervisor's exit code for a data directory that its predecessor has not let go yet.
const exitBusy = 75

func isTemporary(err error) bool {
	var exit *exec.ExitError
	return errors.As(err, &exit) && exit.ExitCode() == exitBusy
}

// flock locks a file, waiting for as long as ctx lasts.
func flock(ctx context.Context, path string, how int) (*os.File, error) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		f, err := tryFlock(path, how)
		if err == nil || !errors.Is(err, syscall.EWOULDBLOCK) {
			return f, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for %s: %w", path, ctx.Err())
		case <-tick.C:
		}
	}
}

// tryFlock locks a file, or returns syscall.EWOULDBLOCK.
func tryFlock(path string, how int) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) //nolint:gosec // in our own directory
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB); err != nil {
		f.Close() //nolint:errcheck // nothing was written
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return f, nil
}
