package clients

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"runtime"
	"testing"
	"time"

	"github.com/ostiary/ostiary/app/scope"
)

func at(t *testing.T, raw string) *url.URL {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// of is a request of an environment.
func of(ctx context.Context, environment string) context.Context {
	return scope.With(ctx, scope.Scope{TenantID: "tnt_" + environment, EnvironmentID: environment})
}

func TestRegistrable_IsWhatSomebodyRegistered(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{
		"evil.example": "evil.example", "a.b.evil.example": "evil.example", "A.Evil.Example": "evil.example", "x.evil.co.uk": "evil.co.uk",
		"one.vercel.app": "one.vercel.app", "deep.one.vercel.app": "one.vercel.app", // whoever hosts there is somebody of their own
		"localhost": "localhost", "127.0.0.1": "127.0.0.1", "co.uk": "co.uk",
	} {
		if got := registrable(host); got != want {
			t.Errorf("%s is counted as %s, want %s", host, got, want)
		}
	}
}

func TestDocuments_MadeUpNamesShareTheirDomainsBudget(t *testing.T) {
	t.Parallel()
	clock := newHand()
	d := documentsAt(t, clock.now)
	allowed := 0
	var busy *BusyError
	for n := range 3 * hostBudget {
		if err := d.spend(t.Context(), at(t, fmt.Sprintf("https://r%d.evil.example/c.json", n)), false); err == nil {
			allowed++
		} else if !errors.As(err, &busy) || busy.After <= 0 || busy.After > budgetWindow {
			t.Fatalf("refused as %v", err)
		}
	}
	if allowed != hostBudget {
		t.Errorf("%d names below one domain are fetched in a minute", allowed)
	}
	if err := d.spend(t.Context(), at(t, "https://app.other.example/c.json"), false); err != nil {
		t.Errorf("another domain: %v", err)
	}
	clock.wait(budgetWindow)
	if err := d.spend(t.Context(), at(t, "https://late.evil.example/c.json"), false); err != nil {
		t.Errorf("a minute later: %v; what is refused is not counted", err)
	}
}

// Who makes up connections of a known host in one environment keeps nobody else's from it.
func TestDocuments_KnownHostsHaveABudgetPerEnvironment(t *testing.T) {
	t.Parallel()
	d := documentsAt(t, newHand().now)
	u := at(t, "https://chatgpt.com/oauth/x/client.json")
	for n := range 2 * hostBudget {
		_ = d.spend(of(t.Context(), "env_a"), at(t, fmt.Sprintf("https://chatgpt.com/made-up/%d", n)), false)
	}
	for range 2 * knownHostBudget {
		_ = d.spend(of(t.Context(), "env_a"), u, true)
	}
	if err := d.spend(of(t.Context(), "env_a"), u, true); err == nil {
		t.Error("one environment's budget has no end")
	}
	if err := d.spend(of(t.Context(), "env_b"), u, true); err != nil {
		t.Errorf("another environment: %v", err)
	}
}

func TestDocuments_KnowWhoIsAStranger(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	d := documentsAt(t, newHand().now)
	if !d.stranger(s.id(), true) {
		t.Error("a document nobody has seen is no stranger's")
	}
	if _, err := d.Get(t.Context(), s.id(), true); err != nil {
		t.Fatal(err)
	}
	if d.stranger(s.id(), true) {
		t.Error("a document we have is a stranger's")
	}
	for _, h := range d.hosts.All() {
		for _, id := range h.Documents {
			if d.stranger(filled(id), false) {
				t.Errorf("%s is a stranger's", id)
			}
			if !d.hosts.Serves(at(t, filled(id)).Hostname()) {
				t.Errorf("nobody we know is at %s", id)
			}
		}
	}
}

func TestSlots_StrangersLeaveSomeToOthers(t *testing.T) {
	t.Parallel()
	s := newSlots()
	now, cancel := context.WithCancel(t.Context())
	cancel() // who would have to wait is refused
	take := func(environment string, known bool, want int) (releases []func()) {
		t.Helper()
		for range fetchesAtOnce {
			ctx := of(now, environment)
			if len(releases) < want {
				ctx = of(t.Context(), environment)
			}
			release, err := s.take(ctx, known)
			if err != nil {
				break
			}
			releases = append(releases, release)
		}
		if len(releases) != want && len(releases) < fetchesAtOnce {
			t.Errorf("%s (known %t) takes %d, want %d", environment, known, len(releases), want)
		}
		return releases
	}
	var all []func()
	for n := range strangersAtOnce / strangersOfOne {
		all = append(all, take(fmt.Sprintf("env_%d", n), false, strangersOfOne)...)
	}
	take("env_late", false, 0)
	known := take("env_0", true, fetchesAtOnce-strangersAtOnce)
	take("env_late", true, 0)
	for _, release := range append(all, known...) {
		release()
	}
	for _, release := range append(take("env_0", true, knownOfOne), take("env_late", true, fetchesAtOnce-knownOfOne)...) {
		release()
	}
	if len(s.of) != 0 || len(s.all) != 0 || len(s.strangers) != 0 {
		t.Errorf("left behind: %d parts, %d slots, %d of strangers", len(s.of), len(s.all), len(s.strangers))
	}
}

// Hosts that let us wait, named in one environment, hold up nobody in another.
func TestSlots_AFloodInOneEnvironmentHoldsUpNobodyElse(t *testing.T) {
	t.Parallel()
	slow, hold := newSite(t), make(chan struct{})
	slow.set(func(s *site) { s.hold = hold })
	d := documentsAt(t, newHand().now)
	d.fetch.timeout = time.Minute // none of them ends by itself
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	defer close(hold)
	for n := range fetchesAtOnce {
		go func() { _, _ = d.fetch.get(of(ctx, "env_a"), at(t, fmt.Sprintf("%s/%d", slow.URL, n)), document) }()
	}
	for len(d.fetch.slots.strangers) < strangersOfOne {
		runtime.Gosched()
	}
	quick := newSite(t)
	if _, err := d.Get(of(t.Context(), "env_b"), quick.id(), true); err != nil {
		t.Errorf("a neighbour's new app: %v", err)
	}
	if n := len(d.fetch.slots.strangers); n != strangersOfOne {
		t.Errorf("one environment holds %d slots", n)
	}
}

// Who waits for a fetch that another environment began does not share its queue.
func TestDocuments_AnotherEnvironmentsQueueIsNotOurs(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	d := documentsAt(t, newHand().now)
	d.fetch.timeout = 2 * time.Second // as long as theirs waits, and ours may take on a slow machine
	full, theirs := of(t.Context(), "env_a"), make(chan error, 1)
	for range strangersOfOne {
		release, err := d.fetch.slots.take(full, false)
		if err != nil {
			t.Fatal(err)
		}
		defer release()
	}
	go func() {
		_, err := d.Get(full, s.id(), true)
		theirs <- err
	}()
	for queued := false; !queued; runtime.Gosched() {
		d.fetch.slots.mu.Lock()
		queued = d.fetch.slots.of[share{environment: "env_a"}].users > strangersOfOne
		d.fetch.slots.mu.Unlock()
	}
	if _, err := d.Get(of(t.Context(), "env_b"), s.id(), true); err != nil {
		t.Errorf("a neighbour: %v", err)
	}
	<-theirs // may find what the neighbour fetched, or no slot
}
