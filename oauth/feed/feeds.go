package feed

import (
	"log/slog"
	"sync"
	"time"

	"github.com/ostiary/ostiary/app/db"
	"github.com/ostiary/ostiary/app/policy"
	"github.com/ostiary/ostiary/app/scope"
)

// Deps of Feeds.
type Deps struct {
	DB      *db.DB
	Issuers Issuers
	Now     func() time.Time
	Logger  *slog.Logger

	Seats    int           // streams and waiting requests at once; 0 means DefaultSeats
	Poll     time.Duration // how often the sequence is read; 0 means PollEvery
	Patience time.Duration // how long a reader may take for one event; 0 means 10 s
}

const (
	// DefaultSeats is how many streams and waiting requests a node holds.
	DefaultSeats = 25_000
	// PollEvery is what a lost notification costs.
	PollEvery = 2 * time.Second

	defaultPatience = 10 * time.Second

	maxIdle = 10_000 // issuers nobody listens to, whose last edition is kept
)

// Feeds serves the feeds of every issuer on this node.
type Feeds struct {
	issuers Issuers
	store   store
	now     func() time.Time
	log     *slog.Logger
	seats   *seats
	poll    time.Duration

	patience time.Duration

	ending   chan struct{} // closed when streams have to end
	endOnce  sync.Once
	watchers sync.WaitGroup

	mu   sync.Mutex
	hubs map[string]*hub // by issuer URL
}

// New returns Feeds. Close them before their database.
func New(d Deps) *Feeds {
	if d.Seats == 0 {
		d.Seats = DefaultSeats
	}
	if d.Poll == 0 {
		d.Poll = PollEvery
	}
	if d.Patience == 0 {
		d.Patience = defaultPatience
	}
	return &Feeds{
		issuers: d.Issuers, store: store{d.DB}, now: d.Now, log: d.Logger, seats: newSeats(d.Seats), poll: d.Poll,
		patience: d.Patience,
		ending:   make(chan struct{}), hubs: map[string]*hub{},
	}
}

// Changed takes up that an environment changed, or that any may have when change is zero.
func (f *Feeds) Changed(change db.Change) {
	if change != (db.Change{}) && !change.Feed {
		return // keys and settings are taken up with the next edition
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, h := range f.hubs {
		if change == (db.Change{}) || h.scope.EnvironmentID == change.EnvironmentID {
			h.stir()
		}
	}
}

// EndStreams answers everybody who waits and ends every stream, so that a node can stop: clients go to another one. It may
// be repeated.
func (f *Feeds) EndStreams() {
	f.endOnce.Do(func() {
		f.mu.Lock() // nobody begins to watch from here on
		defer f.mu.Unlock()
		close(f.ending)
	})
}

// Close ends streams and waits until nothing reads any more.
func (f *Feeds) Close() {
	f.EndStreams()
	f.watchers.Wait()
}

func (f *Feeds) ended() bool {
	select {
	case <-f.ending:
		return true
	default:
		return false
	}
}

// hub returns the hub of an issuer.
func (f *Feeds) hub(url string, sc scope.Scope) *hub {
	f.mu.Lock()
	defer f.mu.Unlock()
	if h := f.hubs[url]; h != nil && h.scope == sc {
		return h
	}
	if len(f.hubs) >= maxIdle {
		for other, h := range f.hubs {
			if h.idle() {
				delete(f.hubs, other)
			}
		}
	}
	h := &hub{feeds: f, url: url, scope: sc, changed: make(chan struct{}), wake: make(chan struct{}, 1)}
	f.hubs[url] = h
	return h
}

// resignAfter makes subscribers hear something every policy.FeedEvery at the latest.
func (f *Feeds) resignAfter() time.Duration { return policy.FeedEvery - f.poll }
