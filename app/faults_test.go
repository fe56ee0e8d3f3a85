package app_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ostiary/ostiary/app/apptest"
	"github.com/ostiary/ostiary/app/apptest/host"
)

// goesOn waits until the load has made n more requests, so that something happens before, during and after each fault.
func (l *load) goesOn(t *testing.T, n int64) {
	t.Helper()
	until := l.requests.Load() + n
	eventually(t, "more load", func() bool { return l.requests.Load() >= until })
}

// recovers waits until hosts are served again: a few codes are redeemed and nobody is told to wait meanwhile.
func (l *load) recovers(t *testing.T) {
	t.Helper()
	served, waited := l.redeemed.Load(), l.waits.Load()
	eventually(t, "recovery", func() bool {
		if now := l.waits.Load(); now != waited {
			served, waited = l.redeemed.Load(), now
		}
		return l.redeemed.Load() > served+2
	})
}

// The database is stopped, killed and started again under load: hosts are told to come back, and lose nothing.
func TestFaults_DatabaseStoppedAndKilled(t *testing.T) {
	t.Parallel()
	server := apptest.NewPrivate(t, "")
	s := host.New(t, host.WithDatabase(server.DB), host.WithNodes(2))
	l := newLoad(t, s, 4)
	l.patient, l.crashes = true, true
	l.start()
	l.connecting(t, s)
	for _, end := range []func(testing.TB){server.Stop, server.Kill, server.Kill} {
		l.goesOn(t, 50)
		end(t)
		l.goesOn(t, 20)
		server.Start(t)
		l.recovers(t)
	}
	l.end(t)
	l.alive(t)
	if l.waits.Load() == 0 {
		t.Error("nobody noticed: the test proves nothing")
	}
}

func TestFaults_ConnectionsCut(t *testing.T) {
	t.Parallel()
	s := host.New(t, host.WithNodes(2))
	l := newLoad(t, s, 4)
	l.patient = true
	l.start()
	l.connecting(t, s)
	for range 10 {
		l.goesOn(t, 25)
		s.Cable.Snap()
	}
	l.recovers(t)
	l.end(t)
	l.alive(t)
}

// A node is killed in the middle of its work, again and again. Whatever it had committed and not said is found again.
func TestFaults_NodeKilled(t *testing.T) {
	t.Parallel()
	s := host.New(t, host.WithNodes(2), host.WithDrainDelay(time.Millisecond))
	for i := range s.Nodes { // the load runs on processes only
		s.Edge.Remove(s.Nodes[i].URL)
	}
	first, second := s.StartProcess(t), s.StartProcess(t)
	l := newLoad(t, s, 4)
	l.patient, l.killed = true, true
	l.start()
	l.connecting(t, s)
	for range 3 {
		l.goesOn(t, 40)
		first.Kill()
		s.Edge.Remove(first.URL)
		first, second = second, s.StartProcess(t)
	}
	l.recovers(t)
	l.end(t)
	l.alive(t)
}

// The disk of the database fills up under load: writing is refused cleanly, and when there is room again everything goes on.
// When even the log cannot be written the server gives up; then it is started again.
func TestFaults_DiskFull(t *testing.T) {
	t.Parallel()
	disk, real := smallDisk(t, 192<<20)
	server := apptest.NewPrivate(t, disk)
	s := host.New(t, host.WithDatabase(server.DB), host.WithNodes(2))
	l := newLoad(t, s, 4)
	l.patient, l.crashes = true, true
	l.start()
	l.connecting(t, s)
	l.goesOn(t, 50)
	fill, free := simulatedDisk(t, server)
	if real {
		fill, free = realDisk(t, disk, server)
	}
	fill()
	eventually(t, "the end of the disk", func() bool { return l.waits.Load() > 20 })
	free()
	l.recovers(t)
	l.end(t)
	l.alive(t)
}

// realDisk fills the file system that holds the data, to the last byte of the log.
func realDisk(t *testing.T, disk string, server *apptest.Private) (fill, free func()) {
	t.Helper()
	ballast := filepath.Join(disk, "ballast")
	fill = func() {
		f, err := os.Create(ballast)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		block := make([]byte, 1<<20)
		for err == nil {
			_, err = f.Write(block)
			if errors.Is(err, syscall.ENOSPC) && len(block) > 1 {
				block, err = block[:len(block)/2], nil
			}
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
		switchLog(t, server.AdminURL())
	}
	return fill, func() {
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
		server.Stop(t) // it may have ended by itself
		server.Start(t)
	}
}

// switchLog makes the server begin another file of its log until it has no room for one.
func switchLog(t *testing.T, adminURL string) {
	t.Helper()
	for range 20 {
		conn, err := pgx.Connect(context.Background(), adminURL)
		if err != nil {
			return // it has given up
		}
		_, err = conn.Exec(context.Background(), `select pg_switch_wal()`)
		conn.Close(context.Background())
		if err != nil {
			return
		}
	}
	t.Error("the log never ran out of room")
}

// simulatedDisk makes every growing write fail as it does on a full disk, where a test may not make a small one.
func simulatedDisk(t *testing.T, server *apptest.Private) (fill, free func()) {
	t.Helper()
	run := func(statements string) {
		conn, err := pgx.Connect(context.Background(), server.OwnerURL)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(context.Background())
		if _, err := conn.Exec(context.Background(), statements); err != nil {
			t.Fatal(err)
		}
	}
	fill = func() {
		run(`create function disk_full() returns trigger language plpgsql as
			$$ begin raise exception 'could not extend file: No space left on device' using errcode = 'disk_full'; end $$;
			create trigger full before insert or update on grants for each row execute function disk_full();
			create trigger full before insert or update on sessions for each row execute function disk_full()`)
	}
	return fill, func() { run(`drop function disk_full() cascade`) }
}
