//go:build linux || darwin

package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/ostiary/ostiary/app/errs"
)

// startTimeout is generous: after a crash the server replays its log before it answers.
const startTimeout = 60 * time.Second

// cannotConnectNow is SQLSTATE 57P03: the server is still starting.
const cannotConnectNow = "57P03"

// startLocal runs a server as our child.
func startLocal(ctx context.Context, opts Options) (*Server, error) {
	var began time.Time
	if opts.Now != nil {
		began = opts.Now()
	}
	h, err := openHome(ctx, opts)
	if err != nil {
		return nil, err
	}
	server, err := h.start(ctx, opts)
	if err != nil {
		h.close()
		return nil, err
	}
	attrs := []any{"version", server.Version, "source", string(server.Source), "data_dir", h.dir}
	if opts.Now != nil {
		attrs = append(attrs, "took", opts.Now().Sub(began).Round(time.Millisecond))
	}
	opts.Logger.InfoContext(ctx, "Postgres answers", attrs...)
	return server, nil
}

func (h *home) start(ctx context.Context, opts Options) (*Server, error) {
	if err := h.recover(ctx, opts.Logger); err != nil {
		return nil, err
	}
	major, err := h.clusterMajor()
	if err != nil {
		return nil, err
	}
	bin, err := h.locate(ctx, opts, major)
	if err != nil {
		return nil, err
	}
	passwords, err := h.ensureCluster(ctx, opts, bin)
	if err != nil {
		return nil, err
	}
	socket, err := h.socketDir()
	if err != nil {
		return nil, err
	}
	server := &Server{Source: bin.source, passwords: passwords, adminURL: adminURL(socket, opts.Port, passwords.Admin)}
	child, err := h.launch(ctx, opts, bin, socket)
	if err != nil {
		return nil, err
	}
	if server.Version, err = h.awaitReady(ctx, child, server.adminURL); err != nil {
		child.shutdown(ctx) //nolint:errcheck // the first error tells more
		return nil, errs.Wrap(errs.Unavailable, "The Postgres server does not start; its log is "+h.logFile()+".", err)
	}
	stop := once(func(ctx context.Context) error {
		defer h.close()
		defer os.RemoveAll(socket) //nolint:errcheck // the next start clears it
		return child.shutdown(ctx)
	})
	unwatch := context.AfterFunc(ctx, func() {
		stop(context.WithoutCancel(ctx)) //nolint:errcheck // Stop repeats the error
	})
	server.stopped = child.done
	server.stop = func(ctx context.Context) error {
		unwatch()
		return stop(ctx)
	}
	return server, nil
}

// clusterMajor returns the major version of the existing cluster, 0 when there is none.
func (h *home) clusterMajor() (int, error) {
	content, err := os.ReadFile(filepath.Join(h.pgdata(), "PG_VERSION"))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read version of the data: %w", err)
	}
	major, err := strconv.Atoi(strings.TrimSpace(string(content)))
	if err != nil {
		return 0, fmt.Errorf("read version of the data: %w", err)
	}
	return major, nil
}

// ensureCluster makes the cluster unless it exists. It gets its name last, so one that was interrupted is made anew.
func (h *home) ensureCluster(ctx context.Context, opts Options, bin binaries) (rolePasswords, error) {
	if _, err := os.Stat(h.pgdata()); err == nil {
		return h.readPasswords()
	}
	opts.Logger.InfoContext(ctx, "making a new Postgres cluster", "data_dir", h.dir)
	if err := os.RemoveAll(h.unfinished()); err != nil {
		return rolePasswords{}, fmt.Errorf("clear unfinished cluster: %w", err)
	}
	if err := os.Mkdir(h.unfinished(), 0o700); err != nil {
		return rolePasswords{}, fmt.Errorf("make cluster: %w", err)
	}
	if err := h.account.own(h.unfinished()); err != nil {
		return rolePasswords{}, fmt.Errorf("make cluster: %w", err)
	}
	passwords, err := h.newPasswords()
	if err != nil {
		return rolePasswords{}, err
	}
	if err := h.initdb(ctx, bin, passwords.Admin); err != nil {
		return rolePasswords{}, err
	}
	if err := os.Rename(h.unfinished(), h.pgdata()); err != nil {
		return rolePasswords{}, fmt.Errorf("make cluster: %w", err)
	}
	return passwords, nil
}

func (h *home) initdb(ctx context.Context, bin binaries, password string) error {
	file := filepath.Join(h.dir, "password.tmp")
	defer os.Remove(file) //nolint:errcheck // overwritten by the next attempt
	if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err != nil {
		return fmt.Errorf("hand over the password: %w", err)
	}
	if err := h.account.own(file); err != nil {
		return fmt.Errorf("hand over the password: %w", err)
	}
	cmd := h.command(bin, "initdb", syscall.SIGKILL,
		"--pgdata="+h.unfinished(), "--username=postgres", "--pwfile="+file, "--auth=scram-sha-256",
		"--encoding=UTF8", "--locale=C", "--data-checksums", "--no-instructions", "--no-sync")
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := run(ctx, cmd); err != nil {
		return errs.Wrap(errs.Unavailable, "Postgres cannot make its data directory "+h.pgdata()+".",
			fmt.Errorf("initdb: %w: %s", err, oneLine(out.String())))
	}
	return nil
}

// command returns a program of the server, to run as the account and to get the signal when we die.
func (h *home) command(bin binaries, program string, onDeath syscall.Signal, args ...string) *exec.Cmd {
	// No context: it would kill, where the server has to be asked to shut down. run and shutdown see to its end.
	cmd := exec.Command(filepath.Join(bin.dir, program), args...) //nolint:gosec,noctx // found by inspect
	cmd.Dir, cmd.Env = h.dir, childEnv()
	cmd.SysProcAttr = childAttr(h.account.credential(), onDeath)
	return cmd
}

// launch starts the server; it does not answer yet.
func (h *home) launch(ctx context.Context, opts Options, bin binaries, socket string) (*child, error) {
	if err := checkPort(ctx, opts.Port); err != nil {
		return nil, err
	}
	log, err := h.openLog()
	if err != nil {
		return nil, err
	}
	defer log.Close() //nolint:errcheck // the child has its own descriptor
	args := []string{"-D", h.pgdata()}
	for _, setting := range settings(opts, socket) {
		args = append(args, "-c", setting)
	}
	// SIGINT, so that the kernel asks for a fast shutdown when we are killed.
	cmd := h.command(bin, "postgres", syscall.SIGINT, args...)
	cmd.Stdout, cmd.Stderr = log, log
	child, err := start(cmd)
	if err != nil {
		return nil, errs.Wrap(errs.Unavailable, "The Postgres server cannot be run.", err)
	}
	return child, nil
}

// settings are given on the command line, not in postgresql.conf, so that a new release of ours changes them for a cluster
// that an older one made. None of them is secret: every user of the machine can read them.
func settings(opts Options, socket string) []string {
	list := []string{
		`unix_socket_directories="` + socket + `"`, "unix_socket_permissions=0700", "listen_addresses=",
		"port=" + strconv.Itoa(listenPort(opts.Port)),
		"max_connections=200", "shared_buffers=128MB", "max_wal_size=1GB", "jit=off",
		"wal_level=minimal", "max_wal_senders=0", // nobody replicates from here
		"log_checkpoints=off", // each database made or dropped is one
		"timezone=UTC", "log_timezone=UTC", "log_destination=stderr", "logging_collector=off", "log_line_prefix=%m [%p] ",
	}
	if opts.Port != 0 {
		list = append(list, "listen_addresses=127.0.0.1")
	}
	if opts.Fast {
		// A log of modest size, not kept for reuse: the data may be in memory.
		list = append(list, "fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=500",
			"shared_buffers=256MB", "checkpoint_timeout=1h", "max_wal_size=512MB", "wal_recycle=off", "wal_init_zero=off")
	}
	return append(list, opts.Settings...)
}

func listenPort(port int) int {
	if port == 0 {
		return socketPort
	}
	return port
}

// checkPort says in our own words what Postgres would say only in its log.
func checkPort(ctx context.Context, port int) error {
	if port == 0 {
		return nil
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return errs.Wrap(errs.Conflict, fmt.Sprintf("Port %d, wanted for Postgres, is not free.", port), err)
	}
	return listener.Close()
}

func adminURL(socket string, port int, password string) string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword("postgres", password), Path: "/postgres"}
	u.RawQuery = url.Values{"host": {socket}, "port": {strconv.Itoa(listenPort(port))}, "sslmode": {"disable"}}.Encode()
	return u.String()
}

// awaitReady polls until the server answers, and returns its version. The error carries the end of the server's log.
func (h *home) awaitReady(ctx context.Context, c *child, adminURL string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		version, err := serverVersion(ctx, adminURL)
		if err == nil {
			return version, nil
		}
		var refused *pgconn.PgError
		if errors.As(err, &refused) && refused.Code != cannotConnectNow {
			return "", err
		}
		select {
		case <-c.done:
			return "", fmt.Errorf("it ended (%s): %s", c.cmd.ProcessState, h.logTail())
		case <-ctx.Done():
			return "", fmt.Errorf("it does not answer (%w): %s", ctx.Err(), h.logTail())
		case <-tick.C:
		}
	}
}
