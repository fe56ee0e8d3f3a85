package db

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"gorm.io/gorm"

	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/scope"
)

const (
	setTenant = `select set_config('app.tenant_id', $1, true)`
	// The commit is not waited for. Whatever commits durably afterwards makes it durable too: the log has one order.
	setTenantSoon = `select set_config('app.tenant_id', $1, true), set_config('synchronous_commit', 'off', true)`
)

type txKey struct{}

type openTx struct {
	tenantID string
	gorm     *gorm.DB
}

// InTenant runs fn in one transaction under the tenant of ctx, or joins the transaction that ctx already carries. fn gets a
// context that carries the transaction and must pass it on. The transaction commits when fn returns nil.
//
// Errors: errs.Internal without a scope or when ctx carries another tenant's transaction; errs.Unavailable when Postgres is
// away; errs.Conflict for a violated unique key; errs.NotFound for gorm.ErrRecordNotFound.
func (d *DB) InTenant(ctx context.Context, fn func(ctx context.Context, tx *gorm.DB) error) error {
	s, err := scope.From(ctx)
	if err != nil {
		return err
	}
	if open, ok := ctx.Value(txKey{}).(openTx); ok {
		if open.tenantID != s.TenantID {
			return errs.New(errs.Internal, "transaction belongs to another tenant")
		}
		return fn(ctx, open.gorm)
	}
	err = d.gorm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		if err := tx.Exec(setTenant, s.TenantID).Error; err != nil {
			return fmt.Errorf("set tenant: %w", err)
		}
		return fn(context.WithValue(ctx, txKey{}, openTx{tenantID: s.TenantID, gorm: tx}), tx)
	})
	return mapError(err)
}

// Pipe sends the statements that queue puts on the batch to Postgres in one round trip, under the tenant of ctx, in one
// implicit transaction: all of them happen or none. Results are read by the callbacks set on the queued queries.
//
// It never joins an open transaction. Errors are as for InTenant.
func (d *DB) Pipe(ctx context.Context, queue func(b *pgx.Batch)) error {
	return d.Send(ctx, func(b *pgx.Batch) error {
		queue(b)
		return nil
	})
}

// Send is Pipe for a queue that can fail; nothing is sent then, and its error is returned.
func (d *DB) Send(ctx context.Context, queue func(b *pgx.Batch) error) error {
	return d.send(ctx, setTenant, queue)
}

// SendSoon is Send for what may be lost, whole, when Postgres crashes within the next moment: its commit does not wait for the
// disk. It is for what only matters through something that is committed durably later, and whose loss costs a repetition.
func (d *DB) SendSoon(ctx context.Context, queue func(b *pgx.Batch) error) error {
	return d.send(ctx, setTenantSoon, queue)
}

func (d *DB) send(ctx context.Context, begin string, queue func(b *pgx.Batch) error) error {
	s, err := scope.From(ctx)
	if err != nil {
		return err
	}
	b := &pgx.Batch{QueuedQueries: make([]*pgx.QueuedQuery, 0, 4)}
	// Prepared statements of one pipeline share a transaction until its Sync, so the setting covers what follows it.
	b.Queue(begin, s.TenantID)
	if err := queue(b); err != nil {
		return err
	}
	return mapError(d.pool.SendBatch(ctx, b).Close())
}

// Platform runs fn in a read transaction without a tenant. Only the routing tables can be read there: any other table
// raises. Each caller is listed with its reason in app/arch_test.go.
func (d *DB) Platform(ctx context.Context, fn func(tx *gorm.DB) error) error {
	return mapError(d.gorm.WithContext(ctx).Transaction(fn))
}

// Notify tells every node, when the transaction of ctx commits, that the environment changed: caches drop it.
// Errors: errs.Internal outside InTenant.
func (d *DB) Notify(ctx context.Context, environmentID string) error {
	open, ok := ctx.Value(txKey{}).(openTx)
	if !ok {
		return errs.New(errs.Internal, "notify outside a transaction")
	}
	return open.gorm.Exec(`select pg_notify($1, $2)`, notifyChannel, open.tenantID+" "+environmentID).Error
}
