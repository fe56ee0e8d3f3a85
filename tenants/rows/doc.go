// Package rows owns what the stores of the control plane share: joining the tenant's transaction, narrowing a query to an
// environment, and reading what Postgres refused. It holds no table and no query of its own.
package rows
