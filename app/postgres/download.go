//go:build linux || darwin

package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	embeddedpostgres "github.com/fergusstrange/embedded-postgres"

	"github.com/ostiary/ostiary/app/errs"
)

// defaultMajor is the version downloaded for a new cluster.
const defaultMajor = 18

// published are the builds the library knows for the versions we support.
var published = map[int]embeddedpostgres.PostgresVersion{
	14: embeddedpostgres.V14, 15: embeddedpostgres.V15, 16: embeddedpostgres.V16,
	17: embeddedpostgres.V17, 18: embeddedpostgres.V18,
}

// download returns binaries from the Maven repository, fetched once and kept.
func (h *home) download(ctx context.Context, opts Options, major int) (binaries, error) {
	if major == 0 {
		major = defaultMajor
	}
	version, known := published[major]
	if !known {
		return binaries{}, errs.New(errs.NotFound,
			fmt.Sprintf("The data need a Postgres server of version %d: please install one.", major))
	}
	cache, err := h.cacheDir()
	if err != nil {
		return binaries{}, err
	}
	dir := filepath.Join(cache, string(version))
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		opts.Logger.InfoContext(ctx, "downloading Postgres, once", "version", string(version), "to", cache)
		err = fetch(ctx, opts, version, cache)
		if err != nil {
			return binaries{}, errs.Wrap(errs.Unavailable,
				"There is no suitable Postgres server on this machine, and downloading one failed: "+
					"install Postgres, or name a server's URL.", err)
		}
	}
	b, err := inspect(ctx, filepath.Join(dir, "bin"), h.account)
	if err != nil {
		return binaries{}, errs.Wrap(errs.Unavailable,
			fmt.Sprintf("The downloaded Postgres does not run: remove %s to try again.", dir), err)
	}
	b.source = Downloaded
	return b, nil
}

// cacheDir returns where downloads are kept: in a cache that all data directories share, or for an account that reaches
// none in the home.
func (h *home) cacheDir() (string, error) {
	places := []string{"/var/cache"}
	if user, err := os.UserCacheDir(); err == nil {
		places = []string{user, "/var/cache"}
	}
	for _, place := range places {
		parent := filepath.Join(place, "ostiary")
		dir := filepath.Join(parent, "postgres")
		if makeDir(parent, h.account) == nil && makeDir(dir, h.account) == nil && h.account.canEnter(dir) {
			return dir, nil
		}
	}
	dir := filepath.Join(h.dir, "binaries")
	return dir, makeDir(dir, h.account)
}

// fetch downloads one version into its directory below cache. What is there is whole: it gets its name last.
func fetch(ctx context.Context, opts Options, version embeddedpostgres.PostgresVersion, cache string) error {
	work, err := os.MkdirTemp(cache, "fetch-")
	if err != nil {
		return fmt.Errorf("download Postgres: %w", err)
	}
	done := make(chan error, 1)
	go func() { // the library knows no context
		err := fetchInto(work, opts, version, filepath.Join(cache, string(version)))
		_ = os.RemoveAll(work) // leaves a file behind at worst
		done <- err
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// fetchInto has the library download, check and unpack. Its only way in is Start, which would go on to run a server its
// own way, and not as root: the data path it is given cannot be removed (os.RemoveAll refuses a path that ends in a dot),
// so it gives up right after unpacking. Whether that went well shows in the files, not in its error.
func fetchInto(work string, opts Options, version embeddedpostgres.PostgresVersion, dir string) error {
	unpacked := filepath.Join(work, "postgres")
	config := embeddedpostgres.DefaultConfig().Version(version).Logger(io.Discard).Port(0).
		CachePath(filepath.Join(work, "archive")).RuntimePath(filepath.Join(work, "run")).
		BinariesPath(unpacked).DataPath(filepath.Join(work, "data") + "/.")
	if opts.DownloadURL != "" {
		config = config.BinaryRepositoryURL(opts.DownloadURL)
	}
	gaveUp := embeddedpostgres.NewDatabase(config).Start()
	if _, err := os.Stat(filepath.Join(unpacked, "bin", "initdb")); err != nil {
		return fmt.Errorf("download Postgres: %w", gaveUp)
	}
	if err := openToAll(unpacked); err != nil {
		return fmt.Errorf("download Postgres: %w", err)
	}
	if err := os.Rename(unpacked, dir); err != nil && !errors.Is(err, fs.ErrExist) { // another process was faster
		return fmt.Errorf("download Postgres: %w", err)
	}
	return nil
}

// openToAll lets every account read and run the binaries, whatever our umask is.
func openToAll(root string) error {
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.Type()&fs.ModeSymlink != 0 {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		mode := info.Mode().Perm() | 0o444
		if entry.IsDir() || mode&0o100 != 0 {
			mode |= 0o111
		}
		return os.Chmod(path, mode) //nolint:gosec // G122: in a directory that we just made and only we may write
	})
}

// locate returns the binaries to run: those of the machine, else downloaded ones.
func (h *home) locate(ctx context.Context, opts Options, major int) (binaries, error) {
	b, err := findBinaries(ctx, h.account, major)
	if errs.Is(err, errs.NotFound) {
		return h.download(ctx, opts, major)
	}
	return b, err
}
