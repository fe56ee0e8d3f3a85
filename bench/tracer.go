package main

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// tracer counts what a pool sends: statements, round trips, and commits that a client waits for because they wrote.
//
// A batch is one round trip and one implicit transaction. Everything else is one round trip per statement; a transaction
// that was begun by a statement ends with one.
type tracer struct {
	statements, trips, commits atomic.Int64

	observe    func(sql string, args []any) // optional
	background func(sql string) bool        // optional: batches with such a statement are nobody's request, and not counted

	mu    sync.Mutex
	wrote map[*pgx.Conn]bool // connections with a statement that wrote in the transaction under way
}

// traced is a reading of a tracer.
type traced struct{ Statements, Trips, Commits int64 }

func (t *tracer) read() traced {
	return traced{Statements: t.statements.Load(), Trips: t.trips.Load(), Commits: t.commits.Load()}
}

func (a traced) minus(b traced) traced {
	return traced{Statements: a.Statements - b.Statements, Trips: a.Trips - b.Trips, Commits: a.Commits - b.Commits}
}

func (t *tracer) statement(sql string, args []any) {
	t.statements.Add(1)
	if t.observe != nil {
		t.observe(sql, args)
	}
}

// note remembers that a connection's transaction wrote.
func (t *tracer) note(conn *pgx.Conn, tag pgconn.CommandTag) {
	if tag.RowsAffected() == 0 || tag.Select() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.wrote == nil {
		t.wrote = map[*pgx.Conn]bool{}
	}
	t.wrote[conn] = true
}

// end closes a connection's transaction, and counts it when it wrote and was committed.
func (t *tracer) end(conn *pgx.Conn, committed bool) {
	t.mu.Lock()
	wrote := t.wrote[conn]
	delete(t.wrote, conn)
	t.mu.Unlock()
	if wrote && committed {
		t.commits.Add(1)
	}
}

type sentKey struct{}

// TraceQueryStart counts a statement of its own.
func (t *tracer) TraceQueryStart(ctx context.Context, _ *pgx.Conn, d pgx.TraceQueryStartData) context.Context {
	t.trips.Add(1)
	t.statement(d.SQL, d.Args)
	return context.WithValue(ctx, sentKey{}, d.SQL)
}

// TraceQueryEnd sees transactions end.
func (t *tracer) TraceQueryEnd(ctx context.Context, conn *pgx.Conn, d pgx.TraceQueryEndData) {
	t.note(conn, d.CommandTag)
	sql, _ := ctx.Value(sentKey{}).(string)
	switch verb, _, _ := strings.Cut(strings.ToLower(sql), " "); {
	case verb == "commit":
		t.end(conn, d.Err == nil)
	case verb == "rollback":
		t.end(conn, false)
	case conn.PgConn().TxStatus() == 'I': // it was its own transaction
		t.end(conn, d.Err == nil)
	}
}

type backgroundKey struct{}

// TraceBatchStart counts a round trip.
func (t *tracer) TraceBatchStart(ctx context.Context, _ *pgx.Conn, d pgx.TraceBatchStartData) context.Context {
	if t.background != nil && slices.ContainsFunc(d.Batch.QueuedQueries, func(q *pgx.QueuedQuery) bool { return t.background(q.SQL) }) {
		return context.WithValue(ctx, backgroundKey{}, true)
	}
	t.trips.Add(1)
	return ctx
}

// TraceBatchQuery counts a statement of a batch.
func (t *tracer) TraceBatchQuery(ctx context.Context, conn *pgx.Conn, d pgx.TraceBatchQueryData) {
	if ctx.Value(backgroundKey{}) != nil {
		return
	}
	t.statement(d.SQL, d.Args)
	t.note(conn, d.CommandTag)
}

// TraceBatchEnd sees the batch's implicit transaction end.
func (t *tracer) TraceBatchEnd(ctx context.Context, conn *pgx.Conn, d pgx.TraceBatchEndData) {
	if ctx.Value(backgroundKey{}) == nil {
		t.end(conn, d.Err == nil)
	}
}
