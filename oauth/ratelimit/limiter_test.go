package ratelimit_test

import (
	"log/slog"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/ostiary/ostiary/app/apptest"
	"github.com/ostiary/ostiary/oauth/ratelimit"
	"github.com/ostiary/ostiary/tenants/tenanttest"
)

func TestMain(m *testing.M) { apptest.Main(m) }

// nodes returns n limiters on one database, at one time, which is the beginning of a window.
func nodes(t *testing.T, n int) (*tenanttest.World, []*ratelimit.Limiter) {
	t.Helper()
	w := tenanttest.New(t, apptest.Database(t).AppURL)
	w.Clock.BeginWindow(ratelimit.Window)
	var all []*ratelimit.Limiter
	for range n {
		all = append(all, ratelimit.New(ratelimit.Deps{DB: w.DB, Now: w.Clock.Now, Logger: slog.New(slog.DiscardHandler)}))
	}
	return w, all
}

func use(l *ratelimit.Limiter, k ratelimit.Key, limit, times int) (allowed int) {
	for range times {
		if ok, _ := l.Allow(k, limit); ok {
			allowed++
		}
	}
	return allowed
}

// Shared counts are a tenant's rows: what is nobody's is counted by each node, and keeps nobody else's from being shared.
func TestAllow_CountsWhatIsNobodysOnEachNode(t *testing.T) {
	t.Parallel()
	w, all := nodes(t, 2)
	nobodys, acmes := ratelimit.Key{What: "document", From: "192.0.2.1"}, ratelimit.Key{Scope: w.Acme.Scope(), What: "document"}
	for n, l := range all {
		if got := use(l, nobodys, 10, 15); got != 10 {
			t.Errorf("node %d allows %d of 15, limit 10", n, got)
		}
	}
	use(all[0], acmes, 10, 10)
	use(all[1], acmes, 10, 3)
	for _, l := range all {
		if err := l.Share(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := use(all[1], acmes, 10, 1); got != 0 {
		t.Error("a tenant's count did not reach the other node")
	}
}

func TestAllow_BoundsOneKeyAndNoOther(t *testing.T) {
	t.Parallel()
	w, all := nodes(t, 1)
	l := all[0]
	k := ratelimit.Key{Scope: w.Acme.Scope(), What: "refresh_token", Who: "client", From: "192.0.2.1"}
	if got := use(l, k, 10, 15); got != 10 {
		t.Errorf("%d of 15 allowed, limit 10", got)
	}
	if ok, after := l.Allow(k, 10); ok || after <= 0 || after > ratelimit.Window {
		t.Errorf("allowed %v, retry after %s", ok, after)
	}
	for name, other := range map[string]ratelimit.Key{
		"another address":    {Scope: k.Scope, What: k.What, Who: k.Who, From: "192.0.2.2"},
		"another client":     {Scope: k.Scope, What: k.What, Who: "other", From: k.From},
		"another grant type": {Scope: k.Scope, What: "authorization_code", Who: k.Who, From: k.From},
		"another tenant":     {Scope: w.Neighbour.Scope(), What: k.What, Who: k.Who, From: k.From},
	} {
		if ok, _ := l.Allow(other, 10); !ok {
			t.Errorf("%s is refused as well", name)
		}
	}
	w.Clock.Advance(ratelimit.Window)
	if ok, _ := l.Allow(k, 10); !ok {
		t.Error("a new window begins with the old count")
	}
	if got := use(l, k, 0, 100); got != 100 {
		t.Errorf("without a limit %d of 100 are allowed", got)
	}
}

// What weighs more uses up more, on every node; while anything is left nothing is too heavy.
func TestAllowN_CountsWeights(t *testing.T) {
	t.Parallel()
	w, all := nodes(t, 2)
	k := ratelimit.Key{Scope: w.Acme.Scope(), What: "calls", Who: "server"}
	weigh := func(node, n int) bool {
		ok, _ := all[node].AllowN(k, n, 10)
		return ok
	}
	if !weigh(0, 4) || !weigh(0, 5) {
		t.Error("9 of 10 are refused")
	}
	for _, l := range all {
		if err := l.Share(w.Acme.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if !weigh(0, 100) || weigh(0, 1) {
		t.Error("the last one is refused, or one more is allowed")
	}
	if !weigh(1, 3) { // the other node hears of the rest with its next exchange
		t.Error("the first one on another node is refused")
	}
	for _, l := range all {
		if err := l.Share(w.Acme.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if weigh(1, 1) {
		t.Error("another node allows more than all of them together may")
	}
	if ok, _ := all[0].AllowN(k, 1<<20, 0); !ok {
		t.Error("without a limit something is too heavy")
	}
}

// What came to nothing is given back on every node, once, and to the window that counted it.
func TestGiveBack_TakesNoMoreThanWasCounted(t *testing.T) {
	t.Parallel()
	w, all := nodes(t, 2)
	k := ratelimit.Key{Scope: w.Acme.Scope(), What: "calls", Who: "server"}
	share := func() {
		t.Helper()
		for _, node := range []int{0, 1, 0} {
			if err := all[node].Share(w.Acme.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	fill := func(node int) { // to the bound of 10
		t.Helper()
		if ok, _ := all[node].AllowN(k, 10, 10); !ok {
			t.Fatal("nothing is left")
		}
	}
	full := func(when string, heard ...int) { // a node that counted little has not heard of the rest
		t.Helper()
		for _, node := range heard {
			if ok, _ := all[node].Allow(k, 10); ok {
				t.Errorf("%s: node %d still allows", when, node)
			}
		}
	}
	all[0].GiveBack(k, 5, w.Clock.Now()) // nothing was counted: it opens nothing
	counted := w.Clock.Now()
	fill(0)
	all[0].GiveBack(k, 100, counted)
	fill(0)
	share()
	full("more was given back than was counted", 0)
	all[0].GiveBack(k, 10, counted)
	share()
	fill(1)
	share()
	full("what was shared was given back", 0, 1)
	for _, l := range all {
		l.GiveBack(k, 100, counted)
	}
	share()
	fill(0)
	share()
	full("both nodes gave all of it back", 0, 1)

	w.Clock.Advance(ratelimit.Window)
	fill(0)
	share()
	all[0].GiveBack(k, 10, counted)
	full("it was counted a window ago", 0)
}

// A count keeps nothing of the request it counts: what a client calls itself is cut from a body of any length.
func TestAllow_KeepsNoRequest(t *testing.T) {
	_, all := nodes(t, 1) // not parallel: it measures memory
	l := all[0]
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	const keys, body = 10_000, 16 << 10
	for n := range keys {
		request := strings.Repeat(strconv.Itoa(n%10), body) + strconv.Itoa(n)
		l.Allow(ratelimit.Key{What: "refresh_token", Who: request[body:], From: request[body:]}, 10)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > keys*body/10 {
		t.Errorf("%d keys hold %d bytes", keys, grown)
	}
	runtime.KeepAlive(l)
}

func TestShare_HoldsOverNodes(t *testing.T) {
	t.Parallel()
	w, all := nodes(t, 3)
	k := ratelimit.Key{Scope: w.Acme.Scope(), What: "refresh_token", Who: "client", From: "192.0.2.1"}
	neighbour := k
	neighbour.Scope = w.Neighbour.Scope()
	allowed := 0
	for range 10 {
		for _, l := range all {
			allowed += use(l, k, 60, 5)
			use(l, neighbour, 60, 1)
			if err := l.Share(w.Acme.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if allowed < 60 || allowed > 60+3*5 {
		t.Errorf("three nodes allowed %d together, limit 60", allowed)
	}
	for i, l := range all {
		if ok, _ := l.Allow(k, 60); ok {
			t.Errorf("node %d still allows", i)
		}
		if ok, _ := l.Allow(neighbour, 60); !ok {
			t.Errorf("node %d refuses the neighbour", i)
		}
	}
}
