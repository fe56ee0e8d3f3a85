package tenants_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ostiary/ostiary/app/db"
	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/scope"
	"github.com/ostiary/ostiary/tenants/apply"
	"github.com/ostiary/ostiary/tenants/tenanttest"
)

// wantField asks for an errs.Invalid error that names the field.
func wantField(t *testing.T, err error, field string) {
	t.Helper()
	var e *errs.Error
	if !errors.As(err, &e) || e.Kind != errs.Invalid {
		t.Errorf("got error %v, want one about %s", err, field)
		return
	}
	if e.Fields[field] == "" {
		t.Errorf("got messages for %v, want one for %s", e.Fields, field)
	}
}

// changes are the notifications of committed changes, as every node gets them.
type changes struct{ seen chan db.Change }

func listen(t *testing.T, w *tenanttest.World) *changes {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	c := &changes{seen: make(chan db.Change, 100)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.DB.Listen(ctx, func(change db.Change) { c.seen <- change })
	}()
	t.Cleanup(func() { stop(); <-done })
	c.wait(t, scope.Scope{}) // the zero change says that it listens
	return c
}

func (c *changes) wait(t *testing.T, want scope.Scope) {
	t.Helper()
	deadline := time.After(time.Minute)
	for {
		select {
		case got := <-c.seen:
			if got.TenantID == want.TenantID && got.EnvironmentID == want.EnvironmentID {
				return
			}
		case <-deadline:
			t.Fatalf("no notification of %v", want)
		}
	}
}

// none fails when a change other than the zero one was seen.
func (c *changes) none(t *testing.T) {
	t.Helper()
	for {
		select {
		case got := <-c.seen:
			if got != (db.Change{}) {
				t.Fatalf("unexpected notification %v", got)
			}
		default:
			return
		}
	}
}

// statements counts what is sent to Postgres.
type statements struct{ n atomic.Int64 }

func (s *statements) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	s.n.Add(1)
	return ctx
}
func (*statements) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}
func (s *statements) TraceBatchStart(ctx context.Context, _ *pgx.Conn, d pgx.TraceBatchStartData) context.Context {
	s.n.Add(int64(d.Batch.Len()))
	return ctx
}
func (*statements) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}
func (*statements) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData)     {}

// manyServers gives the tenant four servers more.
func manyServers(f *apply.File) {
	e := &f.Environments[0]
	for _, name := range []string{"a", "b", "c", "d"} {
		r := e.Resources[0]
		r.Identifier, r.Name = "https://"+name+".acme.example/mcp", "Server "+name
		e.Resources = append(e.Resources, r)
	}
}
