package oauth

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/ostiary/ostiary/app/calls"
	"github.com/ostiary/ostiary/oauth/ratelimit"
)

// Reports that one node reads and writes at a time. Whoever comes beyond that is told to come back: records wait at the
// gates, and what is left of the database and of memory belongs to people who sign in.
const (
	reportsPerResource = 8
	reportsWriting     = 4
	writeWait          = 2 * time.Second
	reportShare        = 5 // many gates may share one credential
)

// callWeight is what a call takes besides what is said of it, in bytes: its row's frame and its entries in ten indexes,
// three of which hold only some calls.
const callWeight = 1500

// IsReport reports whether r is one of those whose handler bounds the body itself.
func IsReport(r *http.Request) bool {
	return r.Method == http.MethodPost && strings.HasPrefix(r.URL.Path, "/resources/") && strings.HasSuffix(r.URL.Path, "/calls")
}

// createCalls takes the record of calls from gates and SDKs: by the credential of the MCP server, about that server. A report
// is answered when it is written down; one that is sent again changes nothing.
func (m *Module) createCalls(c echo.Context) error {
	r, w := c.Request(), c.Response()
	receipt, err := m.keepCalls(w, r, c.Param("id"))
	if err != nil {
		writeProblem(w, r, m.log, err)
		return nil
	}
	answerJSON(w, http.StatusOK, receipt)
	return nil
}

// keepCalls asks who it is before it reads a body that may be large.
func (m *Module) keepCalls(w http.ResponseWriter, r *http.Request, resourceID string) (calls.Receipt, error) {
	ctx := r.Context()
	i, err := issuerFrom(ctx)
	if err != nil {
		return calls.Receipt{}, err
	}
	if err := i.authenticateReporter(r, resourceID); err != nil {
		return calls.Receipt{}, err
	}
	key := ratelimit.Key{Scope: i.Scope, What: "calls", Who: resourceID}
	if ok, after := m.limits.Allow(key, m.rateLimit*reportShare); !ok {
		return calls.Receipt{}, tooMany(after)
	}
	done, ok := m.reports.enter(resourceID)
	if !ok {
		return calls.Receipt{}, tooMany(time.Second)
	}
	defer done()
	raw, err := readReport(w, r)
	if err != nil {
		return calls.Receipt{}, err
	}
	now := m.now()
	batch, refused, err := calls.Decode(raw, calls.Bounds{Now: now, Oldest: now.Add(-i.Settings.CallRetention)})
	if err != nil {
		return calls.Receipt{}, badReport(err)
	}
	release, err := m.reports.write(ctx)
	if err != nil {
		return calls.Receipt{}, err
	}
	defer release()
	giveBack, err := m.weighReport(key, len(raw), len(batch.Calls))
	if err != nil {
		return calls.Receipt{}, err
	}
	kept, err := m.calls.Keep(ctx, resourceID, batch)
	if err != nil {
		if ctx.Err() == nil { // whoever hangs up in the middle may have had it written
			giveBack()
		}
		return calls.Receipt{}, err
	}
	if batch.Dropped > 0 {
		m.log.WarnContext(ctx, "calls were lost before they could be reported", "resource", resourceID, "lost", batch.Dropped)
	}
	if len(refused) > 0 {
		m.log.InfoContext(ctx, "calls were refused", "resource", resourceID, "refused", len(refused),
			"field", refused[0].Field, "problem", refused[0].Problem)
	}
	return calls.Receipt{Accepted: kept, Refused: refused}, nil
}

// authenticateReporter wants the credential of this very MCP server, by Basic alone: the body is not a form.
func (i *Issuer) authenticateReporter(r *http.Request, resourceID string) error {
	authenticated, err := i.authenticateResource(r)
	if err != nil {
		return err
	}
	if authenticated != resourceID {
		return &problem{
			code: codeInvalidClient, description: "Only an MCP server with a credential of its own may report its calls.",
			status: http.StatusUnauthorized, basic: true,
		}
	}
	return nil
}

// weighReport bounds what is written down for one MCP server in a minute, and with it what a credential can fill before retention takes
// it away again. It counts kibibytes. The caller calls giveBack when nothing was written.
func (m *Module) weighReport(key ratelimit.Key, bytes, count int) (giveBack func(), err error) {
	key.What = "calls-weight"
	now, weight := m.now(), (bytes+callWeight*count)>>10+1
	ok, after := m.limits.AllowN(key, weight, m.callLimit<<10)
	if ok {
		return func() { m.limits.GiveBack(key, weight, now) }, nil
	}
	p := tooMany(after)
	p.description = "This MCP server reports more calls than are kept. Send them again later."
	return nil, p
}

func readReport(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if media, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); strings.TrimSpace(media) != jsonType {
		p := badRequest(codeInvalidRequest, "The body must be application/json.")
		p.status = http.StatusUnsupportedMediaType
		return nil, p
	}
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, calls.MaxBatchBytes))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return nil, tooLargeReport("A report has 2 MiB at most.")
	}
	if err != nil {
		return nil, badRequest(codeInvalidRequest, "The body did not arrive whole.")
	}
	return raw, nil
}

func badReport(err error) error {
	if errors.Is(err, calls.ErrTooMany) {
		return tooLargeReport("A report holds 500 calls at most.")
	}
	return badRequest(codeInvalidRequest, "The body is not a report of calls.")
}

func tooLargeReport(description string) *problem {
	p := badRequest(codeInvalidRequest, description)
	p.status = http.StatusRequestEntityTooLarge
	return p
}

// inFlight counts the reports that this node works on.
type inFlight struct {
	mu      sync.Mutex
	reading map[string]int // by resource
	writing chan struct{}
}

func newInFlight() *inFlight {
	return &inFlight{reading: map[string]int{}, writing: make(chan struct{}, reportsWriting)}
}

// enter counts a report in; the caller calls done.
func (f *inFlight) enter(resourceID string) (done func(), ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.reading[resourceID] >= reportsPerResource {
		return nil, false
	}
	f.reading[resourceID]++
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.reading[resourceID]--; f.reading[resourceID] <= 0 {
			delete(f.reading, resourceID)
		}
	}, true
}

// write waits for the right to write, a moment at most; the caller calls release.
func (f *inFlight) write(ctx context.Context) (release func(), err error) {
	timer := time.NewTimer(writeWait)
	defer timer.Stop()
	select {
	case f.writing <- struct{}{}:
		return func() { <-f.writing }, nil
	case <-timer.C:
	case <-ctx.Done():
	}
	return nil, &problem{
		code: codeUnavailable, description: "Too many reports at once. Try again in a moment.",
		status: http.StatusServiceUnavailable, retryAfter: "2",
	}
}
