//go:build linux || darwin

package postgres

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ostiary/ostiary/app/errs"
)

// archive is `tar -cJf binaries.txz bin` of three shell scripts that answer "postgres (PostgreSQL) 18.3".
//
//go:embed testdata/binaries.txz
var archive []byte

// repository serves the archive the way a Maven repository does, with a checksum that is right or wrong.
func repository(t *testing.T, honest bool) (url string, requests *[]string) {
	t.Helper()
	var jar bytes.Buffer
	writer := zip.NewWriter(&jar)
	file, err := writer.Create("postgres-any.txz")
	if err == nil {
		_, err = file.Write(archive)
	}
	if err == nil {
		err = writer.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(jar.Bytes())
	if !honest {
		sum[0]++
	}
	requests = new([]string)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*requests = append(*requests, r.URL.Path)
		switch filepath.Ext(r.URL.Path) {
		case ".jar":
			w.Write(jar.Bytes()) //nolint:errcheck // the client notices
		case ".sha256":
			w.Write([]byte(hex.EncodeToString(sum[:]))) //nolint:errcheck // the client notices
		}
	}))
	t.Cleanup(server.Close)
	return server.URL, requests
}

// closedHome is the home of a server that has no business elsewhere: t.TempDir is closed to an unprivileged account, so we
// are our own.
func closedHome(t *testing.T) *home {
	t.Helper()
	t.Setenv("XDG_CACHE_HOME", filepath.Join(t.TempDir(), "cache"))
	t.Setenv("HOME", t.TempDir())
	t.Setenv("TMPDIR", t.TempDir()) // the library leaves an empty log there
	return &home{dir: t.TempDir(), account: account{uid: os.Geteuid(), gid: os.Getegid()}}
}

// Not parallel: it sets where the user's caches are.
func TestDownload_FetchesOnceAndIgnoresWhatIsIncomplete(t *testing.T) {
	h := closedHome(t)
	url, requests := repository(t, true)
	opts := Options{DownloadURL: url, Logger: slog.New(slog.DiscardHandler)}
	for range 2 {
		b, err := h.download(context.Background(), opts, 0)
		if err != nil {
			t.Fatal(err)
		}
		if b.major != 18 || b.source != Downloaded {
			t.Errorf("binaries = %+v", b)
		}
	}
	if len(*requests) != 2 || !strings.Contains((*requests)[0], "/18.") {
		t.Errorf("requests = %v, want a jar and its checksum once", *requests)
	}
	cache, err := h.cacheDir()
	if err != nil {
		t.Fatal(err)
	}
	if left, err := filepath.Glob(filepath.Join(cache, "fetch-*")); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// Not parallel: it sets where the user's caches are.
func TestDownload_RefusesAWrongChecksumAndAnUnknownVersion(t *testing.T) {
	h := closedHome(t)
	url, _ := repository(t, false)
	opts := Options{DownloadURL: url, Logger: slog.New(slog.DiscardHandler)}
	_, err := h.download(context.Background(), opts, 17)
	if !errs.Is(err, errs.Unavailable) || !strings.Contains(err.Error(), "checksum") {
		t.Errorf("a wrong checksum: %v", err)
	}
	if _, err := h.download(context.Background(), opts, 99); !errs.Is(err, errs.NotFound) {
		t.Errorf("an unknown version: %v", err)
	}
}

func TestParseLsof(t *testing.T) {
	t.Parallel()
	out := "p12\nfcwd\nn/data/other\np34\nfcwd\nn/data/mine\np56\nfcwd\nn/data/mine/deeper\np78\nn/data/mine\n"
	if got := parseLsof(out, "/data/mine"); !slices.Equal(got, []int{34, 78}) {
		t.Errorf("processes = %v", got)
	}
	if got := parseLsof("", "/data/mine"); got != nil {
		t.Errorf("processes of nothing = %v", got)
	}
}

func TestAccount_CanEnter(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	open, shut := filepath.Join(root, "open"), filepath.Join(root, "shut")
	for dir, mode := range map[string]os.FileMode{open: 0o711, shut: 0o700} {
		if err := os.Mkdir(dir, mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
	}
	info := func(path string) os.FileInfo {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info
	}
	self, stranger := account{uid: os.Geteuid(), gid: os.Getegid()}, account{uid: 4321, gid: 4321}
	if !self.canEnter(shut) || !stranger.canPass(info(open)) || stranger.canPass(info(shut)) {
		t.Error("mode bits are misread")
	}
	if stranger.canEnter(open) {
		t.Error("a directory below a closed one counts as reachable") // t.TempDir is closed to strangers
	}
	if self.canEnter(filepath.Join(root, "missing")) {
		t.Error("a missing directory counts as reachable")
	}
}

func TestChildEnv_HandsOnNoSecrets(t *testing.T) {
	t.Setenv("OSTIARY_MASTER_KEY", "x")
	t.Setenv("PGDATA", "/elsewhere")
	t.Setenv("LC_ALL", "de_DE.UTF-8")
	for _, entry := range childEnv() {
		name, value, _ := strings.Cut(entry, "=")
		if name == "OSTIARY_MASTER_KEY" || name == "PGDATA" || (name == "LC_ALL" && value != "C") {
			t.Errorf("the server inherits %s", entry)
		}
	}
}
