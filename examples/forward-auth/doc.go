// Package forwardauth holds configurations of reverse proxies that ask `ostiary gate --forward-auth` about each request. Those
// of nginx and Caddy are tested with the real programs (go test -tags e2e); those of Traefik and Envoy are written after their
// documentation.
package forwardauth
