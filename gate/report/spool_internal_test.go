package report

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ostiary/ostiary/app/calls"
)

func someRecords(n int) (list []numbered) {
	for i := range n {
		list = append(list, numbered{calls.Record{ID: strings.Repeat("A", i+1), Tool: "line\nbreak"}, int64(i)})
	}
	return list
}

// written returns the content of a spool with ten records, three of them settled, and two losses.
func written(t testing.TB) []byte {
	t.Helper()
	dir := t.TempDir()
	s, _, err := openSpool(dir, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	list := someRecords(10)
	for _, err := range []error{s.rewrite(list[:4], 0, 0), s.save(list[4:]), s.settle(3, 2)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	raw, err := os.ReadFile(filepath.Join(dir, spoolName))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func read(t testing.TB, raw []byte) spooled {
	t.Helper()
	path := filepath.Join(t.TempDir(), "spool")
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	left, err := readSpool(path)
	if err != nil {
		t.Fatal(err)
	}
	return left
}

func TestSpool_ReadsWhatIsNotSettled(t *testing.T) {
	t.Parallel()
	left := read(t, written(t))
	if len(left.records) != 7 || left.records[0].number != 3 || left.next != 10 || left.dropped != 2 || left.damaged != 0 ||
		left.records[6].Tool != "line\nbreak" {
		t.Errorf("%+v", left)
	}
}

// Wherever the last write was cut, what came before it is there.
func TestSpool_ToleratesACutTail(t *testing.T) {
	t.Parallel()
	raw := written(t)
	whole := bytes.Count(raw, []byte("\n"))
	for cut := len(raw); cut >= 0; cut -= 5 {
		left := read(t, raw[:cut])
		lines := bytes.Count(raw[:cut], []byte("\n"))
		if left.damaged > 1 || len(left.records) < lines-5 || lines > whole {
			t.Fatalf("cut at %d of %d: %d records of %d lines, %d damaged", cut, len(raw), len(left.records), lines, left.damaged)
		}
	}
}

// A changed byte costs its own line, and never makes another record of it.
func TestSpool_ToleratesChangedBytes(t *testing.T) {
	t.Parallel()
	raw := written(t)
	for at := 0; at < len(raw); at += 5 {
		changed := bytes.Clone(raw)
		changed[at] ^= 0x04
		left := read(t, changed)
		if len(left.records) < 5 || left.damaged > 2 {
			t.Fatalf("byte %d: %d records, %d damaged", at, len(left.records), left.damaged)
		}
		for _, r := range left.records {
			if r.Tool != "line\nbreak" || strings.Trim(r.ID, "A") != "" {
				t.Fatalf("byte %d: made up %+v", at, r)
			}
		}
	}
}

func FuzzReadSpool(f *testing.F) {
	f.Add(written(f))
	f.Add([]byte("s 9223372036854775807 00000000 1\nr -1 0 {}\n\n"))
	f.Fuzz(func(t *testing.T, raw []byte) { read(t, raw) })
}
