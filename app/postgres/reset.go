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
)

// Reset removes the cluster, its passwords and its log, and stops a server left running on them. When the data directory
// itself is gone already, it removes what root's unprivileged server kept elsewhere for it. What SetAside kept stays. Errors:
// Conflict when another process has the data directory.
func Reset(ctx context.Context, opts Options) error {
	return onExistingHome(ctx, opts, func(h *home, _ *slog.Logger) error {
		for _, path := range []string{h.pgdata(), h.unfinished(), h.credentials(), h.logFile(), h.logFile() + ".1"} {
			if err := os.RemoveAll(path); err != nil {
				return fmt.Errorf("reset data directory: %w", err)
			}
		}
		return nil
	})
}

// SetAside puts away what root's unprivileged server kept elsewhere for a data directory that is gone, for whoever finds the
// directory again: it may only not be mounted. One is kept; the one before it is removed. The log says where it is. Errors:
// Conflict when another process has the data directory.
func SetAside(ctx context.Context, opts Options) error {
	switch _, err := os.Stat(opts.DataDir); {
	case err == nil:
		return nil // what is elsewhere is in use
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("locate data directory: %w", err)
	}
	return onExistingHome(ctx, opts, func(h *home, log *slog.Logger) error {
		aside := h.dir + ".aside"
		if err := os.RemoveAll(aside); err != nil {
			return fmt.Errorf("set data aside: %w", err)
		}
		if err := os.Rename(h.dir, aside); err != nil { // at once: data and passwords stay together whatever happens
			return fmt.Errorf("set data aside: %w", err)
		}
		log.WarnContext(ctx, "the data directory is gone or empty; the Postgres cluster kept for it elsewhere is set aside. "+
			"If the directory was only not mounted: stop, mount it, and run what brings the cluster back before the next start",
			"data_dir", opts.DataDir, "kept", aside, "bring_back", fmt.Sprintf("mv %s %s.new; mv %s %s", h.dir, h.dir, aside, h.dir))
		return nil
	})
}

// onExistingHome does something to the home of a data directory, if there is one, while it is ours and nothing runs there.
func onExistingHome(ctx context.Context, opts Options, do func(*home, *slog.Logger) error) error {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	h, err := existingHome(ctx, opts)
	if err != nil || h == nil {
		return err
	}
	defer h.close()
	if err := h.recover(ctx, opts.Logger); err != nil {
		return err
	}
	return do(h, opts.Logger)
}

// existingHome locks the home of a data directory without making anything; nil when there is none.
func existingHome(ctx context.Context, opts Options) (*home, error) {
	switch _, err := os.Stat(opts.DataDir); {
	case err == nil:
		return openHome(ctx, opts)
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("locate data directory: %w", err)
	}
	path, err := filepath.Abs(opts.DataDir)
	if err == nil {
		path, err = realPath(path)
	}
	if err != nil {
		return nil, fmt.Errorf("locate data directory: %w", err)
	}
	h := &home{dir: elsewhere(path)}
	if !h.isRoots() {
		return nil, nil //nolint:nilnil // nothing was kept elsewhere
	}
	if h.account, err = childAccount(h.pgdata()); err != nil {
		return nil, err
	}
	if h.lock, err = lockFile(filepath.Join(h.dir, "lock")); err != nil {
		return nil, err
	}
	return h, nil
}

// isRoots reports whether we are root and h holds a cluster below directories that root made: nobody else's is looked into.
func (h *home) isRoots() bool {
	if os.Geteuid() != 0 {
		return false
	}
	for _, dir := range []string{filepath.Dir(h.dir), h.dir} {
		info, err := os.Lstat(dir)
		if owner, _ := ownerOf(dir); err != nil || !info.IsDir() || owner != 0 {
			return false
		}
	}
	_, exists := ownerOf(h.pgdata())
	return exists
}

// realPath resolves symbolic links in a path whose last parts need not exist.
func realPath(path string) (string, error) {
	resolved, err := filepath.EvalSymlinks(path)
	parent := filepath.Dir(path)
	if err == nil || !errors.Is(err, fs.ErrNotExist) || parent == path {
		return resolved, err
	}
	resolved, err = realPath(parent)
	return filepath.Join(resolved, filepath.Base(path)), err
}
