package gate

import (
	"bytes"
	"errors"
	"net/http"
	"strings"
	"time"
)

const maxListResponse = 16 << 20

// forward hands the request on and sees to what comes back. The calls in it are reported as soon as their answer
// begins.
func (g *Gate) forward(w http.ResponseWriter, r *http.Request, next http.Handler, o outcome, st *stream) {
	p := passageFrom(r.Context())
	if !g.sessions.admits(r.Header.Values(headerSession), p.identity) {
		writeRPCError(w, http.StatusNotFound, p.message, rpcError{Code: rpcSessionNotFound, Message: "Session not found"})
		g.report(r.Context(), o, http.StatusNotFound)
		return
	}
	filter := g.filterFor(o)
	if filter != nil {
		r.Header.Del("Accept-Encoding") // what is compressed cannot be filtered
	}
	out := &response{ResponseWriter: w, stream: st, memory: g.memory, filter: filter, message: p.message,
		patience: g.writeTimeout, log: func(err error) {
			g.log.ErrorContext(r.Context(), "a list could not be filtered and was withheld", "error", err)
		}}
	defer func() { g.memory.give(out.held) }()
	out.started = func(h http.Header) {
		g.sessions.note(h.Get(headerSession), p.identity)
		g.report(r.Context(), o, out.status)
	}
	_ = st.control.SetReadDeadline(time.Time{}) // the body is read; a stream may last
	out.through(next, r)
	reason := st.ended()
	switch {
	case out.wroteHeader:
		out.finish()
	case reason != "":
		d := refused(o, reason)
		d.write(w)
		g.report(r.Context(), o, d.status)
	case r.Context().Err() != nil:
		g.report(r.Context(), o, 0) // the client went away before there was an answer
	default:
		out.WriteHeader(http.StatusOK) // as net/http does
		out.finish()
	}
}

// through lets next answer. A proxy that is told to stop reading aborts the connection; where the client has got an
// answer instead, there is no need to.
func (w *response) through(next http.Handler, r *http.Request) {
	defer func() {
		problem := recover()
		if aborted := problem == http.ErrAbortHandler; problem != nil && (!aborted || !w.withheld) { //nolint:errorlint // a panic
			panic(problem)
		}
	}()
	next.ServeHTTP(w, r)
}

// response passes an answer on as it comes: headers made uncacheable, lists filtered, every write with a deadline.
type response struct {
	http.ResponseWriter
	stream  *stream
	memory  *budget
	held    int64 // taken from memory
	filter  *listFilter
	started func(http.Header)
	log     func(error)

	patience time.Duration // for one write to a client that does not read
	message  []byte        // id of the only message of the request, for an error

	wroteHeader bool
	status      int
	whole       *bytes.Buffer // a JSON answer being collected for the filter
	events      *eventFilter  // an event stream being filtered
	failed      error
	withheld    bool // the client was told that the list could not be read
}

var (
	errListTooLarge = errors.New("the list is too large to filter")
	errMemoryTaken  = errors.New("too many lists are under way")
)

// Unwrap serves http.ResponseController.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader implements http.ResponseWriter. What a server says before its answer (1xx) is of no use to MCP and stays
// here.
func (w *response) WriteHeader(status int) {
	if w.wroteHeader || status >= 100 && status < 200 {
		return
	}
	w.wroteHeader, w.status = true, status
	w.stream.begin()
	h := w.Header()
	w.started(h)
	guardHeaders(h)
	events := isEventStream(h.Get("Content-Type"))
	if events {
		h.Set("Cache-Control", "no-store, no-transform")
		h.Set("X-Accel-Buffering", "no")
	}
	if w.filter != nil && status >= 200 && status < 300 && w.intercept(h, events) {
		return
	}
	w.ResponseWriter.WriteHeader(status)
}

func isEventStream(contentType string) bool {
	media, _, _ := strings.Cut(contentType, ";")
	return strings.EqualFold(strings.TrimSpace(media), "text/event-stream")
}

// intercept decides how a successful answer that may be a list is read. It reports whether the header is held back.
func (w *response) intercept(h http.Header, events bool) bool {
	h.Del("Content-Length")
	h.Del("ETag")
	if len(h.Values("Content-Type")) > 1 {
		w.whole, w.failed = new(bytes.Buffer), errors.New("the answer is of two types at once")
		return true
	}
	if encoding := h.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		w.whole, w.failed = new(bytes.Buffer), errors.New("the answer is compressed though nobody asked for it")
		return true
	}
	if events {
		w.events = newEventFilter(w.filter)
		return false
	}
	if !w.filter.post {
		return false
	}
	w.whole = new(bytes.Buffer)
	return true
}

// Write implements http.ResponseWriter.
func (w *response) Write(p []byte) (int, error) {
	if !w.wroteHeader {
		w.WriteHeader(http.StatusOK)
	}
	switch {
	case w.whole != nil:
		return w.collect(p)
	case w.events != nil:
		return w.writeEvents(p)
	default:
		return w.send(p)
	}
}

// collect keeps a JSON answer for the filter. Of one that cannot be filtered no more is read.
func (w *response) collect(p []byte) (int, error) {
	switch {
	case w.failed != nil:
	case w.whole.Len()+len(p) > maxListResponse:
		w.failed = errListTooLarge
	case !w.memory.take(int64(len(p))):
		w.failed = errMemoryTaken
	default:
		w.held += int64(len(p))
	}
	if w.failed == nil {
		return w.whole.Write(p)
	}
	w.withhold()
	return 0, w.failed
}

// withhold answers that there is no list: rather none than one nobody could check.
func (w *response) withhold() {
	if w.withheld {
		return
	}
	w.withheld, w.whole = true, new(bytes.Buffer)
	w.log(w.failed)
	h := w.Header()
	h.Del("Content-Encoding")
	h.Del("Trailer")
	writeRPCError(w.ResponseWriter, http.StatusBadGateway, w.message,
		rpcError{Code: rpcUpstreamFailed, Message: "The MCP server's list could not be read"})
	_ = w.stream.control.Flush()
}

// writeEvents passes on what is complete. An event that cannot be filtered ends the stream, before it.
func (w *response) writeEvents(p []byte) (int, error) {
	if w.failed != nil {
		return 0, w.failed
	}
	out, failed := w.events.feed(p)
	if len(out) > 0 {
		if _, err := w.send(out); err != nil {
			return 0, err
		}
	}
	if failed != nil {
		w.fail(failed)
		return 0, failed
	}
	return len(p), nil
}

func (w *response) fail(err error) {
	w.failed = err
	w.log(err)
}

func (w *response) send(p []byte) (int, error) {
	// A client that stops reading must not hold a connection to the MCP server for ever.
	_ = w.stream.control.SetWriteDeadline(time.Now().Add(w.patience)) //nolint:forbidigo // deadlines are on the wall clock
	// Looked at after the deadline was set, so that none of the two is missed.
	if reason := w.stream.ended(); reason != "" {
		return 0, endedError(reason)
	}
	return w.ResponseWriter.Write(p)
}

// Flush implements http.Flusher.
func (w *response) Flush() { _ = w.FlushError() }

// FlushError serves http.ResponseController.
func (w *response) FlushError() error {
	if !w.wroteHeader {
		w.WriteHeader(http.StatusOK)
	}
	if w.whole != nil {
		return nil // it goes out in one piece, at the end
	}
	return w.stream.control.Flush()
}

func (w *response) finishEvents() {
	if w.failed != nil {
		return
	}
	rest, err := w.events.end()
	if err != nil {
		w.fail(err)
		return
	}
	if len(rest) > 0 {
		_, _ = w.send(rest) // the client is gone
	}
}

// finish sends what was held back.
func (w *response) finish() {
	if w.events != nil {
		w.finishEvents()
		return
	}
	if w.whole == nil {
		return
	}
	out := w.whole.Bytes()
	if w.failed == nil && len(bytes.TrimSpace(out)) > 0 {
		out, w.failed = w.filter.json(out)
	}
	if w.failed != nil {
		w.withhold()
		return
	}
	w.ResponseWriter.WriteHeader(w.status)
	_, _ = w.send(out) // the client is gone
}
