package app_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ostiary/ostiary/app/apptest/host"
	"github.com/ostiary/ostiary/app/calls"
	"github.com/ostiary/ostiary/gate"
	"github.com/ostiary/ostiary/gate/report"
	"github.com/ostiary/ostiary/tenants"
	"github.com/ostiary/ostiary/tenants/calllog"
)

// reporterOf starts a reporter of Acme's MCP server.
func reporterOf(t *testing.T, s *host.Stack, log *slog.Logger) *report.Reporter {
	t.Helper()
	made, secret, err := s.Resources.CreateCredential(s.Acme.Operator(), tenants.NewCredential{ResourceID: s.Acme.ResourceID, Name: "gate"})
	if err != nil {
		t.Fatal(err)
	}
	r, err := report.New(report.Options{
		Issuer: s.Acme.Issuer, ResourceID: s.Acme.ResourceID, Logger: log, HTTPClient: &http.Client{Transport: host.Transport()},
		Credential: report.Fixed(report.Credential{ID: made.ID, Secret: secret}), Every: 10 * time.Millisecond, Backoff: time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// stream records calls until end is called, which returns how many there were.
func stream(r *report.Reporter) (recorded *atomic.Int64, end func()) {
	recorded = &atomic.Int64{}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				r.Observe(context.Background(), calls.Record{
					Kind: "tool", Tool: fmt.Sprint(recorded.Add(1)), User: "usr_1", Proof: calls.ProofToken, Reason: "allowed", Allowed: true,
				})
			}
		}
	}()
	return recorded, sync.OnceFunc(func() { close(stop); <-stopped })
}

// distinct returns how many calls and how many different ones Acme has.
func distinct(t *testing.T, s *host.Stack) (all, different int) {
	t.Helper()
	err := s.DB.Pipe(s.Acme.Context(), func(b *pgx.Batch) {
		b.Queue(`select count(*), count(distinct tool) from tool_calls`).QueryRow(func(row pgx.Row) error { return row.Scan(&all, &different) })
	})
	if err != nil {
		t.Fatal(err)
	}
	return all, different
}

// The issuer is restarted and the database is cut off while calls are reported: each arrives, once.
func TestCalls_NothingIsLostOrDoubledWhileTheIssuerGoesAway(t *testing.T) {
	t.Parallel()
	for name, trouble := range map[string]func(*testing.T, *host.Stack){
		"restarted": func(t *testing.T, s *host.Stack) { s.Restart(t) },
		"database away": func(_ *testing.T, s *host.Stack) {
			s.Cable.Cut()
			s.Cable.Mend()
		},
		"connections lost": func(_ *testing.T, s *host.Stack) { s.Cable.Snap() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := host.New(t)
			r := reporterOf(t, s, slog.New(slog.DiscardHandler))
			recorded, end := stream(r)
			defer end()
			for range 4 {
				until := recorded.Load() + 50
				eventually(t, "more calls", func() bool { return recorded.Load() >= until })
				trouble(t, s)
			}
			end()
			patient, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			if err := r.Close(patient); err != nil {
				t.Fatal(err)
			}
			if all, different := distinct(t, s); all != int(recorded.Load()) || different != all || r.Stats().Lost != 0 {
				t.Errorf("%d recorded, %d kept, %d different, %+v", recorded.Load(), all, different, r.Stats())
			}
		})
	}
}

// lockedBuffer is a log that several goroutines write.
type lockedBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

// From a call through the gate to the log: what is named as audited is kept, and nothing else of the arguments is anywhere,
// neither in the database nor in the log of the gate, the reporter or the issuer.
func TestCalls_OfArgumentsOnlyTheAuditedAreKept(t *testing.T) {
	t.Parallel()
	var logged lockedBuffer
	log := slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s := host.New(t, host.WithLogger(log))
	tokens := s.Connect(t, host.NewBrowser(t), s.Acme, s.Register(t, s.Acme, nil).Authorize("data:read"), "data:read")
	published, err := s.Resources.Published(s.Acme.Context())
	if err != nil || len(published) != 1 {
		t.Fatal(len(published), err)
	}
	doc := published[0].Document
	for _, name := range []string{"run_query", "delete_segment"} {
		tool := doc.Tools[name]
		tool.Audited = []string{"dataset", "limit"}
		doc.Tools[name] = tool
	}
	r := reporterOf(t, s, log)
	g, err := gate.New(t.Context(), gate.Options{
		Issuer: s.Acme.Issuer, Policy: gate.StaticPolicy(&doc), Observe: r.Observe, Logger: log,
		HTTPClient: &http.Client{Transport: host.Transport()},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	guarded := g.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.Copy(w, strings.NewReader(`{"jsonrpc":"2.0","id":1,"result":{"content":[]}}`))
	}))
	const private = "very-private"
	for _, name := range []string{"run_query", "delete_segment", "list_datasets", "unknown-tool"} {
		body := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":%q,"arguments":{"dataset":"visits","limit":5,`+
			`"query":"%s","nested":{"dataset":"%s"},"%s":true},"_meta":{"dataset":"%s"}}}`, name, private, private, private, private)
		call := httptest.NewRequest(http.MethodPost, doc.Resource.Identifier, strings.NewReader(body))
		call.Header.Set("Content-Type", "application/json")
		call.Header.Set("Authorization", "Bearer "+tokens.Access)
		guarded.ServeHTTP(httptest.NewRecorder(), call)
	}
	if err := r.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	page, err := calllog.New(s.Deps).List(s.Acme.Operator(), calllog.Filter{})
	if err != nil || len(page.Calls) != 4 {
		t.Fatalf("%d calls, %v", len(page.Calls), err)
	}
	for _, c := range page.Calls {
		want := map[string]int{"run_query": 2, "delete_segment": 2}[c.Tool]
		if len(c.Arguments) != want || (want > 0 && string(c.Arguments["dataset"]) != `"visits"`) {
			t.Errorf("%s: kept %s", c.Tool, c.Arguments)
		}
		if c.User != s.Acme.UserID || c.Grant == "" || c.Revision != doc.Revision || c.Client == "" || c.Proof != calls.ProofToken {
			t.Errorf("%+v", c.Record)
		}
	}
	var everything string
	err = s.DB.Pipe(s.Acme.Context(), func(b *pgx.Batch) {
		b.Queue(`select string_agg(c::text, ' ') from tool_calls c`).QueryRow(func(row pgx.Row) error { return row.Scan(&everything) })
	})
	if err != nil || strings.Contains(everything, private) || !strings.Contains(everything, "visits") {
		t.Errorf("kept: %s, %v", everything, err)
	}
	logged.mu.Lock()
	defer logged.mu.Unlock()
	if text := logged.String(); strings.Contains(text, private) || strings.Contains(text, "visits") || strings.Contains(text, tokens.Access) {
		t.Errorf("logged: %s", text)
	}
}
