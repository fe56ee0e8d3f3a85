package gate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4/json"

	"github.com/ostiary/ostiary/app/policy"
)

// FeedSource says what has ended or is stopped, and for how long the issuer has been silent. Current is called on every
// request: it returns at once, and a feed it has returned is never changed afterwards.
type FeedSource interface {
	Current() policy.Situation
}

// StaticFeed ends and stops what it is given and counts no silence, for tests and for servers without an issuer to hear
// from. A nil feed ends and stops nothing.
func StaticFeed(feed *policy.Feed) FeedSource {
	return staticFeed{policy.Situation{Feed: policy.CompileFeed(feed), Silence: -1}}
}

type staticFeed struct{ situation policy.Situation }

func (f staticFeed) Current() policy.Situation { return f.situation }

// feedLimit bounds a signed feed.
const feedLimit = 8 << 20

// issuerFeed is the feed of one resource as its issuer signs it. It never goes back to a lower sequence; what it
// refuses leaves the last good one in force, which grows old: silence is counted from when that one was signed.
type issuerFeed struct {
	issuer     string
	resourceID string
	keys       *issuerKeys
	watch      *watch
	skew       time.Duration
	log        *slog.Logger
	changed    func(before, now *heldFeed) // called after each one that was taken

	current  atomic.Pointer[heldFeed]
	refusing bool // touched by one goroutine at a time
}

// heldFeed is a feed in force. Before the first one arrives there is an empty one, as old as the policy.
type heldFeed struct {
	feed   *policy.CompiledFeed
	signed time.Time
	real   bool
}

// Current implements FeedSource.
func (f *issuerFeed) Current() policy.Situation {
	h := f.current.Load()
	return policy.Situation{Feed: h.feed, Silence: f.watch.time().Sub(h.signed)}
}

// alive reports whether the issuer is heard as often as it should be.
func (f *issuerFeed) alive() bool {
	h := f.current.Load()
	return h.real && f.watch.time().Sub(h.signed) < 3*policy.FeedEvery
}

func (f *issuerFeed) address() string {
	return f.issuer + "/resources/" + url.PathEscape(f.resourceID) + "/revocations"
}

// take puts a signed feed in force if it is good and not older than the one that is. A refusal is logged once, until
// one is good again.
func (f *issuerFeed) take(ctx context.Context, compact string) error {
	next, err := f.verify(ctx, compact)
	before := f.current.Load()
	if err == nil && next.feed.Sequence < before.feed.Sequence {
		err = fmt.Errorf("signed feed: goes back from sequence %d to %d", before.feed.Sequence, next.feed.Sequence)
	}
	if err != nil {
		if !f.refusing && ctx.Err() == nil {
			f.log.ErrorContext(ctx, "feed refused, going on with the last one", "resource", f.resourceID,
				"sequence", before.feed.Sequence, "error", err)
		}
		f.refusing = true
		return err
	}
	if f.refusing {
		f.log.InfoContext(ctx, "feed is good again", "resource", f.resourceID, "sequence", next.feed.Sequence)
	}
	f.refusing = false
	if before.real && next.feed.Sequence == before.feed.Sequence && !next.signed.After(before.signed) {
		return nil // the same again, or from a node whose clock is a little behind
	}
	if next.signed.Before(before.signed) {
		next.signed = before.signed // heard then already
	}
	f.watch.heard(next.signed)
	f.current.Store(next)
	f.changed(before, next)
	return nil
}

// verify checks a signed feed: kind, key, issuer, resource, time.
func (f *issuerFeed) verify(ctx context.Context, compact string) (*heldFeed, error) {
	s, err := f.keys.verify(ctx, compact, policy.FeedType)
	if err != nil {
		return nil, fmt.Errorf("signed feed: %w", err)
	}
	var b policy.FeedBundle
	if err := json.Unmarshal(s.payload, &b); err != nil {
		return nil, fmt.Errorf("signed feed: %w", err)
	}
	now, signed := f.watch.time(), time.Unix(b.IssuedAt, 0)
	switch {
	case b.Issuer != f.issuer:
		return nil, errors.New("signed feed: comes from another issuer")
	case b.Subject != f.resourceID:
		return nil, errors.New("signed feed: is about another resource")
	case b.IssuedAt <= 0 || b.ExpiresAt <= b.IssuedAt || !now.Before(time.Unix(b.ExpiresAt, 0).Add(f.skew)):
		return nil, errors.New("signed feed: has expired")
	case now.Add(f.skew).Before(signed):
		return nil, errors.New("signed feed: is from the future")
	case b.Feed.Sequence < 0:
		return nil, errors.New("signed feed: has no sequence")
	}
	return &heldFeed{feed: policy.CompileFeed(&b.Feed), signed: signed, real: true}, nil
}
