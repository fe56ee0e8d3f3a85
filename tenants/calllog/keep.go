package calllog

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/ostiary/ostiary/app/calls"
	"github.com/ostiary/ostiary/app/db"
	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/scope"
	"github.com/ostiary/ostiary/app/secret"
	"github.com/ostiary/ostiary/tenants"
)

// Log keeps and finds the calls of the environment in the context.
type Log struct {
	db  *db.DB
	now func() time.Time
}

// New returns a Log.
func New(d tenants.Deps) *Log { return &Log{db: d.DB, now: d.Now} }

// Keep keeps the calls of a batch that resourceID reported, and returns how many of them are kept now: one that is known
// already counts, one whose id is taken by another MCP server does not. All are kept or none. The issuer calls it, after it
// has checked the server's credential. Errors: errs.Unavailable.
func (l *Log) Keep(ctx context.Context, resourceID string, b calls.Batch) (int, error) {
	sc, err := environmentScope(ctx)
	if err != nil {
		return 0, err
	}
	now := l.now().UTC()
	loss := lossOf(b)
	// In one order, whoever reports: two reports of the same calls then wait for each other instead of locking each other out.
	list := slices.Clone(b.Calls)
	slices.SortFunc(list, func(x, y calls.Record) int { return cmp.Compare(x.ID, y.ID) })
	list = slices.CompactFunc(list, func(x, y calls.Record) bool { return x.ID == y.ID })
	doubled := len(b.Calls) - len(list)
	if len(list) == 0 && loss.dropped == 0 {
		return 0, nil
	}
	written, err := l.insert(ctx, sc, report{resourceID: resourceID, at: now, calls: list, loss: loss})
	if err != nil || written == len(list) {
		return written + doubled, err
	}
	known, err := l.countKept(ctx, sc, resourceID, list)
	return known + doubled, err
}

// loss is what a report says was lost before it.
type loss struct {
	id      string
	dropped int64
}

func lossOf(b calls.Batch) loss {
	if b.Dropped == 0 {
		return loss{}
	}
	id := secret.NewID("call")
	if len(b.Calls) > 0 {
		id = b.Calls[0].ID
	}
	return loss{id: id, dropped: b.Dropped}
}

// Sweep deletes what is older than retention of the environment in ctx, and returns how many calls. A job calls it.
// Errors: errs.Unavailable.
func (l *Log) Sweep(ctx context.Context, retention time.Duration) (int, error) {
	sc, err := environmentScope(ctx)
	if err != nil {
		return 0, err
	}
	old := db.Expired{
		Column: "received_at", Before: l.now().Add(-retention), EnvironmentID: sc.EnvironmentID, Immutable: true,
	}
	old.Table = "call_losses"
	if _, err := l.db.Sweep(ctx, old); err != nil {
		return 0, err
	}
	old.Table = "tool_calls"
	return l.db.Sweep(ctx, old)
}

var errNoEnvironment = errs.New(errs.Internal, "no environment in context")

func environmentScope(ctx context.Context) (scope.Scope, error) {
	sc, err := scope.From(ctx)
	if err == nil && sc.EnvironmentID == "" {
		err = errNoEnvironment
	}
	return sc, err
}
