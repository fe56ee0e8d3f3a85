package db

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	notifyChannel = "ostiary_environment"
	feedChannel   = "ostiary_feed" // the schema's triggers notify it

	listenRetry   = time.Second
	listenCheck   = 30 * time.Second // how long silence is believed
	listenTimeout = 3 * time.Second  // for an answer on the listening connection
)

// Change names an environment that changed. A zero Change means "anything may have changed": the listener was away.
type Change struct {
	TenantID      string
	EnvironmentID string
	Feed          bool // only what its MCP servers hear changed: revocations, stops, a published policy
}

// Listen calls fn for each committed Notify of any node, and for what the schema's triggers tell, until ctx ends. It
// reconnects by itself; after each (re)connection fn gets a zero Change, since notifications sent meanwhile are lost. A
// connection that died without a word is found out by asking it now and then.
func (d *DB) Listen(ctx context.Context, fn func(Change)) {
	for ctx.Err() == nil {
		if err := d.listenOnce(ctx, fn); err != nil && ctx.Err() == nil {
			d.log.WarnContext(ctx, "listening for changes stopped; reconnecting", "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(listenRetry):
		}
	}
}

func (d *DB) listenOnce(ctx context.Context, fn func(Change)) error {
	pooled, err := d.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	conn := pooled.Hijack() // a listening connection never goes back to the pool
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), listenTimeout)
		defer cancel()
		_ = conn.Close(closing) // it is going away whatever Close says
	}()
	if err := within(ctx, listenTimeout, func(ctx context.Context) error {
		_, err := conn.Exec(ctx, "listen "+notifyChannel+"; listen "+feedChannel)
		return err
	}); err != nil {
		return err
	}
	fn(Change{})
	for {
		change, err := d.nextChange(ctx, conn)
		if err != nil {
			return err
		}
		fn(change)
	}
}

// nextChange waits for a notification and asks whether the connection lives when none comes.
func (d *DB) nextChange(ctx context.Context, conn *pgx.Conn) (Change, error) {
	for {
		var change Change
		err := within(ctx, d.listenCheck, func(ctx context.Context) error {
			n, err := conn.WaitForNotification(ctx)
			if err == nil {
				change = changeOf(n)
			}
			return err
		})
		if err == nil {
			return change, nil
		}
		if ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) || conn.IsClosed() {
			return Change{}, err
		}
		if err := within(ctx, listenTimeout, conn.Ping); err != nil {
			return Change{}, err
		}
	}
}

func changeOf(n *pgconn.Notification) Change {
	tenant, environment, _ := strings.Cut(n.Payload, " ")
	return Change{TenantID: tenant, EnvironmentID: environment, Feed: n.Channel == feedChannel}
}

func within(ctx context.Context, limit time.Duration, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return do(ctx)
}
