package tenants

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5/pgconn"
	"gorm.io/gorm"

	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/scope"
)

// inTenant runs fn in the tenant's transaction (see db.InTenant) for services, which do not know gorm.
func (b base) inTenant(ctx context.Context, fn func(ctx context.Context) error) error {
	return b.deps.DB.InTenant(ctx, func(ctx context.Context, _ *gorm.DB) error { return fn(ctx) })
}

// tx runs fn on the open transaction of ctx, or on one of its own.
func (b base) tx(ctx context.Context, fn func(tx *gorm.DB) error) error {
	return b.deps.DB.InTenant(ctx, func(ctx context.Context, tx *gorm.DB) error { return fn(tx.WithContext(ctx)) })
}

// within narrows a query to the environment in scope.
func within(sc scope.Scope) func(*gorm.DB) *gorm.DB {
	return func(tx *gorm.DB) *gorm.DB {
		return tx.Where("tenant_id = ? and environment_id = ?", sc.TenantID, sc.EnvironmentID)
	}
}

// notFound turns gorm's missing record into ours; inside a joined transaction nobody else would.
func notFound(err error, msg string) error {
	if errors.Is(err, gorm.ErrRecordNotFound) || errs.Is(err, errs.NotFound) {
		return errs.New(errs.NotFound, msg)
	}
	return err
}

// violates reports whether err is a violation of the named unique constraint, mapped already or not.
func violates(err error, constraint string) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.ConstraintName == constraint {
		return true
	}
	var e *errs.Error
	return errors.As(err, &e) && e.Kind == errs.Conflict && e.Code == constraint
}
