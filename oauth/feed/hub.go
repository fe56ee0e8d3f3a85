package feed

import (
	"context"
	"sync"
	"time"

	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/policy"
	"github.com/ostiary/ostiary/app/scope"
)

// hub keeps the current edition of one issuer and tells whoever listens when there is a newer one.
type hub struct {
	feeds *Feeds
	url   string
	scope scope.Scope
	wake  chan struct{} // a notification came

	reading sync.Mutex // one read at a time: editions come in order

	mu        sync.Mutex
	current   *edition      // newest; nil before the first
	announced *edition      // the one listeners were told of
	changed   chan struct{} // closed when listeners are told
	stale     bool          // something changed since current was read
	failedAt  time.Time     // of the last read, zero when it went well
	gone      bool          // there is no such issuer any more
	listeners int
	stop      context.CancelFunc // of the watch, while there are listeners
}

const (
	restFor     = 500 * time.Millisecond // between two editions: many changes at once are told of together
	freshFor    = 2 * time.Second        // how old an answer to a single request may be
	retryAfter  = time.Second
	readTimeout = 3 * time.Second
)

// errAway is answered while there is nothing that could be said.
var errAway = errs.New(errs.Unavailable, "Try again in a moment.")

// join counts a listener in. The first one starts what keeps the hub current.
func (h *hub) join() {
	h.feeds.mu.Lock() // before mu, as everywhere
	defer h.feeds.mu.Unlock()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.listeners++
	if h.listeners > 1 {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	h.stop = cancel
	if !h.feeds.ended() {
		h.feeds.watchers.Go(func() { h.watch(ctx) })
	}
}

// leave counts a listener out. The last one ends it.
func (h *hub) leave() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.listeners--
	if h.listeners == 0 {
		h.stop()
	}
}

func (h *hub) idle() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.listeners == 0
}

// stir makes the watch look at once, and single requests not believe what they find.
func (h *hub) stir() {
	h.mu.Lock()
	h.stale = true
	h.mu.Unlock()
	select {
	case h.wake <- struct{}{}:
	default: // it is going to
	}
}

// latest returns what listeners were told of last, nil before the first, and what is closed when they are told again.
func (h *hub) latest() (*edition, <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.announced, h.changed
}

// watch keeps the hub current until ctx or the node ends.
func (h *hub) watch(ctx context.Context) {
	tick := time.NewTicker(h.feeds.poll)
	defer tick.Stop()
	for {
		woken := false
		select {
		case <-ctx.Done():
			return
		case <-h.feeds.ending:
			return
		case <-h.wake:
			woken = true
		case <-tick.C:
		}
		h.look(ctx, woken)
		if !woken {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-h.feeds.ending:
			return
		case <-time.After(restFor):
		}
	}
}

// look makes a new edition when something changed or the last one gets old.
func (h *hub) look(ctx context.Context, woken bool) {
	h.mu.Lock()
	last := h.announced
	h.mu.Unlock()
	if !woken && last != nil && h.feeds.now().Sub(last.at) < h.feeds.resignAfter() {
		ctx, cancel := context.WithTimeout(ctx, readTimeout)
		defer cancel()
		sequence, err := h.feeds.store.sequence(ctx, h.scope)
		if err != nil {
			h.failed(ctx, err)
			return
		}
		if sequence == last.state.sequence {
			return
		}
	}
	h.reading.Lock()
	defer h.reading.Unlock()
	h.read(ctx)
}

// fresh returns an edition of this moment. While the database is away it is the last one, as long as that is valid: its age
// says what it is worth. Errors: errs.NotFound, errs.Unavailable.
func (h *hub) fresh(ctx context.Context) (*edition, error) {
	if e := h.recent(); e != nil {
		return e, nil
	}
	h.reading.Lock()
	defer h.reading.Unlock()
	if e := h.recent(); e != nil { // somebody was faster
		return e, nil
	}
	if !h.failing() {
		h.read(context.WithoutCancel(ctx)) // others wait for it too
	}
	h.mu.Lock()
	gone := h.gone
	h.mu.Unlock()
	if gone {
		return nil, errNoServer
	}
	if e := h.within(policy.FeedLifetime); e != nil {
		return e, nil
	}
	return nil, errAway
}

// recent returns the current edition when it is as good as a new one.
func (h *hub) recent() *edition {
	h.mu.Lock()
	stale := h.stale
	h.mu.Unlock()
	if stale {
		return nil
	}
	return h.within(freshFor)
}

// within returns the current edition unless it is older than limit.
func (h *hub) within(limit time.Duration) *edition {
	now := h.feeds.now()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.current == nil || now.Sub(h.current.at) >= limit {
		return nil
	}
	return h.current
}

// failing reports whether the database was away a moment ago: nobody waits for it again so soon.
func (h *hub) failing() bool {
	now := h.feeds.now()
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.failedAt.IsZero() && now.Sub(h.failedAt) < retryAfter
}

// read makes the next edition. The caller holds reading.
func (h *hub) read(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	h.mu.Lock()
	h.stale = false // what changes from here on says so again
	h.mu.Unlock()
	e, err := h.compose(ctx)
	switch {
	case errs.Is(err, errs.NotFound):
		h.mu.Lock()
		h.gone = true
		h.announce(nil)
		h.mu.Unlock()
	case err != nil:
		h.failed(ctx, err)
	default:
		h.take(e)
	}
}

func (h *hub) compose(ctx context.Context) (*edition, error) {
	i, err := h.feeds.issuers.FeedIssuer(ctx, h.url)
	if err != nil {
		return nil, err
	}
	at := h.feeds.now()
	st, err := h.feeds.store.read(ctx, i.Scope, at.Add(-i.Lifetime-skew))
	if err != nil || (!i.behind(st) && i.Stops.equal(st.stops)) {
		return newEdition(i, st, at), err
	}
	// What MCP servers are about to hear this node acts on too, whether it was notified or not.
	if i, err = h.feeds.issuers.RenewIssuer(ctx, h.url, i.Scope); err != nil {
		return nil, err
	}
	if i.behind(st) {
		return nil, errAway
	}
	return newEdition(i, st, at), nil
}

// skew is how long after its expiry a token may still be believed by somebody's clock.
const skew = 5 * time.Minute

// take makes e the current edition and tells listeners when it says something new or the last one gets old.
func (h *hub) take(e *edition) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.current, h.failedAt, h.gone = e, time.Time{}, false
	last := h.announced
	if last == nil || last.state.sequence != e.state.sequence || e.at.Sub(last.at) >= h.feeds.resignAfter() {
		h.announce(e)
	}
}

// announce tells listeners. The caller holds mu.
func (h *hub) announce(e *edition) {
	h.announced = e
	close(h.changed)
	h.changed = make(chan struct{})
}

func (h *hub) failed(ctx context.Context, err error) {
	if ctx.Err() != nil && h.idle() {
		return // nobody listens any more
	}
	now := h.feeds.now()
	h.mu.Lock()
	first := h.failedAt.IsZero()
	h.failedAt, h.stale = now, true
	h.mu.Unlock()
	if first {
		h.feeds.log.WarnContext(ctx, "the feed could not be read: its listeners hear nothing new until it can", "error", err)
	}
}
