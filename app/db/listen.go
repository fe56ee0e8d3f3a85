package db

import (
	"context"
	"strings"
	"time"
)

const notifyChannel = "ostiary_environment"

// Change names an environment that changed. A zero Change means "anything may have changed": the listener was away.
type Change struct {
	TenantID      string
	EnvironmentID string
}

// Listen calls fn for each committed Notify of any node until ctx ends. It reconnects by itself; after each (re)connection
// fn gets a zero Change, since notifications sent meanwhile are lost.
func (d *DB) Listen(ctx context.Context, fn func(Change)) {
	for ctx.Err() == nil {
		if err := d.listenOnce(ctx, fn); err != nil && ctx.Err() == nil {
			d.log.WarnContext(ctx, "listening for changes stopped; reconnecting", "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

func (d *DB) listenOnce(ctx context.Context, fn func(Change)) error {
	pooled, err := d.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	conn := pooled.Hijack()                      // a listening connection never goes back to the pool
	defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // it is going away whatever Close says
	if _, err := conn.Exec(ctx, "listen "+notifyChannel); err != nil {
		return err
	}
	fn(Change{})
	for {
		n, err := conn.WaitForNotification(ctx)
		if err != nil {
			return err
		}
		tenant, environment, _ := strings.Cut(n.Payload, " ")
		fn(Change{TenantID: tenant, EnvironmentID: environment})
	}
}
