package feed

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/ostiary/ostiary/app/clock"
	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/scope"
)

// Request is one request for a feed.
type Request struct {
	IssuerURL  string
	Scope      scope.Scope // of the issuer
	ResourceID string
	Address    string // of who asks, as connections are counted

	Stream      bool   // server-sent events
	LastEventID string // what a stream that broke had last
	Wait        time.Duration
	After       int64 // what who waits has already
}

const (
	// MaxWait bounds how long a request may wait.
	MaxWait = 25 * time.Second

	slowLine = 64 << 10 // bytes per second

	eventStream = "text/event-stream"
	jwtType     = "application/jwt"
	retryLine   = "retry: 1000\n\n"
)

// errFull says that this node holds as many connections as it may.
var errFull = errs.New(errs.RateLimited, "Too many connections. Ask without waiting, or again later.")

// Serve answers a request. Nothing is written when there is an error: errs.NotFound for an MCP server that is not published,
// errs.RateLimited beyond the bounds on connections, errs.Unavailable.
func (f *Feeds) Serve(w http.ResponseWriter, r *http.Request, req Request) error {
	h := f.hub(req.IssuerURL, req.Scope)
	if !req.Stream && req.Wait <= 0 {
		return f.answer(w, r, h, req)
	}
	leave, ok := f.seats.take(req.IssuerURL, req.Address)
	if !ok {
		return errFull
	}
	defer leave()
	h.join()
	defer h.leave()
	// The server's own limits are for requests that are answered at once. Where they cannot be moved there are none.
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	if req.Stream {
		return f.stream(w, r, h, req)
	}
	if err := f.wait(r.Context(), h, req); err != nil {
		return err
	}
	return f.answer(w, r, h, req)
}

// answer writes the feed of this moment.
func (f *Feeds) answer(w http.ResponseWriter, r *http.Request, h *hub, req Request) error {
	l, err := current(r.Context(), h, req)
	if err != nil {
		return err
	}
	f.extend(w, len(l.jws))
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("ETag", l.etag)
	header.Set("Content-Type", jwtType)
	header.Set("Content-Length", strconv.Itoa(len(l.jws)))
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = w.Write(l.jws) // the reader went away: nothing to tell
	}
	return nil
}

func current(ctx context.Context, h *hub, req Request) (*letter, error) {
	e, err := h.fresh(ctx)
	if err != nil {
		return nil, err
	}
	return e.letter(req.ResourceID)
}

// wait returns when there is something newer than the request has, or it has waited for long enough.
func (f *Feeds) wait(ctx context.Context, h *hub, req Request) error {
	timeout := time.NewTimer(min(req.Wait, MaxWait))
	defer timeout.Stop()
	_, changed := h.latest()
	e, err := h.fresh(ctx)
	for {
		if err != nil || e == nil || e.state.sequence > req.After {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-f.ending:
			return nil
		case <-timeout.C:
			return nil
		case <-changed:
		}
		e, changed = h.latest()
	}
}

// stream writes events until the reader, the MCP server or the node is gone.
func (f *Feeds) stream(w http.ResponseWriter, r *http.Request, h *hub, req Request) error {
	_, changed := h.latest()
	shown, err := current(r.Context(), h, req)
	if err != nil {
		return err
	}
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("Content-Type", eventStream)
	header.Set("X-Accel-Buffering", "no") // nginx would keep events until it has enough of them
	w.WriteHeader(http.StatusOK)
	first := append([]byte(retryLine), shown.event...)
	if req.LastEventID == strconv.FormatInt(shown.sequence, 10) {
		first = []byte(retryLine) // it has this one, and hears within seconds that we are here
	}
	for ok := f.send(w, first); ok; {
		select {
		case <-r.Context().Done():
			return nil
		case <-f.ending:
			return nil
		case <-changed:
		}
		var e *edition
		e, changed = h.latest()
		if e == nil {
			return nil
		}
		l, err := e.letter(req.ResourceID)
		if err != nil {
			return nil //nolint:nilerr // it is not published any more, and the answer has begun
		}
		if l.at.After(shown.at) {
			shown, ok = l, f.send(w, l.event)
		}
	}
	return nil
}

// send writes an event at once, and reports whether the reader took it.
func (f *Feeds) send(w http.ResponseWriter, event []byte) bool {
	f.extend(w, len(event))
	if _, err := w.Write(event); err != nil {
		return false
	}
	return http.NewResponseController(w).Flush() == nil
}

// extend gives the reader its time for what is written next: more for a large feed, down to a slow line.
func (f *Feeds) extend(w http.ResponseWriter, size int) {
	limit := f.patience + time.Duration(size)*time.Second/slowLine
	_ = http.NewResponseController(w).SetWriteDeadline(clock.System().Add(limit)) // where it cannot be set there is none
}
