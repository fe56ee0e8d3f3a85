//go:build unix

package main

import (
	"runtime"
	"syscall"
	"time"
)

// usage is what a process has used.
type usage struct {
	cpu      time.Duration
	resident uint64 // bytes, highest so far
}

func ownUsage() usage {
	var r syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &r) != nil {
		return usage{}
	}
	resident := uint64(r.Maxrss)
	if runtime.GOOS != "darwin" { // where it is in bytes already
		resident <<= 10
	}
	return usage{cpu: time.Duration(r.Utime.Nano() + r.Stime.Nano()), resident: resident}
}
