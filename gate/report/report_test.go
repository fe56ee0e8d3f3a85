package report_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ostiary/ostiary/app/calls"
	"github.com/ostiary/ostiary/app/clock"
	"github.com/ostiary/ostiary/app/policy"
	"github.com/ostiary/ostiary/app/secret"
	"github.com/ostiary/ostiary/gate/report"
)

// issuer is what the reporter sees of one: it keeps what it takes, as often as it comes.
type issuer struct {
	*httptest.Server
	t *testing.T

	mu       sync.Mutex
	answer   func(w http.ResponseWriter, b calls.Batch) bool // instead of taking a batch; false to take it
	password string
	order    []string
	times    map[string]int
	dropped  int64
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	i := &issuer{t: t, times: map[string]int{}, password: "secret"}
	i.Server = httptest.NewServer(i)
	t.Cleanup(i.Close)
	return i
}

func (i *issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	id, password, _ := r.BasicAuth()
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	if r.URL.Path != "/resources/res_1/calls" || r.Header.Get("Content-Type") != "application/json" || len(raw) > calls.MaxBatchBytes {
		i.t.Errorf("%s %s, %d bytes", r.Method, r.URL, len(raw))
	}
	if id != "rcr_1" || password != i.password {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	batch, refused, err := calls.Decode(raw, calls.Bounds{Now: clock.System()})
	if err != nil || len(refused) > 0 {
		i.t.Errorf("a batch that is refused: %v, %v", err, refused)
	}
	if i.answer != nil && i.answer(w, batch) {
		return
	}
	for _, c := range batch.Calls {
		if i.times[c.ID]++; i.times[c.ID] == 1 {
			i.order = append(i.order, c.Tool)
		}
	}
	i.dropped += batch.Dropped
	_ = json.NewEncoder(w).Encode(calls.Receipt{Accepted: len(batch.Calls)})
}

// respond changes what the issuer answers.
func (i *issuer) respond(answer func(http.ResponseWriter, calls.Batch) bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.answer = answer
}

func status(code int) func(http.ResponseWriter, calls.Batch) bool {
	return func(w http.ResponseWriter, _ calls.Batch) bool { w.WriteHeader(code); return true }
}

func (i *issuer) got() (order []string, dropped int64) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return append([]string(nil), i.order...), i.dropped
}

func (i *issuer) options() report.Options {
	return report.Options{
		Issuer: i.URL, ResourceID: "res_1", Credential: report.Fixed(report.Credential{ID: "rcr_1", Secret: "secret"}),
		Every: 10 * time.Millisecond, Backoff: time.Millisecond,
	}
}

func start(t *testing.T, o report.Options) *report.Reporter {
	t.Helper()
	r, err := report.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close(cancelled()) })
	return r
}

// cancelled is the context of somebody who does not wait.
func cancelled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

func patient(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func record(n int) calls.Record {
	return calls.Record{
		ID: secret.NewID("call"), At: clock.System(), Kind: "tool", Tool: fmt.Sprintf("tool%d", n), User: "usr_1", Proof: calls.ProofToken,
		Reason: "allowed", Allowed: true,
	}
}

func observe(r *report.Reporter, from, n int) {
	for i := range n {
		r.Observe(context.Background(), record(from+i))
	}
}

// inOrder wants the tools from one number on, without a gap.
func inOrder(t *testing.T, order []string, from, n int) {
	t.Helper()
	if len(order) != n {
		t.Fatalf("%d calls arrived, want %d", len(order), n)
	}
	for i, tool := range order {
		if want := fmt.Sprintf("tool%d", from+i); tool != want {
			t.Fatalf("call %d is %s, want %s", i, tool, want)
		}
	}
}

func TestReporter_ClosedGracefullyLosesNothing(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	o := i.options()
	o.Every = time.Hour // only the end sends the rest
	r := start(t, o)
	observe(r, 0, 1234)
	if err := r.Close(patient(t)); err != nil {
		t.Fatal(err)
	}
	order, dropped := i.got()
	inOrder(t, order, 0, 1234)
	if s := r.Stats(); dropped != 0 || s != (report.Stats{}) {
		t.Errorf("dropped %d, %+v", dropped, s)
	}
	r.Observe(context.Background(), record(0))
	if s := r.Stats(); s.Lost != 1 {
		t.Errorf("a call after the end: %+v", s)
	}
}

// Whatever an outage looks like, afterwards everything is there, once, in order.
func TestReporter_OutagesLoseNothing(t *testing.T) {
	t.Parallel()
	for name, outage := range map[string]func(http.ResponseWriter, calls.Batch) bool{
		"503": status(http.StatusServiceUnavailable),
		"429": func(w http.ResponseWriter, _ calls.Batch) bool {
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(http.StatusTooManyRequests)
			return true
		},
		"404":           status(http.StatusNotFound),
		"a proxy's 400": status(http.StatusBadRequest),
		"a redirect": func(w http.ResponseWriter, _ calls.Batch) bool {
			w.Header().Set("Location", "http://127.0.0.1:1/elsewhere")
			w.WriteHeader(http.StatusTemporaryRedirect)
			return true
		},
		"no JSON":     func(w http.ResponseWriter, _ calls.Batch) bool { _, _ = w.Write([]byte("<html>")); return true },
		"cut off":     func(http.ResponseWriter, calls.Batch) bool { panic(http.ErrAbortHandler) },
		"two answers": func(w http.ResponseWriter, _ calls.Batch) bool { w.WriteHeader(http.StatusBadGateway); return true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := newIssuer(t)
			tries := make(chan struct{}, 1000)
			i.respond(func(w http.ResponseWriter, b calls.Batch) bool { tries <- struct{}{}; return outage(w, b) })
			r := start(t, i.options())
			observe(r, 0, 700)
			for range 3 {
				<-tries
			}
			i.respond(nil)
			observe(r, 700, 700)
			if err := r.Flush(patient(t)); err != nil {
				t.Fatal(err)
			}
			order, dropped := i.got()
			inOrder(t, order, 0, 1400)
			if s := r.Stats(); s != (report.Stats{}) || dropped != 0 {
				t.Errorf("%+v, %d dropped", s, dropped)
			}
		})
	}
}

// The answer that a batch was taken is lost: it comes again, as it was.
func TestReporter_LostAnswerSendsTheSameAgain(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	r := start(t, i.options())
	first := make(chan calls.Batch, 1)
	var again []calls.Batch
	i.respond(func(w http.ResponseWriter, b calls.Batch) bool {
		select {
		case first <- b:
			w.WriteHeader(http.StatusBadGateway)
			return true
		default:
			again = append(again, b)
			return false
		}
	})
	observe(r, 0, 5)
	if err := r.Flush(patient(t)); err != nil {
		t.Fatal(err)
	}
	sent := <-first
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(again) == 0 || len(again[0].Calls) != len(sent.Calls) || again[0].Calls[0].ID != sent.Calls[0].ID {
		t.Errorf("sent %d, then %d", len(sent.Calls), len(again))
	}
}

// What there is no room for goes, the oldest first, and is counted to the last one.
func TestReporter_OverflowIsCountedExactly(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	o := i.options()
	o.MaxRecords = 1000
	tried := make(chan struct{}, 100)
	i.respond(func(w http.ResponseWriter, _ calls.Batch) bool {
		select {
		case tried <- struct{}{}:
		default:
		}
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	})
	r := start(t, o)
	observe(r, 0, 300)
	<-tried // a batch is under way, which nothing pushes out
	observe(r, 300, 3700)
	if s := r.Stats(); s.Waiting != 1000 || s.Lost != 3000 {
		t.Errorf("%+v", s)
	}
	i.respond(nil)
	if err := r.Flush(patient(t)); err != nil {
		t.Fatal(err)
	}
	order, dropped := i.got()
	if len(order) != 1000 || dropped != 3000 || order[len(order)-1] != "tool3999" {
		t.Errorf("%d arrived, %d said to be dropped", len(order), dropped)
	}
	if s := r.Stats(); s.Lost != 3000 || s.Waiting != 0 {
		t.Errorf("%+v", s)
	}
}

// Who did harm cannot push its record out with calls that cost nothing, however many, before a restart or after it: what is worth
// less gives way, his or anybody's.
func TestReporter_CheapCallsPushNoRecordOfHarmOut(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	i.respond(status(http.StatusTooManyRequests))
	o := i.options()
	o.MaxRecords, o.SpoolDir = 100, t.TempDir()
	r := start(t, o)
	do := func(tool string, allowed bool, risk policy.Risk) {
		c := record(0)
		c.Tool, c.Allowed, c.Risk = tool, allowed, risk
		r.Observe(t.Context(), c)
	}
	flood := func(tool string, allowed bool, risk policy.Risk) {
		for range 1000 {
			do(tool, allowed, risk)
		}
	}
	flood("before", false, policy.RiskDestructive) // one batch of these may be under way
	do("delete", true, policy.RiskDestructive)
	do("update", true, policy.RiskWrite)
	flood("denied", false, policy.RiskDestructive)
	do("read", true, policy.RiskRead)
	flood("denied", false, "")
	if err := r.Close(cancelled()); err != nil {
		t.Fatal(err)
	}
	r = start(t, o)
	flood("made up", true, "") // let through in shadow mode
	flood("denied", false, policy.RiskRead)
	do("delete again", true, "unheard of")
	if s := r.Stats(); s.Waiting != 100 {
		t.Errorf("%d wait", s.Waiting)
	}
	i.respond(nil)
	if err := r.Flush(patient(t)); err != nil {
		t.Fatal(err)
	}
	order, dropped := i.got()
	if len(order) != 100 || dropped != 5004-100 {
		t.Errorf("%d arrived, %d dropped", len(order), dropped)
	}
	harm := slices.DeleteFunc(order, func(tool string) bool { return !slices.Contains([]string{"delete", "update", "delete again"}, tool) })
	if !slices.Equal(harm, []string{"delete", "update", "delete again"}) {
		t.Errorf("of what did harm %q is known", harm)
	}
}

func TestReporter_HoldsNoMoreBytesThanAllowed(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	i.respond(status(http.StatusServiceUnavailable))
	o := i.options()
	o.MaxBytes = 1 << 20
	r := start(t, o)
	big := json.RawMessage(`"` + strings.Repeat("x", 4000) + `"`)
	for n := range 1000 {
		c := record(n)
		c.Arguments = map[string]json.RawMessage{"q": big}
		r.Observe(t.Context(), c)
	}
	if s := r.Stats(); s.Waiting > 250 || int64(s.Waiting)+s.Lost != 1000 {
		t.Errorf("%+v", s)
	}
}

// An issuer that takes less at a time than we like gets less at a time; a call it takes in no form stops nobody.
func TestReporter_SendsSmallerBatchesWhenAsked(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	i.respond(func(w http.ResponseWriter, b calls.Batch) bool {
		poisoned := false
		for _, c := range b.Calls {
			poisoned = poisoned || c.Tool == "tool33"
		}
		if len(b.Calls) <= 7 && !poisoned {
			return false
		}
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		_, _ = w.Write([]byte(`{"error":"invalid_request"}`))
		return true
	})
	r := start(t, i.options())
	observe(r, 0, 100)
	if err := r.Flush(patient(t)); err != nil {
		t.Fatal(err)
	}
	if order, _ := i.got(); len(order) != 99 || r.Stats().Lost != 1 {
		t.Errorf("%d arrived, %+v", len(order), r.Stats())
	}
}

func TestReporter_LargeRecordsFitIntoBodies(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	r := start(t, i.options())
	for n := range 600 {
		c := record(n)
		c.Client = strings.Repeat("c", 2000)
		c.Arguments = map[string]json.RawMessage{"q": json.RawMessage(`"` + strings.Repeat("x", 4000) + `"`)}
		r.Observe(t.Context(), c)
	}
	if err := r.Flush(patient(t)); err != nil {
		t.Fatal(err)
	}
	order, _ := i.got()
	inOrder(t, order, 0, 600)
}

// A credential that was replaced is read again; until then nothing is lost, and its secret is nowhere in the log.
func TestReporter_ReadsAReplacedCredential(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	i.password = "the-new-one"
	path := filepath.Join(t.TempDir(), "credential")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("rcr_1:the-old-one\n")
	var log bytes.Buffer
	o := i.options()
	o.Credential, o.Logger = report.FromFile(path), slog.New(slog.NewTextHandler(&log, nil))
	r := start(t, o)
	observe(r, 0, 3)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if r.Flush(ctx) == nil {
		t.Error("taken with the old credential")
	}
	write("rcr_1:the-new-one")
	if err := r.Flush(patient(t)); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(patient(t)); err != nil {
		t.Fatal(err)
	}
	order, _ := i.got()
	inOrder(t, order, 0, 3)
	if text := log.String(); !strings.Contains(text, "refuses the credential") || strings.Contains(text, "-one") {
		t.Errorf("log: %s", text)
	}
}

func TestNew_RefusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	dir := t.TempDir()
	for name, change := range map[string]func(*report.Options){
		"no issuer":     func(o *report.Options) { o.Issuer = "" },
		"no resource":   func(o *report.Options) { o.ResourceID = "" },
		"no credential": func(o *report.Options) { o.Credential = nil },
		"missing file":  func(o *report.Options) { o.Credential = report.FromFile(filepath.Join(dir, "missing")) },
		"spool in use": func(o *report.Options) {
			o.SpoolDir = dir
			start(t, *o)
		},
		"spool is a file": func(o *report.Options) {
			o.SpoolDir = filepath.Join(dir, "file")
			if err := os.WriteFile(o.SpoolDir, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		},
	} {
		o := i.options()
		change(&o)
		if _, err := report.New(o); err == nil {
			t.Errorf("%s: started", name)
		}
	}
	for _, text := range []string{"", "rcr_1", "rcr_1:", "usr_1:secret", "rcr_1:two words", "{}"} {
		if _, err := report.ParseCredential(text); err == nil || strings.Contains(err.Error(), "words") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// Nobody waits for an issuer that does not answer.
func TestObserve_NeverWaits(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	reached, release := make(chan struct{}), make(chan struct{})
	i.respond(func(http.ResponseWriter, calls.Batch) bool {
		close(reached)
		<-release
		return false
	})
	r := start(t, i.options())
	observe(r, 0, 10)
	<-reached
	observe(r, 10, 50_000) // ends, and that is the test
	if s := r.Stats(); s.Waiting != 10_000 {
		t.Errorf("%+v", s)
	}
	close(release)
}

// What a call waits for: noting it down.
func BenchmarkObserve(b *testing.B) {
	r, err := report.New(report.Options{
		Issuer: "http://127.0.0.1:1", ResourceID: "res_1", Credential: report.Fixed(report.Credential{ID: "rcr_1", Secret: "secret"}),
	})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = r.Close(cancelled()) }()
	c := record(1)
	c.Scopes = []string{"data:read", "profiles:read"}
	b.ReportAllocs()
	for b.Loop() {
		r.Observe(context.Background(), c)
	}
}
