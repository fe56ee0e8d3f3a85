// Command bench measures the hot paths of a whole Ostiary: real handlers over loopback HTTP, real Postgres with durable
// commits. Beside each path it measures "the limit", a handler that does only what the operation cannot do without, served
// by the same kind of server, asked by the same client, in the same run, turn by turn; the ratio of the two says how much
// is left to gain, whatever else the machine is doing.
//
//	go run ./bench                     everything
//	go run ./bench -op code,refresh    some operations
//	go run ./bench -rows 1000000       on tables with a million users, clients, consents and grants
//	go run ./bench -op code -cpuprofile code.prof
//
// The process that is started drives and reports; it runs Postgres and, as a second process of the same program, the
// servers, so that CPU time and allocations are told apart by process. docs/performance.md says how to read the table.
//
// Nothing here asserts a time. What must hold everywhere (statements, round trips, commits, rows, plans) is in the tests of
// this package, which are part of go test.
package main
