package tenants_test

import (
	"testing"

	"github.com/ostiary/ostiary/app/apptest"
	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/tenants/tenanttest"
)

func newWorld(t *testing.T, opts ...tenanttest.Option) *tenanttest.World {
	t.Helper()
	return tenanttest.New(t, apptest.Database(t).AppURL, opts...)
}

func wantKind(t *testing.T, err error, kind errs.Kind) {
	t.Helper()
	if !errs.Is(err, kind) {
		t.Fatalf("got error %v, want kind %s", err, kind)
	}
}

func must[T any](t *testing.T) func(T, error) T {
	t.Helper()
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}
