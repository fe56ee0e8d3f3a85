package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReadClientDocuments(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	small, large := filepath.Join(dir, "small.json"), filepath.Join(dir, "large.json")
	for name, content := range map[string]string{small: `{"client_id":"x"}`, large: strings.Repeat(" ", maxClientDocument+1)} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := readClientDocuments([]string{"https://claude.ai/oauth/x=" + small, "https://h.example/c?v=1=" + small})
	if err != nil || string(got["https://claude.ai/oauth/x"]) != `{"client_id":"x"}` || len(got["https://h.example/c?v=1"]) == 0 {
		t.Errorf("%v %v", got, err)
	}
	for name, flags := range map[string][]string{
		"no file": {"https://h.example/c="}, "no URL": {"=" + small}, "neither": {"nothing"}, "missing file": {"https://h.example/c=" + dir + "/none"},
		"too large": {"https://h.example/c=" + large}, "twice": {"https://h.example/c=" + small, "https://h.example/c=" + small},
	} {
		if _, err := readClientDocuments(flags); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
