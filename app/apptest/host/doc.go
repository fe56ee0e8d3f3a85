// Package host plays an AI host and its user's browser against a whole Ostiary on loopback: real handlers, real Postgres, two
// tenants. Protocol tests and benchmarks are written with it.
//
// It does what a well-behaved host does unless told otherwise, so that a test of an attack changes one thing.
//
// A Stack can have its issuers in each form an operator may choose, and run as several nodes behind a proxy. Tests that do
// not say which get what OSTIARY_TEST_ISSUERS (path, host, domain) and OSTIARY_TEST_NODES (1, 2 …) name, so that a whole
// suite runs as any of them.
package host
