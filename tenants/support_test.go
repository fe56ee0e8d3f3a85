package tenants_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/ostiary/ostiary/app/db"
	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/scope"
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
	deadline := time.After(10 * time.Second)
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
