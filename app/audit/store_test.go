package audit_test

import (
	"context"
	"errors"
	"log/slog"
	"reflect"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/ostiary/ostiary/app/apptest"
	"github.com/ostiary/ostiary/app/audit"
	"github.com/ostiary/ostiary/app/db"
	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/scope"
	"github.com/ostiary/ostiary/app/secret"
)

func TestMain(m *testing.M) { apptest.Main(m) }

var at = time.Date(2026, 11, 3, 12, 0, 0, 0, time.UTC)

func now() time.Time { return at }

// twoTenants returns a database with two tenants, which these tests know by id only.
func twoTenants(t *testing.T) (d *db.DB, acme, neighbour context.Context) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	d, err := db.Open(t.Context(), db.Options{URL: apptest.Database(t).AppURL, Logger: log, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	var contexts []context.Context
	for range 2 {
		id := secret.NewID("ten")
		ctx := scope.With(context.Background(), scope.Scope{TenantID: id, EnvironmentID: "env_" + id})
		err := d.InTenant(ctx, func(_ context.Context, tx *gorm.DB) error {
			return tx.Exec(`insert into tenants (id, slug, name, created_at) values (?, 'some-tenant', 'Some', ?)`, id, at).Error
		})
		if err != nil {
			t.Fatal(err)
		}
		contexts = append(contexts, ctx)
	}
	return d, contexts[0], contexts[1]
}

func TestRecord_KeepsWhoDidWhatWhere(t *testing.T) {
	t.Parallel()
	d, acme, neighbour := twoTenants(t)
	r := audit.NewRecorder(audit.Deps{DB: d, Now: now})
	ctx := scope.WithRequestID(scope.WithActor(acme, scope.Actor{Kind: scope.ActorMember, ID: "mem_1"}), "req_1")
	event := audit.Event{
		Action: "resource.published", TargetKind: "resource", TargetID: "res_1", Detail: map[string]any{"revision": 2.0},
	}
	if err := r.Record(ctx, event); err != nil {
		t.Fatal(err)
	}
	got, err := r.List(acme, 10)
	if err != nil || len(got) != 1 {
		t.Fatalf("List = %+v, %v", got, err)
	}
	s, err := scope.From(acme)
	if err != nil {
		t.Fatal(err)
	}
	want := audit.Entry{
		Event: event, ID: got[0].ID, EnvironmentID: s.EnvironmentID, At: at,
		Actor: scope.Actor{Kind: scope.ActorMember, ID: "mem_1"}, RequestID: "req_1",
	}
	if !reflect.DeepEqual(got[0], want) {
		t.Errorf("recorded %+v, want %+v", got[0], want)
	}
	if other, err := r.List(neighbour, 10); err != nil || len(other) != 0 {
		t.Errorf("the neighbour sees %+v, %v", other, err)
	}
	if _, err := r.List(context.Background(), 10); !errs.Is(err, errs.Internal) {
		t.Errorf("without a tenant: %v", err)
	}
	if err := r.Record(context.Background(), event); !errs.Is(err, errs.Internal) {
		t.Errorf("without a tenant: %v", err)
	}
}

func TestRecord_LivesAndDiesWithItsChange(t *testing.T) {
	t.Parallel()
	d, acme, _ := twoTenants(t)
	r := audit.NewRecorder(audit.Deps{DB: d, Now: now})
	failed := errors.New("the change failed")
	err := d.InTenant(acme, func(ctx context.Context, _ *gorm.DB) error {
		if err := r.Record(ctx, audit.Event{Action: "user.created"}); err != nil {
			return err
		}
		return failed
	})
	if !errors.Is(err, failed) {
		t.Fatal(err)
	}
	if got, err := r.List(acme, 10); err != nil || len(got) != 0 {
		t.Errorf("an event of what did not happen: %+v, %v", got, err)
	}
}

func TestRecord_RefusesSecrets(t *testing.T) {
	t.Parallel()
	d, acme, _ := twoTenants(t)
	r := audit.NewRecorder(audit.Deps{DB: d, Now: now})
	for _, detail := range []map[string]any{
		{"password": "x"}, {"Client_Secret": "x"}, {"new": map[string]any{"refresh_token": "x"}},
	} {
		if err := r.Record(acme, audit.Event{Action: "x.changed", Detail: detail}); err == nil {
			t.Errorf("recorded %v", detail)
		}
	}
}

func TestEventsCannotBeRewritten(t *testing.T) {
	t.Parallel()
	d, acme, _ := twoTenants(t)
	r := audit.NewRecorder(audit.Deps{DB: d, Now: now})
	if err := r.Record(acme, audit.Event{Action: "user.created"}); err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{"update audit_events set action = 'x'", "delete from audit_events"} {
		err := d.InTenant(acme, func(_ context.Context, tx *gorm.DB) error { return tx.Exec(statement).Error })
		if err == nil {
			t.Errorf("%s succeeded", statement)
		}
	}
}
