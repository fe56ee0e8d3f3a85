package main

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// database reads what Postgres has done. Each transaction that writes takes one transaction id, and none that only reads
// does, so ids count the commits that waited for the disk; rolled back writes would count too, and there are none here.
type database struct {
	conn    *pgx.Conn
	backend int
}

// written is a reading.
type databaseSample struct {
	IDs int64 // transaction ids taken
	WAL int64 // bytes of log
	CPU time.Duration
}

// durability is how the server that was measured keeps what it was told to.
type durability struct {
	Fsync             string `json:"fsync"`
	SynchronousCommit string `json:"synchronous_commit"`
	FullPageWrites    string `json:"full_page_writes"`
	SharedBuffers     string `json:"shared_buffers"`
}

func openDatabase(ctx context.Context, url string) (*database, error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("read the database's counters: %w", err)
	}
	d := &database{conn: conn}
	return d, conn.QueryRow(ctx, `select pg_backend_pid()`).Scan(&d.backend)
}

func (d *database) sample(ctx context.Context) (databaseSample, error) {
	var s databaseSample
	err := d.conn.QueryRow(ctx, `select pg_snapshot_xmax(pg_current_snapshot())::text::bigint,
		(pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint`).Scan(&s.IDs, &s.WAL)
	if err != nil {
		return s, fmt.Errorf("read the database's counters: %w", err)
	}
	s.CPU = postgresCPU(d.backend)
	return s, nil
}

func (d *database) durability(ctx context.Context) (durability, error) {
	var s durability
	err := d.conn.QueryRow(ctx, `select current_setting('fsync'), current_setting('synchronous_commit'),
		current_setting('full_page_writes'), current_setting('shared_buffers')`).
		Scan(&s.Fsync, &s.SynchronousCommit, &s.FullPageWrites, &s.SharedBuffers)
	return s, err
}

// checkpoint keeps one from falling into a measurement.
func (d *database) checkpoint(ctx context.Context) error {
	_, err := d.conn.Exec(ctx, "checkpoint")
	return err
}

func (d *database) close(ctx context.Context) { _ = d.conn.Close(ctx) } // only ever read
