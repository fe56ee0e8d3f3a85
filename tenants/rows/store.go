package rows

import (
	"context"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"gorm.io/gorm"

	"github.com/ostiary/ostiary/app/db"
	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/scope"
)

// InTenant runs fn in the tenant's transaction (see db.InTenant), for services, which do not know gorm.
func InTenant(ctx context.Context, d *db.DB, fn func(ctx context.Context) error) error {
	return d.InTenant(ctx, func(ctx context.Context, _ *gorm.DB) error { return fn(ctx) })
}

// Tx runs fn on the open transaction of ctx, or on one of its own.
func Tx(ctx context.Context, d *db.DB, fn func(tx *gorm.DB) error) error {
	return d.InTenant(ctx, func(ctx context.Context, tx *gorm.DB) error { return fn(tx.WithContext(ctx)) })
}

// Within narrows a query to the environment in scope.
func Within(sc scope.Scope) func(*gorm.DB) *gorm.DB {
	return func(tx *gorm.DB) *gorm.DB {
		return tx.Where("tenant_id = ? and environment_id = ?", sc.TenantID, sc.EnvironmentID)
	}
}

// NotFound turns a missing record into errs.NotFound with msg; inside a joined transaction nobody else would.
func NotFound(err error, msg string) error {
	if errors.Is(err, gorm.ErrRecordNotFound) || errs.Is(err, errs.NotFound) {
		return errs.New(errs.NotFound, msg)
	}
	return err
}

// Violates reports whether err is a violation of the named unique constraint, whether db has mapped it yet or not.
func Violates(err error, constraint string) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.ConstraintName == constraint {
		return true
	}
	var e *errs.Error
	return errors.As(err, &e) && e.Kind == errs.Conflict && e.Code == constraint
}

// Like returns a pattern that matches texts containing s, and s itself only.
func Like(s string) string {
	return "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(s) + "%"
}

// Optional returns nil for an empty text: absence in the database is null.
func Optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
