// Package web owns what every Echo instance of Ostiary shares: request ids, security headers, panics, rendering, and where
// a request really came from. It knows nothing of tenants, pages or OAuth.
package web
