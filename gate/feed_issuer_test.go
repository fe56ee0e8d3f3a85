package gate

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ostiary/ostiary/app/policy"
)

const feedPath = "/i/acme/resources/" + testResource + "/revocations"

// testFeed is how the test issuer serves its feed. All of it is guarded by the issuer's lock.
type testFeed struct {
	feed    policy.Feed
	changed chan struct{} // closed at each change
	bundle  func(*policy.FeedBundle)
	by      func() (signer, string)
	serve   func(http.ResponseWriter, *http.Request) bool // answers instead
	asked   []*http.Request
	open    int
}

// feedEvery is how often the test issuer signs anew on a stream, in real time.
const feedEvery = 50 * time.Millisecond

// tell changes the feed under the next sequence, and everyone who listens hears it.
func (is *testIssuer) tell(edit func(*policy.Feed)) {
	is.change(func() {
		f := &is.feed
		f.feed.Sequence++
		f.feed.Ended = policy.Ended{Grants: slices.Clone(f.feed.Ended.Grants), Users: slices.Clone(f.feed.Ended.Users),
			Organizations: slices.Clone(f.feed.Ended.Organizations), Clients: slices.Clone(f.feed.Ended.Clients)}
		f.feed.Stops = slices.Clone(f.feed.Stops)
		edit(&f.feed)
		f.wake()
	})
}

// revoke ends a grant.
func (is *testIssuer) revoke(grant string) {
	is.tell(func(f *policy.Feed) { f.Ended.Grants = append(f.Ended.Grants, grant) })
}

// stop stops something.
func (is *testIssuer) stop(kind policy.StopKind, value string) {
	is.tell(func(f *policy.Feed) { f.Stops = append(f.Stops, policy.Stop{Kind: kind, Value: value}) })
}

func (f *testFeed) wake() {
	if f.changed != nil {
		close(f.changed)
	}
	f.changed = make(chan struct{})
}

// signedFeed is what the issuer serves now, and what tells of the next change.
func (is *testIssuer) signedFeed() (compact string, sequence int64, changed <-chan struct{}) {
	is.mu.Lock()
	defer is.mu.Unlock()
	return is.signFeed()
}

// signFeed is signedFeed for who holds the lock.
func (is *testIssuer) signFeed() (compact string, sequence int64, changed <-chan struct{}) {
	f := &is.feed
	if f.changed == nil {
		f.changed = make(chan struct{})
	}
	now := is.clock.now().Unix()
	b := policy.FeedBundle{Issuer: is.url, Subject: testResource, IssuedAt: now, ExpiresAt: now + 120, Feed: f.feed}
	b.Feed.Revision = is.doc.Revision
	if f.bundle != nil {
		f.bundle(&b)
	}
	key, typ := is.keys[0], policy.FeedType
	if f.by != nil {
		key, typ = f.by()
	}
	raw, err := json.Marshal(b)
	if err != nil {
		is.t.Error(err)
	}
	return key.sign(is.t, raw, map[string]any{"typ": typ}), b.Feed.Sequence, f.changed
}

// serveFeed answers without the issuer's lock: it may take long.
func (is *testIssuer) serveFeed(w http.ResponseWriter, r *http.Request) {
	is.mu.Lock()
	is.fetches[r.URL.Path]++
	is.feed.asked = append(is.feed.asked, r)
	is.feed.open++
	instead, override := is.feed.serve, is.override
	is.mu.Unlock()
	defer is.change(func() { is.feed.open-- })
	if override != nil && override(w, r) || instead != nil && instead(w, r) {
		return
	}
	if strings.Contains(r.Header.Get("Accept"), "text/event-stream") {
		is.streamFeed(w, r)
		return
	}
	compact, sequence, changed := is.signedFeed()
	wait, _ := strconv.Atoi(r.URL.Query().Get("wait"))
	after, err := strconv.ParseInt(r.URL.Query().Get("after"), 10, 64)
	if wait > 0 && err == nil && sequence <= after {
		select {
		case <-changed:
		case <-time.After(feedEvery):
		case <-r.Context().Done():
			return
		}
		compact, _, _ = is.signedFeed()
	}
	w.Header().Set("Content-Type", "application/jwt")
	_, _ = io.WriteString(w, compact)
}

func (is *testIssuer) streamFeed(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	known := r.Header.Get("Last-Event-ID")
	for {
		is.mu.Lock()
		instead := is.feed.serve != nil || is.override != nil
		compact, sequence, changed := is.signFeed()
		is.mu.Unlock()
		if instead { // streams from before something else was to be answered end
			return
		}
		if id := fmt.Sprint(sequence); id != known {
			_, _ = fmt.Fprintf(w, "id: %s\nevent: feed\nretry: 1000\ndata: %s\n\n", id, compact)
			_ = http.NewResponseController(w).Flush()
		}
		known = ""
		select {
		case <-changed:
		case <-time.After(feedEvery):
		case <-r.Context().Done():
			return
		}
	}
}

func (is *testIssuer) sequence() int64 {
	is.mu.Lock()
	defer is.mu.Unlock()
	return is.feed.feed.Sequence
}

// knows waits until the gate has the feed as the issuer has it now.
func (w *world) knows(want int64) {
	w.t.Helper()
	eventually(w.t, fmt.Sprintf("the gate has feed %d", want), func() bool {
		return w.gate.feed.Current().Feed.Sequence == want
	})
}
