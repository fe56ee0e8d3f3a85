package gate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/ostiary/ostiary/app/secret"
)

// feedTiming is how patient the reader of the feed is.
type feedTiming struct {
	first   time.Duration // for the first event of a stream, which the issuer sends at once; a proxy that buffers does not
	idle    time.Duration // between events; the issuer signs anew every policy.FeedEvery
	poll    time.Duration // that the issuer may hold a request
	answer  time.Duration // for an answer after that
	between time.Duration // polls that are answered at once, by something that does not know how to wait
	least   time.Duration // before the next attempt, doubled with each failure
	most    time.Duration
	again   time.Duration // until a stream is tried again after polling
}

func defaultFeedTiming() feedTiming {
	return feedTiming{first: 10 * time.Second, idle: 45 * time.Second, poll: 25 * time.Second, answer: 10 * time.Second,
		between: 3 * time.Second, least: time.Second, most: 10 * time.Second, again: 10 * time.Minute}
}

// errNoStream says that there is no stream of events to be had: the answer is something else, or nothing arrives.
var errNoStream = errors.New("events do not arrive as a stream")

// feedReader keeps an issuerFeed current: by a stream of events, or by long polls where no stream comes through.
type feedReader struct {
	feed   *issuerFeed
	client *http.Client // without a time limit of its own
	timing feedTiming
	now    func() time.Duration // steady
	log    *slog.Logger

	polling  bool
	since    time.Duration // since when it polls
	proven   bool          // events have come by stream, so that one may be resumed
	failures int
	silent   bool // its failing has been said
}

// newFeedReader copies client like newFetcher does.
func newFeedReader(feed *issuerFeed, client *http.Client, timing feedTiming) *feedReader {
	c := *newFetcher(client).client
	c.Timeout = 0
	return &feedReader{feed: feed, client: &c, timing: timing, now: feed.watch.steady, log: feed.log}
}

// start reads the feed once. Without one the gate works too, until silence has lasted for too long.
func (f *feedReader) start(ctx context.Context) {
	if err := f.fetch(ctx, f.feed.address()); err != nil {
		f.silent = true
		f.log.ErrorContext(ctx, "the issuer's feed cannot be read: what is revoked or stopped does not reach this gate, "+
			"and calls will be denied as silence goes on", "resource", f.feed.resourceID, "error", err)
	}
}

// run follows the feed until ctx ends. It says once that it cannot be read, and once that it can again.
func (f *feedReader) run(ctx context.Context) {
	for ctx.Err() == nil {
		began, before := f.now(), f.feed.current.Load()
		err := f.follow(ctx)
		if ctx.Err() != nil {
			return
		}
		if f.feed.current.Load() != before {
			f.failures = 0
			f.recovered(ctx)
		}
		wait := f.pause(err, f.now()-began)
		if err != nil && !f.silent && f.failures > 1 {
			f.silent = true
			f.log.WarnContext(ctx, "feed cannot be read, going on with the last one",
				"resource", f.feed.resourceID, "error", err)
		}
		if !sleep(ctx, wait) {
			return
		}
	}
}

func (f *feedReader) recovered(ctx context.Context) {
	if f.silent {
		f.log.InfoContext(ctx, "feed can be read again", "resource", f.feed.resourceID)
	}
	f.silent = false
}

// pause decides how to go on: by which way, and after how long.
func (f *feedReader) pause(err error, took time.Duration) time.Duration {
	switch {
	case err == nil && f.polling:
		f.failures = 0
		if f.now()-f.since > f.timing.again {
			f.polling = false
		}
		return max(0, f.timing.between-took)
	case errors.Is(err, errNoStream):
		f.polling, f.since, f.proven = true, f.now(), false
		return 0
	}
	f.failures++
	if f.failures%3 == 0 { // what lets no stream through may let polls through, and the other way round
		f.polling, f.since, f.proven = !f.polling, f.now(), false
	}
	limit := f.timing.most
	if f.failures < 16 {
		limit = min(limit, f.timing.least<<(f.failures-1))
	}
	return jittered(limit)
}

// jittered spreads those who wait, between half of a time and one and a half of it.
func jittered(d time.Duration) time.Duration {
	b := secret.Bytes(2)
	return d/2 + d*time.Duration(int(b[0])<<8|int(b[1]))>>16
}

func (f *feedReader) follow(ctx context.Context) error {
	if f.polling {
		return f.poll(ctx)
	}
	return f.stream(ctx)
}

// poll asks for a feed after the one in force and waits for it. After a failure it does not wait: being in contact again comes
// first, and an issuer whose places for those who wait are all taken still answers those who do not.
func (f *feedReader) poll(ctx context.Context) error {
	h := f.feed.current.Load()
	address := f.feed.address()
	if h.real && f.failures == 0 {
		address += fmt.Sprintf("?wait=%d&after=%d", int(f.timing.poll/time.Second), h.feed.Sequence)
	}
	return f.fetch(ctx, address)
}

func (f *feedReader) fetch(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, f.timing.poll+f.timing.answer)
	defer cancel()
	doc, err := fetcher{f.client}.get(ctx, address, policyMediaType, "", feedLimit)
	if err != nil {
		return fmt.Errorf("issuer: %w", err)
	}
	return f.feed.take(ctx, string(doc.body))
}

// stream reads events until the stream ends, breaks or falls silent.
func (f *feedReader) stream(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	patience := f.timing.first
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.feed.address(), nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "text/event-stream")
	req.Header.Set("Accept-Encoding", "identity") // what compresses often buffers
	if h := f.feed.current.Load(); f.proven && h.real {
		req.Header.Set("Last-Event-ID", strconv.FormatInt(h.feed.Sequence, 10))
		patience = f.timing.idle // the issuer need not send it again
	}
	silence := time.AfterFunc(patience, func() { cancel(errNoStream) })
	defer silence.Stop()
	resp, err := f.client.Do(req)
	if err != nil {
		return because(ctx, fmt.Errorf("issuer: %w", withoutURL(err)))
	}
	defer resp.Body.Close() //nolint:errcheck // nothing was written
	if err := f.open(ctx, resp); err != nil {
		return because(ctx, err)
	}
	events := newEventReader(resp.Body, feedLimit)
	for {
		event, err := events.next()
		if err != nil {
			return because(ctx, fmt.Errorf("issuer: the stream of events ended: %w", err))
		}
		if event.name != "feed" {
			continue
		}
		// A bad one is refused and said; the stream goes on, for the next may be good. Only good ones prove it alive.
		if f.feed.take(ctx, string(event.data)) != nil {
			continue
		}
		silence.Reset(f.timing.idle)
		f.proven, f.failures = true, 0
		f.recovered(ctx)
	}
}

// open checks what the issuer answers to a request for a stream. Something in between that answers with the feed as it
// is now has at least brought that.
func (f *feedReader) open(ctx context.Context, resp *http.Response) error {
	switch {
	case resp.StatusCode == http.StatusOK && isEventStream(resp.Header.Get("Content-Type")):
		return nil
	case resp.StatusCode == http.StatusOK:
		body, err := io.ReadAll(io.LimitReader(resp.Body, feedLimit))
		if err == nil && len(body) < feedLimit {
			_ = f.feed.take(ctx, string(body)) // a refusal is logged there; polls go on
		}
		return errNoStream
	case resp.StatusCode == http.StatusNotAcceptable || resp.StatusCode == http.StatusMethodNotAllowed:
		return errNoStream
	default:
		return fmt.Errorf("issuer: answered %d", resp.StatusCode)
	}
}

// because prefers the reason a context was cancelled for to the error that came of it.
func because(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}
