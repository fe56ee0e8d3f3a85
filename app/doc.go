// Package app is the composition root: it wires every service from one configuration, mounts every route (routes.go, on one
// screen) and runs the server. It holds no rules of its own.
package app
