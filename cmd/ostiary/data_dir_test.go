package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A mistyped path must cost nobody their files: a directory is marked as ours, and cleared, only when we made it.
func TestDataDir_TouchesNobodyElsesFiles(t *testing.T) {
	t.Parallel()
	theirs := t.TempDir()
	file := filepath.Join(theirs, "thesis.txt")
	if err := os.WriteFile(file, []byte("years of work"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, reset := range []bool{false, true, false, true} {
		if _, err := openDataDir(t.Context(), theirs, reset); err == nil || !strings.Contains(err.Error(), theirs) {
			t.Errorf("reset=%v: %v", reset, err)
		}
	}
	if entries, err := os.ReadDir(theirs); err != nil || len(entries) != 1 {
		t.Errorf("%v, %v", entries, err)
	}
}

func TestDataDir_KeepsItsSecretsUntilReset(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a", "b")
	open := func(reset bool) devSecrets {
		d, err := openDataDir(t.Context(), path, reset)
		if err != nil {
			t.Fatal(err)
		}
		return d.secrets
	}
	first := open(true) // nothing to forget yet
	if again := open(false); again != first {
		t.Error("a second start has other secrets")
	}
	if forgotten := open(true); forgotten == first {
		t.Error("--reset keeps the secrets")
	}
	for _, name := range []string{path, filepath.Join(path, secretsFile)} {
		if at, err := os.Stat(name); err != nil || at.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s is open to others: %v, %v", name, at.Mode(), err)
		}
	}
}
