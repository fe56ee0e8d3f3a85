package main

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/ostiary/ostiary/app/calls"
	"github.com/ostiary/ostiary/gate"
)

func TestReporting_FindsItsCredential(t *testing.T) {
	dir := t.TempDir() // not parallel: the environment is the process's
	path := filepath.Join(dir, "credential")
	if err := os.WriteFile(path, []byte("rcr_FILE:secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		r          reporting
		text, file string
		want       string // "" for none, "!" for an error
	}{
		"nothing":         {},
		"flag":            {r: reporting{credentialFile: path}, text: "rcr_ENV:secret", want: "rcr_FILE"},
		"environment":     {text: "rcr_ENV:secret", want: "rcr_ENV"},
		"file":            {file: path, want: "rcr_FILE"},
		"twice":           {text: "rcr_ENV:secret", file: path, want: "!"},
		"malformed":       {text: "nonsense", want: "!"},
		"spool by itself": {r: reporting{spool: dir}, want: "!"},
	} {
		t.Setenv("OSTIARY_CREDENTIAL", c.text)
		t.Setenv("OSTIARY_CREDENTIAL_FILE", c.file)
		read, err := c.r.credential()
		got := ""
		switch {
		case err != nil:
			got = "!"
		case read != nil:
			credential, err := read()
			if err != nil {
				t.Fatal(err)
			}
			got = credential.ID
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q (%v)", name, got, c.want, err)
		}
	}
}

// A gate that took up another configuration goes on reporting; it never reports one server's calls as another's.
func TestReportedReloads_KeepReporting(t *testing.T) {
	t.Parallel()
	ctx, end := context.WithCancel(t.Context())
	defer end()
	seen := 0
	in := make(chan gate.ServeOptions)
	first := gate.ServeOptions{Reload: in, Options: gate.Options{
		Issuer: "https://a", ResourceID: "res_1", Logger: slog.New(slog.DiscardHandler),
		Observe: func(context.Context, calls.Record) { seen++ },
	}}
	out := reportedReloads(ctx, first)
	other, next := first, first
	other.ResourceID, next.Observe, next.Upstream = "res_2", nil, "http://b"
	in <- other
	in <- next
	got := <-out
	if got.ResourceID != "res_1" || got.Upstream != "http://b" || got.Observe == nil {
		t.Fatalf("%+v", got)
	}
	if got.Observe(ctx, calls.Record{}); seen != 1 {
		t.Error("its calls are reported elsewhere")
	}
}
