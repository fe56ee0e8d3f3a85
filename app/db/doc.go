// Package db owns the connection to Postgres and the only two ways to it.
//
// InTenant runs gorm work in one transaction under the tenant of the context; Pipe sends a handful of statements under the
// same tenant in one round trip, for the hot paths. Both set app.tenant_id in the transaction they use, and row-level
// security refuses every row of another tenant. Platform reads the routing tables before a tenant is known; its callers
// are listed in app/arch_test.go. A context without scope is an error: there is no default tenant.
//
// gorm stays here and in files named store*.go. It refuses hooks, soft delete, Save and AutoMigrate.
package db
