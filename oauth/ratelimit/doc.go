// Package ratelimit bounds how often one caller may use a protocol endpoint, over all nodes together, at no cost to callers
// who stay far below the bound.
//
// Each node counts in memory, per minute. Only a key that comes near its bound is shared: its count is added to
// rate_counters in Postgres once a second, and the total of all nodes comes back. So normal traffic runs no statement, and a
// caller who spreads over n nodes exceeds the bound by at most what n nodes count in a second. While Postgres is away each
// node goes on with its own count.
package ratelimit
