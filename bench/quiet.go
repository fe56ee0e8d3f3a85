package main

import (
	"context"
	"runtime"
	"time"
)

const (
	quietLook  = 200 * time.Millisecond
	quietLooks = 2 // in a row
)

// awaitQuiet waits until nobody else uses more than the share of the machine that the run tolerates. On systems that do not
// say how busy they are it does not wait.
func (b *bench) awaitQuiet(ctx context.Context) error {
	if b.o.quiet >= 1 {
		return nil
	}
	tick := time.NewTicker(quietLook)
	defer tick.Stop()
	at, before := now(), machineBusy()
	for looks := 0; looks < quietLooks; looks++ {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		next, busy := now(), machineBusy()
		if shareOfMachine(busy-before, next.Sub(at)) > b.o.quiet {
			looks = -1
		}
		at, before = next, busy
	}
	return nil
}

func shareOfMachine(busy, elapsed time.Duration) float64 {
	return max(0, float64(busy)/float64(elapsed)/float64(runtime.NumCPU()))
}

// others is what neither server, Postgres nor driver used during a round.
func (t *tally) others() float64 {
	return shareOfMachine(t.used.Machine-t.used.Server-t.used.Postgres-t.used.Driver, t.elapsed)
}
