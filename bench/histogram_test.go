package main

import (
	"testing"
	"time"
)

func TestHistogram_QuantilesAreCloseAndNeverBelow(t *testing.T) {
	t.Parallel()
	for _, unit := range []time.Duration{1, 7, 500, time.Microsecond, 37 * time.Microsecond, time.Millisecond, time.Second} {
		var h, other histogram
		for n := range 1000 {
			part := &h
			if n%2 == 0 {
				part = &other
			}
			part.add(time.Duration(n+1) * unit)
		}
		h.merge(&other)
		for q, want := range map[float64]time.Duration{0.5: 500 * unit, 0.99: 990 * unit, 1: 1000 * unit} {
			got := h.quantile(q)
			if got < want || float64(got) > 1.04*float64(want)+1 {
				t.Errorf("unit %s: quantile %v is %s, want %s", unit, q, got, want)
			}
		}
	}
}

func TestHistogram_BucketsAreInOrder(t *testing.T) {
	t.Parallel()
	last := -1
	for _, d := range []time.Duration{-1, 0, 1, 31, 32, 33, 63, 64, 65, 127, 128, time.Microsecond, time.Second, 1<<63 - 1} {
		i := bucket(d)
		if i < last || i >= len(histogram{}.Counts) {
			t.Fatalf("%d ns falls into bucket %d after %d", d, i, last)
		}
		if d > 0 && upper(i) < d {
			t.Errorf("bucket %d of %d ns ends at %d", i, d, upper(i))
		}
		last = i
	}
}
