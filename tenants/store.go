package tenants

import (
	"context"

	"gorm.io/gorm"

	"github.com/ostiary/ostiary/tenants/rows"
)

func (b base) inTenant(ctx context.Context, fn func(ctx context.Context) error) error {
	return rows.InTenant(ctx, b.deps.DB, fn)
}

func (b base) tx(ctx context.Context, fn func(tx *gorm.DB) error) error {
	return rows.Tx(ctx, b.deps.DB, fn)
}
