// Package scope carries the tenant scope and the actor in a context.
//
// It is set in exactly two middlewares (issuer and dashboard) and by jobs that name their tenant; it is read by app/db, the
// protocol engine's configuration and the log handler. A missing scope is an error: there is no default tenant.
package scope
