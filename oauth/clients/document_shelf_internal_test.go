package clients

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// site is a host of metadata documents on loopback.
type site struct {
	*httptest.Server
	asked atomic.Int32

	mu      sync.Mutex
	status  int
	header  http.Header
	members map[string]string
	body    string        // in place of a document
	hold    chan struct{} // answers wait for it
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{status: 200, header: http.Header{}}
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.Close)
	return s
}

func (s *site) serve(w http.ResponseWriter, r *http.Request) {
	s.asked.Add(1)
	s.mu.Lock()
	hold := s.hold
	s.mu.Unlock()
	if hold != nil {
		<-hold
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	for name, values := range s.header {
		w.Header()[name] = values
	}
	body := []byte(s.body)
	if s.body == "" {
		members := map[string]string{"client_id": `"http://` + r.Host + r.URL.Path + `"`}
		for name, value := range s.members {
			members[name] = value
		}
		body = describe(members)
	}
	w.WriteHeader(s.status)
	_, _ = w.Write(body)
}

func (s *site) set(change func(*site)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

func (s *site) id() string { return s.URL + "/client.json" }

// hand is a clock that only moves by hand.
type hand struct{ at atomic.Int64 }

func (h *hand) now() time.Time          { return time.Unix(0, h.at.Load()) }
func (h *hand) wait(d time.Duration)    { h.at.Add(int64(d)) }
func (h *hand) start() *hand            { h.at.Store(time.Now().UnixNano()); return h }
func newHand() *hand                    { return new(hand).start() }
func cacheControl(v string) func(*site) { return func(s *site) { s.header.Set("Cache-Control", v) } }

func documentsAt(t *testing.T, now func() time.Time) *Documents {
	t.Helper()
	hosts, err := LoadHosts()
	if err != nil {
		t.Fatal(err)
	}
	d, err := NewDocuments(DocumentsDeps{Now: now, Logger: slog.New(slog.DiscardHandler), Hosts: hosts})
	if err != nil {
		t.Fatal(err)
	}
	d.documents.patience = time.Minute // a slow machine's news of what we have come in time
	return d
}

func TestDocuments_AreFetchedOnceAndKeptAsLongAsTheirHostSays(t *testing.T) {
	t.Parallel()
	clock, s := newHand(), newSite(t)
	d := documentsAt(t, clock.now)
	s.set(cacheControl("max-age=300"))
	get := func() *Client {
		t.Helper()
		c, err := d.Get(t.Context(), s.id(), true)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	get()
	s.set(func(s *site) { s.members = map[string]string{"client_name": `"Renamed"`} })
	clock.wait(299 * time.Second)
	if c := get(); c.Name != "Test host" || s.asked.Load() != 1 {
		t.Errorf("while fresh: %q after %d fetches", c.Name, s.asked.Load())
	}
	clock.wait(2 * time.Second)
	if c := get(); c.Name != "Renamed" || s.asked.Load() != 2 {
		t.Errorf("when stale: %q after %d fetches", c.Name, s.asked.Load())
	}
	s.set(cacheControl("no-store"))
	clock.wait(6 * time.Minute)
	get()
	clock.wait(59 * time.Second)
	if get(); s.asked.Load() != 3 {
		t.Errorf("%d fetches: even no-store costs one a minute at most", s.asked.Load())
	}
}

func TestDocuments_ManyWaitForOneFetch(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	d := documentsAt(t, newHand().now)
	hold := make(chan struct{})
	s.set(func(s *site) { s.hold = hold })
	var all sync.WaitGroup
	errs := make(chan error, 50)
	for range 50 {
		all.Go(func() {
			_, err := d.Get(t.Context(), s.id(), true)
			errs <- err
		})
	}
	close(hold)
	all.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
	// One that looked before the fetch ended and asks after it.
	late := holding[*Client]{}
	if got, _, err := d.documents.load(t.Context(), documentKey{s.id(), true}, late, failure{}); err != nil || got == nil {
		t.Errorf("a late one: %v", err)
	}
	if n := s.asked.Load(); n != 1 {
		t.Errorf("%d fetches for 50 requests at once", n)
	}
}

func TestDocuments_GoOnForAWeekWhileTheirHostIsAway(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(*site){
		"down":           func(s *site) { s.status = 503 },
		"blocks us":      func(s *site) { s.status, s.body = 403, "<html>" },
		"challenges us":  func(s *site) { s.header.Set("Content-Type", "text/html") },
		"not found":      func(s *site) { s.status = 404 },
		"error as JSON":  func(s *site) { s.body = `{"error":"blocked"}` },
		"half a answer":  func(s *site) { s.body = `{"client_id":"` },
		"far too large":  func(s *site) { s.body = strings.Repeat(" ", 10<<10) },
		"redirects away": func(s *site) { s.status = 302; s.header.Set("Location", "http://169.254.169.254/") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clock, s := newHand(), newSite(t)
			d := documentsAt(t, clock.now)
			if _, err := d.Get(t.Context(), s.id(), true); err != nil {
				t.Fatal(err)
			}
			s.set(fail)
			clock.wait(staleFor - time.Minute)
			if _, err := d.Get(t.Context(), s.id(), true); err != nil {
				t.Errorf("within a week: %v", err)
			}
			clock.wait(2 * time.Minute)
			if _, err := d.Get(t.Context(), s.id(), true); !hostAway(err) {
				t.Errorf("after a week: %v", err)
			}
		})
	}
	clock, s := newHand(), newSite(t)
	d := documentsAt(t, clock.now)
	_, _ = d.Get(t.Context(), s.id(), true)
	s.Close()
	clock.wait(24 * time.Hour)
	if _, err := d.Get(t.Context(), s.id(), true); err != nil {
		t.Errorf("gone from the network: %v", err)
	}
}

// What the host does say counts at once.
func TestDocuments_AHostThatAnswersIsBelieved(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*site){
		"gone":                 func(s *site) { s.status = 410 },
		"another client's":     func(s *site) { s.members = map[string]string{"client_id": `"https://evil.example/c"`} },
		"with a secret":        func(s *site) { s.members = map[string]string{"client_secret": `"x"`} },
		"with its private key": func(s *site) { s.members = map[string]string{"jwks": `{"keys":[` + privateJWK + `]}`} },
	} {
		clock, s := newHand(), newSite(t)
		d := documentsAt(t, clock.now)
		if _, err := d.Get(t.Context(), s.id(), true); err != nil {
			t.Fatal(err)
		}
		s.set(change)
		clock.wait(2 * time.Hour)
		if _, err := d.Get(t.Context(), s.id(), true); err == nil || hostAway(err) {
			t.Errorf("%s: %v", name, err)
		}
		s.set(func(s *site) { s.status = 503 })
		clock.wait(time.Minute)
		if _, err := d.Get(t.Context(), s.id(), true); err == nil {
			t.Errorf("%s: the old copy came back", name)
		}
	}
}

func TestDocuments_AFailureIsHeldForSeconds(t *testing.T) {
	t.Parallel()
	clock, s := newHand(), newSite(t)
	d := documentsAt(t, clock.now)
	s.set(func(s *site) { s.status = 503 })
	for range 5 {
		if _, err := d.Get(t.Context(), s.id(), true); err == nil {
			t.Fatal("no error")
		}
	}
	if n := s.asked.Load(); n != 1 {
		t.Errorf("%d fetches within ten seconds", n)
	}
	s.set(func(s *site) { s.status = 200 })
	clock.wait(failedFor)
	if _, err := d.Get(t.Context(), s.id(), true); err != nil {
		t.Errorf("after ten seconds: %v", err)
	}
}

func TestDocuments_NobodyWaitsLongForNewsOfWhatWeHave(t *testing.T) {
	t.Parallel()
	clock, s := newHand(), newSite(t)
	d := documentsAt(t, clock.now)
	d.documents.patience = 10 * time.Millisecond
	if _, err := d.Get(t.Context(), s.id(), true); err != nil {
		t.Fatal(err)
	}
	hold := make(chan struct{})
	defer close(hold)
	s.set(func(s *site) { s.hold = hold })
	clock.wait(2 * time.Hour)
	if _, err := d.Get(t.Context(), s.id(), true); err != nil { // it would hang: the host never answers
		t.Error(err)
	}
}

func TestDocuments_AreNoToolAgainstAHost(t *testing.T) {
	t.Parallel()
	clock, s := newHand(), newSite(t)
	d := documentsAt(t, clock.now)
	for n := range 3 * hostBudget {
		_, _ = d.Get(t.Context(), fmt.Sprintf("%s/%d.json", s.URL, n), true)
	}
	if n := int(s.asked.Load()); n != hostBudget {
		t.Errorf("%d fetches of new documents of one host in a minute", n)
	}
	if _, err := d.Get(t.Context(), s.URL+"/0.json", true); err != nil {
		t.Errorf("one we have: %v", err)
	}
	clock.wait(budgetWindow)
	if _, err := d.Get(t.Context(), s.URL+"/later.json", true); err != nil {
		t.Errorf("a minute later: %v", err)
	}
}

func TestDocuments_MemoryIsBounded(t *testing.T) {
	t.Parallel()
	r := newRecently[int, int](3)
	for n := range 10 {
		r.put(n, n)
		r.get(0)
	}
	if _, kept := r.get(0); len(r.entries) != 3 || r.order.Len() != 3 || !kept {
		t.Errorf("%d entries; what is in use stays: %v", len(r.entries), kept)
	}
}

func TestDocuments_OfThisMachineAreForIssuersOnIt(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	d := documentsAt(t, newHand().now)
	if _, err := d.Get(t.Context(), s.id(), true); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Get(t.Context(), s.id(), false); !errors.Is(err, ErrDocumentURL) {
		t.Errorf("for an issuer elsewhere: %v", err)
	}
}

func TestNewDocuments_ChecksWhatAnswersForADocument(t *testing.T) {
	t.Parallel()
	hosts, err := LoadHosts()
	if err != nil {
		t.Fatal(err)
	}
	deps := DocumentsDeps{Now: time.Now, Logger: slog.New(slog.DiscardHandler), Hosts: hosts, Overrides: map[string][]byte{
		testID: describe(nil), "https://h.example/jwks": []byte(`{"keys":[` + publicJWK + `]}`),
	}}
	d, err := NewDocuments(deps)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := d.Get(t.Context(), testID, false); err != nil || c.Document.Host != "h.example" {
		t.Errorf("%+v %v", c, err)
	}
	if keys, err := d.keySet(t.Context(), "https://h.example/jwks", false); err != nil || len(keys) != 1 {
		t.Errorf("%d keys, %v", len(keys), err)
	}
	for name, raw := range map[string][]byte{"another client's document": describe(nil), "nothing we know": []byte(`{"x":1}`)} {
		deps.Overrides = map[string][]byte{"https://other.example/c": raw}
		if _, err := NewDocuments(deps); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}
