// Package host plays an AI host and its user's browser against a whole Ostiary on loopback: real handlers, real Postgres, two
// tenants. Protocol tests and benchmarks are written with it.
//
// It does what a well-behaved host does unless told otherwise, so that a test of an attack changes one thing.
package host
