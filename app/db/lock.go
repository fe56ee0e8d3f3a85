package db

import (
	"context"
	"time"
)

const unlockTimeout = 5 * time.Second

// TryLock takes an advisory lock that one holder among all nodes can have, without waiting. ok is false when somebody else
// holds it. The lock ends with unlock, or with the holder's connection: a node that dies keeps nothing locked. It therefore
// saves work and is not what correctness may rest on. Errors: errs.Unavailable.
func (d *DB) TryLock(ctx context.Context, name string) (unlock func(), ok bool, err error) {
	conn, err := d.pool.Acquire(ctx)
	if err != nil {
		return nil, false, mapError(err)
	}
	err = conn.QueryRow(ctx, `select pg_try_advisory_lock(hashtextextended($1, 0))`, name).Scan(&ok)
	if err != nil || !ok {
		conn.Release()
		return nil, false, mapError(err)
	}
	return func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), unlockTimeout)
		defer cancel()
		if _, err := conn.Exec(ctx, `select pg_advisory_unlock(hashtextextended($1, 0))`, name); err != nil {
			_ = conn.Conn().Close(ctx) // a connection that may still hold the lock never goes back to the pool
		}
		conn.Release()
	}, true, nil
}
