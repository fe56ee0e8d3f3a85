package main

import (
	"math/bits"
	"time"
)

// histogram counts durations in buckets that are at most 1/32 wide relative to their value, from nanoseconds up.
type histogram struct {
	Counts [bucketRows * bucketsPerRow]uint32
	Total  int
}

const (
	bucketBits    = 5
	bucketsPerRow = 1 << bucketBits
	bucketRows    = 64 - bucketBits
)

func (h *histogram) add(d time.Duration) {
	h.Counts[bucket(d)]++
	h.Total++
}

func bucket(d time.Duration) int {
	ns := uint64(max(d, 0))
	if ns < bucketsPerRow {
		return int(ns)
	}
	shift := bits.Len64(ns) - bucketBits - 1
	return (shift+1)*bucketsPerRow + int(ns>>shift) - bucketsPerRow
}

// upper returns the largest duration of a bucket.
func upper(i int) time.Duration {
	row, column := i/bucketsPerRow, i%bucketsPerRow
	if row == 0 {
		return time.Duration(column)
	}
	return time.Duration((uint64(column+bucketsPerRow+1) << (row - 1)) - 1)
}

func (h *histogram) merge(other *histogram) {
	for i, n := range other.Counts {
		h.Counts[i] += n
	}
	h.Total += other.Total
}

// quantile returns the duration that the share q of all is not above.
func (h *histogram) quantile(q float64) time.Duration {
	rank, seen := int(q*float64(h.Total)), 0
	for i, n := range h.Counts {
		seen += int(n)
		if n > 0 && seen >= rank {
			return upper(i)
		}
	}
	return 0
}
