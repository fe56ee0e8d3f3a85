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

// A firewall that forgets a connection says nothing: the listener finds out, and tells that anything may have changed.
func TestListen_FindsOutThatItHearsNothing(t *testing.T) {
	t.Parallel()
	database := apptest.Database(t)
	cable := host.NewCable(t, database.AppURL)
	far, err := db.Open(t.Context(), db.Options{
		URL: cable.URL, Logger: slog.New(slog.DiscardHandler), Now: time.Now, ListenCheck: 200 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(far.Close)
	near, err := db.Open(t.Context(), db.Options{URL: database.AppURL, Logger: slog.New(slog.DiscardHandler), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(near.Close)
	ctx, _ := tenant(t, near, "acme")
	changes := make(chan db.Change, 100)
	listening, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		far.Listen(listening, func(c db.Change) { changes <- c })
	}()
	notify := func(environment string) {
		err := near.InTenant(ctx, func(ctx context.Context, _ *gorm.DB) error { return near.Notify(ctx, environment) })
		if err != nil {
			t.Fatal(err)
		}
	}
	next := func(what string) db.Change {
		select {
		case c := <-changes:
			return c
		case <-time.After(20 * time.Second):
			t.Fatalf("%s did not come", what)
			return db.Change{}
		}
	}
	if c := next("the beginning"); c != (db.Change{}) {
		t.Errorf("began with %+v", c)
	}
	notify("env_1")
	if c := next("a change"); c.EnvironmentID != "env_1" {
		t.Errorf("heard %+v", c)
	}
	time.Sleep(500 * time.Millisecond) // silence alone is no reason to reconnect
	if len(changes) > 0 {
		t.Error("silence was taken for a loss")
	}
	cable.Deafen()
	notify("env_2") // lost
	notify("env_3") // lost
	cable.Hear()
	if c := next("the recovery"); c != (db.Change{}) {
		t.Errorf("recovered with %+v; anything may have changed", c)
	}
	notify("env_4")
	if c := next("a change after the recovery"); c.EnvironmentID != "env_4" {
		t.Errorf("heard %+v", c)
	}
	stop()
	<-ended
}
