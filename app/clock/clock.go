package clock

import "time"

// System returns the current time in UTC, in the resolution that Postgres keeps.
func System() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// Steady returns how much time has passed since it was asked for, whatever happens to the wall clock meanwhile.
func Steady() func() time.Duration {
	start := time.Now()
	return func() time.Duration { return time.Since(start) }
}
