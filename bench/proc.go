package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// clockTick is the unit of CPU times in /proc: USER_HZ is 100 on every platform Go runs on.
const clockTick = 10 * time.Millisecond

// process is a line of /proc/PID/stat; on systems without /proc there are none, and what is read from it stays zero.
type process struct {
	parent int
	cpu    time.Duration
}

func processes() map[int]process {
	found := map[int]process{}
	files, _ := filepath.Glob("/proc/[0-9]*/stat") // only a malformed pattern is an error
	for _, file := range files {
		raw, err := os.ReadFile(file) //nolint:gosec // of /proc
		if err != nil {
			continue // it ended meanwhile
		}
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		// The name is in parentheses and may hold anything; what follows the last one is numbers.
		fields := strings.Fields(string(raw[bytes.LastIndexByte(raw, ')')+1:]))
		if len(fields) < 15 {
			continue
		}
		parent, _ := strconv.Atoi(fields[1])
		found[pid] = process{parent: parent, cpu: ticks(fields[11]) + ticks(fields[12])}
	}
	return found
}

func ticks(s string) time.Duration {
	n, _ := strconv.ParseInt(s, 10, 64)
	return time.Duration(n) * clockTick
}

// postgresCPU is the CPU time of a Postgres server's processes that are alive, given one of its backends.
func postgresCPU(backend int) time.Duration {
	all := processes()
	self, ok := all[backend]
	if !ok {
		return 0
	}
	total := all[self.parent].cpu
	for _, p := range all {
		if p.parent == self.parent {
			total += p.cpu
		}
	}
	return total
}

// machineBusy is the time all processors were not idle.
func machineBusy() time.Duration {
	raw, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	line, _, _ := bytes.Cut(raw, []byte("\n"))
	var busy time.Duration
	for i, field := range strings.Fields(string(line)) {
		if i == 0 || i == 4 || i == 5 || i > 8 { // "cpu", idle, iowait; guests are counted in user
			continue
		}
		busy += ticks(field)
	}
	return busy
}

// resident is the memory a process has in use now, zero on systems without /proc.
func resident(pid int) uint64 {
	raw, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(raw))
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseUint(fields[1], 10, 64)
	return pages * uint64(os.Getpagesize())
}
