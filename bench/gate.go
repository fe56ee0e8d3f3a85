package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ostiary/ostiary/gate"
)

// gateSetup says how to measure the gate's decision.
type gateSetup struct {
	Token       string
	Connections int
	Warm, For   time.Duration
}

// gateResult is what came of it.
type gateResult struct {
	Count    int
	Elapsed  time.Duration
	P50, P99 time.Duration
	Before   sample // the warm-up excluded
	After    sample
	Asked    int64 // requests to the issuer while it was measured
}

// accessToken connects once and returns a token.
func (b *bench) accessToken() (string, error) {
	conn, err := dial(b.stand.server.product)
	if err != nil {
		return "", err
	}
	defer conn.close()
	if _, err := newPlayer(b, &worker{client: conn}).connect(0); err != nil {
		return "", err
	}
	return string(between(conn.body, `"access_token":"`, `"`)), nil
}

// gate measures decisions in the server process, where no driver and no network take part.
func (b *bench) gate(ctx context.Context) (m measured, note string, err error) {
	token, err := b.accessToken()
	if err != nil {
		return measured{}, "", err
	}
	if err := b.awaitQuiet(ctx); err != nil {
		return measured{}, "", err
	}
	before, err := b.database.sample(ctx)
	if err != nil {
		return measured{}, "", err
	}
	r, err := b.stand.server.ask(command{Do: "gate", Gate: gateSetup{
		Token: token, Connections: b.o.connections, Warm: b.o.warm, For: b.o.duration,
	}})
	if err != nil {
		return measured{}, "", err
	}
	after, err := b.database.sample(ctx)
	if err != nil {
		return measured{}, "", err
	}
	g := r.Gate
	// One for the policy and one to resume the feed may fall into the time; more would come of the calls.
	if g.Asked > 2 {
		return measured{}, "", fmt.Errorf("%d calls caused %d requests to the issuer", g.Count, g.Asked)
	}
	n := float64(g.Count)
	sent := g.After.Product.minus(g.Before.Product)
	return measured{
		Count: g.Count, PerSecond: n / g.Elapsed.Seconds(), BestPerSecond: n / g.Elapsed.Seconds(), P50: g.P50, P99: g.P99,
		Statements: float64(sent.Statements) / n, RoundTrips: float64(sent.Trips) / n, Commits: float64(after.IDs-before.IDs) / n,
		Allocations: float64(g.After.Mallocs-g.Before.Mallocs) / n, AllocatedBytes: float64(g.After.Bytes-g.Before.Bytes) / n,
		ServerCPU: float64(g.After.CPU-g.Before.CPU) / float64(time.Microsecond) / n, WALBytes: float64(after.WAL-before.WAL) / n,
	}, fmt.Sprintf("%d requests to the issuer during %d calls", g.Asked, g.Count), nil
}

var gateCall = []byte(`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"run_query",` +
	`"arguments":{"query":"select account, score from profiles limit 50"},"_meta":{"progressToken":7}}}`)

// measureGate asks a gate of the product's issuer to decide on a tool call, again and again.
func (s *serving) measureGate(ctx context.Context, setup gateSetup) (gateResult, error) {
	counted := &counting{next: http.DefaultTransport}
	g, err := gate.New(ctx, gate.Options{Issuer: s.setup.Tenant.Issuer, ResourceID: s.setup.Tenant.ResourceID,
		HTTPClient: &http.Client{Transport: counted}})
	if err != nil {
		return gateResult{}, err
	}
	defer g.Close()
	guarded := g.Middleware(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }))
	if _, _, err := decide(guarded, setup, setup.Warm); err != nil {
		return gateResult{}, err
	}
	result := gateResult{Before: s.sample()}
	asked := counted.requests.Load()
	latency, elapsed, err := decide(guarded, setup, setup.For)
	result.After, result.Asked = s.sample(), counted.requests.Load()-asked
	result.Count, result.Elapsed = latency.Total, elapsed
	result.P50, result.P99 = latency.quantile(0.50), latency.quantile(0.99)
	return result, err
}

// decide lets as many callers as the machine has processors repeat a call: more would measure the scheduler.
func decide(guarded http.Handler, setup gateSetup, d time.Duration) (histogram, time.Duration, error) {
	callers := min(setup.Connections, runtime.GOMAXPROCS(0))
	histograms, problems := make([]histogram, callers), make([]error, callers)
	start := now()
	end := start.Add(d)
	var group sync.WaitGroup
	for i := range callers {
		group.Go(func() {
			call, err := newGateRequest(setup.Token)
			if err != nil {
				problems[i] = err
				return
			}
			for at := now(); at.Before(end); {
				call.Body = io.NopCloser(bytes.NewReader(gateCall))
				var w discarded
				at = now()
				guarded.ServeHTTP(&w, call)
				next := now()
				if w.status != http.StatusOK {
					problems[i] = fmt.Errorf("the gate answers %d", w.status)
					return
				}
				histograms[i].add(next.Sub(at))
				at = next
			}
		})
	}
	group.Wait()
	var all histogram
	for i := range histograms {
		all.merge(&histograms[i])
	}
	return all, now().Sub(start), errors.Join(problems...)
}

func newGateRequest(token string) (*http.Request, error) {
	r, err := http.NewRequest(http.MethodPost, identifier, nil) //nolint:noctx // goes nowhere
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", jsonType)
	r.Header.Set("Accept", "application/json, text/event-stream")
	r.Header.Set("Mcp-Method", "tools/call")
	r.Header.Set("Mcp-Name", "run_query")
	r.ContentLength = int64(len(gateCall))
	return r, nil
}

// discarded is an answer nobody reads.
type discarded struct {
	header http.Header
	status int
}

// Header returns the answer's header.
func (d *discarded) Header() http.Header {
	if d.header == nil {
		d.header = http.Header{}
	}
	return d.header
}

// WriteHeader keeps the status.
func (d *discarded) WriteHeader(status int) { d.status = status }

// Write drops the body.
func (d *discarded) Write(p []byte) (int, error) { return len(p), nil }

// counting counts the requests it carries.
type counting struct {
	next     http.RoundTripper
	requests atomic.Int64
}

// RoundTrip implements http.RoundTripper.
func (c *counting) RoundTrip(r *http.Request) (*http.Response, error) {
	c.requests.Add(1)
	return c.next.RoundTrip(r)
}
