package clock

import "time"

// System returns the current time in UTC, in the resolution that Postgres keeps.
func System() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }
