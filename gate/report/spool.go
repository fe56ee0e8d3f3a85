package report

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/ostiary/ostiary/app/calls"
	"github.com/ostiary/ostiary/app/policy"
)

const (
	spoolName   = "calls.spool"
	lockName    = "calls.lock"
	maxLine     = 1 << 20
	kindRecord  = 'r'
	kindSettled = 's'
)

// spool is a file of the records that the issuer has not taken yet, for the day the process is killed. It is only appended
// to, one checked line after the other: a record with its number, or the number up to which records are settled. When all are
// settled it is emptied; when it grows beyond its bound it is written anew with what is still held.
type spool struct {
	path string
	most int64
	lock *os.File
	file *os.File // nil after a failure, until it could be written anew
	size int64

	written int64 // records before this number are in the file, or settled
	settled int64 // records before this number are settled, the file says so
	dropped int64 // what the file says was dropped
}

// spooled is what an earlier process left.
type spooled struct {
	records []numbered
	next    int64 // number after the last
	dropped int64
	damaged int // lines that could not be read
}

// spoolRecord is a record with what the issuer is not told.
type spoolRecord struct {
	*calls.Record
	Risk policy.Risk `json:"risk,omitempty"`
}

// openSpool opens the spool in a directory, which it makes, and reads what is in it.
func openSpool(dir string, most int64) (*spool, spooled, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, spooled{}, fmt.Errorf("spool: %w", err)
	}
	lock, err := lockFile(filepath.Join(dir, lockName))
	if err != nil {
		return nil, spooled{}, fmt.Errorf("spool: %s is in use by another process, or cannot be written: %w", dir, err)
	}
	s := &spool{path: filepath.Join(dir, spoolName), most: most, lock: lock}
	left, err := readSpool(s.path)
	if err != nil {
		unlockFile(lock)
		return nil, spooled{}, fmt.Errorf("spool: %w", err)
	}
	return s, left, nil
}

// readSpool reads what can be read: a line that was cut or changed is left out.
func readSpool(path string) (spooled, error) {
	var left spooled
	file, err := os.Open(path) //nolint:gosec // in the directory the operator named
	if errors.Is(err, fs.ErrNotExist) {
		return left, nil
	}
	if err != nil {
		return left, err
	}
	defer func() { _ = file.Close() }() // only read
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, maxLine)
	var settled int64
	for lines.Scan() {
		kind, number, content, ok := parseLine(lines.Bytes())
		var r calls.Record
		with := spoolRecord{Record: &r}
		switch {
		case ok && kind == kindSettled && json.Unmarshal(content, &left.dropped) == nil:
			settled = number
		case ok && kind == kindRecord && json.Unmarshal(content, &with) == nil:
			r.Risk = with.Risk
			left.records = append(left.records, numbered{r, number})
		default:
			left.damaged++
		}
	}
	if err := lines.Err(); err != nil && !errors.Is(err, bufio.ErrTooLong) {
		return left, err
	}
	left.next = settled
	if n := len(left.records); n > 0 {
		left.next = max(settled, left.records[n-1].number+1)
	}
	left.records = slices.DeleteFunc(left.records, func(r numbered) bool { return r.number < settled })
	return left, nil
}

// A line is "r number crc content".
func appendLine(out []byte, kind byte, number int64, content []byte) []byte {
	out = fmt.Appendf(out, "%c %d %08x ", kind, number, checksum(kind, number, content))
	return append(append(out, content...), '\n')
}

func checksum(kind byte, number int64, content []byte) uint32 {
	return crc32.Update(crc32.ChecksumIEEE(fmt.Appendf(nil, "%c %d ", kind, number)), crc32.IEEETable, content)
}

func parseLine(line []byte) (kind byte, number int64, content []byte, ok bool) {
	parts := bytes.SplitN(line, []byte(" "), 4)
	if len(parts) != 4 || len(parts[0]) != 1 {
		return 0, 0, nil, false
	}
	var sum uint32
	if _, err := fmt.Sscanf(string(parts[1])+" "+string(parts[2]), "%d %x", &number, &sum); err != nil {
		return 0, 0, nil, false
	}
	kind, content = parts[0][0], parts[3]
	return kind, number, content, sum == checksum(kind, number, content)
}

// save writes records and waits for the disk.
func (s *spool) save(list []numbered) error {
	if len(list) == 0 {
		return nil
	}
	var out []byte
	for i := range list {
		content, err := json.Marshal(spoolRecord{&list[i].Record, list[i].Risk})
		if err != nil {
			return fmt.Errorf("spool: %w", err)
		}
		out = appendLine(out, kindRecord, list[i].number, content)
	}
	if err := s.append(out, true); err != nil {
		return err
	}
	s.written = list[len(list)-1].number + 1
	return nil
}

// settle notes that records before a number need not be sent again, and how many losses the issuer does not know of. It does
// not wait for the disk: what is sent twice is one record.
func (s *spool) settle(before, dropped int64) error {
	if before == s.settled && dropped == s.dropped {
		return nil
	}
	if before >= s.written && dropped == 0 { // nothing is left in it
		if err := s.file.Truncate(0); err != nil {
			return fmt.Errorf("spool: %w", err)
		}
		s.size, s.settled, s.dropped, s.written = 0, before, 0, max(before, s.written)
		return nil
	}
	if err := s.append(appendLine(nil, kindSettled, before, fmt.Append(nil, dropped)), false); err != nil {
		return err
	}
	s.settled, s.dropped = before, dropped
	return nil
}

func (s *spool) append(out []byte, sync bool) error {
	n, err := s.file.Write(out)
	s.size += int64(n)
	if err == nil && sync {
		err = s.file.Sync()
	}
	if err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	return nil
}

// rewrite makes the file anew with the records that are held, and nothing else.
func (s *spool) rewrite(list []numbered, settled, dropped int64) error {
	s.closeFile()
	file, err := os.OpenFile(s.path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	s.file, s.size = file, 0
	s.written, s.settled, s.dropped = settled, settled, dropped
	err = s.append(appendLine(nil, kindSettled, settled, fmt.Append(nil, dropped)), true)
	if err == nil {
		err = s.save(list)
	}
	if err == nil {
		err = os.Rename(s.path+".new", s.path)
	}
	if err == nil {
		err = syncDirectory(filepath.Dir(s.path))
	}
	if err != nil {
		s.closeFile()
		return fmt.Errorf("spool: %w", err)
	}
	return nil
}

func (s *spool) isFull() bool { return s.size > s.most }

func (s *spool) closeFile() {
	if s.file != nil {
		_ = s.file.Close() // what mattered was synced
		s.file = nil
	}
}

func (s *spool) close() {
	s.closeFile()
	unlockFile(s.lock)
}

func syncDirectory(path string) error {
	dir, err := os.Open(path) //nolint:gosec // the directory the operator named
	if err != nil {
		return err
	}
	err = dir.Sync()
	if errors.Is(err, fs.ErrInvalid) { // not every system can
		err = nil
	}
	return errors.Join(err, dir.Close())
}
