// Package config reads the operator's settings from the environment, once, at start.
//
// Every variable is called OSTIARY_…; a secret can come from a file instead, named by the same variable with _FILE. All
// problems are reported together. What tenants set for themselves are rows, not variables.
package config
