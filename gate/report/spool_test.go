package report_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ostiary/ostiary/gate/report"
)

const childEnv = "OSTIARY_TEST_REPORTER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		if err := child(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// child records calls for an issuer that is away and says the ids of those that are on the disk, until it is killed.
func child(dir string) error {
	r, err := report.New(report.Options{
		Issuer: "http://127.0.0.1:1", ResourceID: "res_1", Credential: report.Fixed(report.Credential{ID: "rcr_1", Secret: "secret"}),
		SpoolDir: dir, Every: time.Hour,
	})
	if err != nil {
		return err
	}
	for n := 0; ; {
		var ids []string
		for range 50 {
			c := record(n)
			n++
			r.Observe(context.Background(), c)
			ids = append(ids, c.ID)
		}
		for written := false; !written; {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
			err := r.Flush(ctx)
			cancel()
			if err == nil {
				return fmt.Errorf("nobody can have taken them")
			}
			text, err := os.ReadFile(filepath.Join(dir, "calls.spool"))
			if err != nil {
				return err
			}
			written = bytes.Contains(text, []byte(ids[len(ids)-1])) && bytes.HasSuffix(text, []byte("\n"))
		}
		fmt.Println(strings.Join(ids, " "))
	}
}

// A process that is killed loses nothing that was on the disk, and what comes twice is one.
func TestReporter_KilledWithASpool(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.run=^$") //nolint:gosec // ourselves
	cmd.Env, cmd.Stderr = append(os.Environ(), childEnv+"="+dir), os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var said []string
	lines := bufio.NewScanner(out)
	for len(said) < 500 && lines.Scan() {
		said = append(said, strings.Fields(lines.Text())...)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait() // killed
	if len(said) < 500 {
		t.Fatalf("%d calls were written", len(said))
	}
	i := newIssuer(t)
	o := i.options()
	o.SpoolDir = dir
	r := start(t, o)
	if err := r.Flush(patient(t)); err != nil {
		t.Fatal(err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, id := range said {
		if i.times[id] != 1 {
			t.Errorf("%s came %d times", id, i.times[id])
		}
	}
	if i.dropped != 0 || r.Stats().Lost != 0 {
		t.Errorf("%d dropped, %+v", i.dropped, r.Stats())
	}
}

// What was not taken before the end waits in the spool for the next start; what was taken does not come again.
func TestReporter_SpoolOutlivesTheProcess(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	o := i.options()
	o.SpoolDir = t.TempDir()
	first := start(t, o)
	observe(first, 0, 300)
	if err := first.Flush(patient(t)); err != nil {
		t.Fatal(err)
	}
	i.respond(status(http.StatusServiceUnavailable))
	observe(first, 300, 300)
	if err := first.Close(cancelled()); err != nil {
		t.Fatalf("with a spool nothing is lost: %v", err)
	}
	info, err := os.Stat(filepath.Join(o.SpoolDir, "calls.spool"))
	if err != nil || info.Mode().Perm() != 0o600 || info.Size() == 0 {
		t.Fatalf("%+v, %v", info, err)
	}
	i.respond(nil)
	second := start(t, o)
	observe(second, 600, 10)
	if err := second.Close(patient(t)); err != nil {
		t.Fatal(err)
	}
	order, _ := i.got()
	inOrder(t, order, 0, 610)
	i.mu.Lock()
	defer i.mu.Unlock()
	for id, n := range i.times {
		if n != 1 {
			t.Errorf("%s came %d times", id, n)
		}
	}
	if info, err := os.Stat(filepath.Join(o.SpoolDir, "calls.spool")); err != nil || info.Size() != 0 {
		t.Errorf("the spool holds %d bytes after everything was taken, %v", info.Size(), err)
	}
}

// The spool stays within its bound however long the issuer is away.
func TestReporter_SpoolIsBounded(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	i.respond(status(http.StatusServiceUnavailable))
	o := i.options()
	o.SpoolDir, o.MaxRecords, o.MaxSpool = t.TempDir(), 100, 256<<10
	r := start(t, o)
	for n := range 40 {
		observe(r, n*50, 50)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Millisecond)
		_ = r.Flush(ctx) // writes; nobody takes it
		cancel()
	}
	info, err := os.Stat(filepath.Join(o.SpoolDir, "calls.spool"))
	if err != nil || info.Size() > o.MaxSpool+64<<10 {
		t.Errorf("%d bytes, %v", info.Size(), err)
	}
	i.respond(nil)
	if err := r.Flush(patient(t)); err != nil {
		t.Fatal(err)
	}
	if order, dropped := i.got(); len(order) != 100 || dropped != 1900 {
		t.Errorf("%d arrived, %d dropped", len(order), dropped)
	}
}
