// Package clock is the only place that reads the wall clock. Everything else takes Now from its Deps.
package clock
