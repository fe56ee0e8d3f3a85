package db_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/ostiary/ostiary/app/apptest"
	"github.com/ostiary/ostiary/app/apptest/host"
	"github.com/ostiary/ostiary/app/db"
)

// ear is a node that listens through a cable, and another that changes things.
type ear struct {
	cable  *host.Cable
	near   *db.DB
	tenant context.Context //nolint:containedctx // one test
	heard  chan db.Change
}

func newEar(t *testing.T) *ear {
	t.Helper()
	database := apptest.Database(t)
	e := &ear{cable: host.NewCable(t, database.AppURL), heard: make(chan db.Change, 1000)}
	open := func(url string) *db.DB {
		d, err := db.Open(t.Context(), db.Options{
			URL: url, Logger: slog.New(slog.DiscardHandler), Now: time.Now, ListenCheck: 100 * time.Millisecond,
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(d.Close)
		return d
	}
	far := open(e.cable.URL)
	e.near = open(database.AppURL)
	e.tenant, _ = tenant(t, e.near, "acme")
	listening, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		far.Listen(listening, func(c db.Change) { e.heard <- c })
	}()
	t.Cleanup(func() { stop(); <-ended })
	return e
}

func (e *ear) notify(t *testing.T, environment string) {
	t.Helper()
	err := e.near.InTenant(e.tenant, func(ctx context.Context, _ *gorm.DB) error { return e.near.Notify(ctx, environment) })
	if err != nil {
		t.Fatal(err)
	}
}

// patience is for what must come; only a failing test waits that long.
const patience = time.Minute

func (e *ear) next(t *testing.T, what string) db.Change {
	t.Helper()
	select {
	case c := <-e.heard:
		return c
	case <-time.After(patience):
		t.Fatalf("%s did not come", what)
		return db.Change{}
	}
}

// hears changes an environment and waits until that is heard. A listener that lost its connection meanwhile, which a slow
// machine may make it believe at any time, says that anything may have changed; then the change is made again.
func (e *ear) hears(t *testing.T, environment string) {
	t.Helper()
	e.notify(t, environment)
	for {
		switch c := e.next(t, environment); {
		case c.EnvironmentID == environment:
			return
		case c == db.Change{}:
			e.notify(t, environment)
		default:
			t.Fatalf("heard %+v, which was lost", c)
		}
	}
}

// A firewall that forgets a connection says nothing: the listener finds out, and tells that anything may have changed.
func TestListen_FindsOutThatItHearsNothing(t *testing.T) {
	t.Parallel()
	e := newEar(t)
	if c := e.next(t, "the beginning"); c != (db.Change{}) {
		t.Errorf("began with %+v", c)
	}
	e.hears(t, "env_1")
	e.cable.Deafen()
	e.notify(t, "env_2") // lost
	e.notify(t, "env_3") // lost
	e.cable.Hear()
	if c := e.next(t, "the recovery"); c != (db.Change{}) {
		t.Fatalf("recovered with %+v; anything may have changed", c)
	}
	e.hears(t, "env_4")
}

// Silence alone is no reason to connect again: one connection is asked again and again whether it lives, and goes on.
func TestListen_BelievesInALivingSilence(t *testing.T) {
	t.Parallel()
	e := newEar(t)
	for deadline := time.Now().Add(patience); e.cable.Asked() < 3; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("no connection outlived three silences")
		}
	}
	e.hears(t, "env_1")
}
