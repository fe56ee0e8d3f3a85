package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strconv"
	"sync/atomic"

	"github.com/ostiary/ostiary/app/calls"
	"github.com/ostiary/ostiary/gate"
)

const (
	millionCalls = 1_000_000
	millionFirst = 100_000 // fill what is bounded before it is looked at
)

// million makes a million calls on one gate and says what the heap grew by. Each has a session of its own, and one in
// sixteen asks for a tool nobody knows by a name nobody used: whatever a gate remembers of its callers has to be
// bounded.
func (b *bench) million(ctx context.Context) (m measured, note string, err error) {
	token, err := b.accessToken()
	if err != nil {
		return m, "", err
	}
	var reported atomic.Int64
	g, err := gate.New(ctx, gate.Options{Issuer: b.stand.tenant.Issuer, ResourceID: b.stand.tenant.ResourceID,
		Observe: func(context.Context, calls.Record) { reported.Add(1) }})
	if err != nil {
		return m, "", err
	}
	defer g.Close()
	n := 0
	guarded := g.Middleware(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Mcp-Session-Id", "session-"+strconv.Itoa(n))
		w.WriteHeader(http.StatusOK)
	}))
	call, err := newGateRequest(token)
	if err != nil {
		return m, "", err
	}
	call.Header.Del("Mcp-Name")
	var h histogram
	play := func(times int) error {
		for range times {
			n++
			body := gateCall
			if n%16 == 0 {
				body = bytes.Replace(gateCall, []byte("run_query"), []byte("unknown_"+strconv.Itoa(n)), 1)
			}
			call.Body, call.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
			var w discarded
			at := now()
			guarded.ServeHTTP(&w, call)
			h.add(now().Sub(at))
			if w.status != http.StatusOK {
				return fmt.Errorf("the gate answers %d", w.status)
			}
		}
		return ctx.Err()
	}
	if err := play(millionFirst); err != nil {
		return m, "", err
	}
	h = histogram{}
	before, start := liveHeap(), now()
	if err := play(millionCalls); err != nil {
		return m, "", err
	}
	elapsed, grown := now().Sub(start), liveHeap()-before
	if reported.Load() != millionCalls+millionFirst {
		return m, "", fmt.Errorf("%d of %d calls were reported", reported.Load(), millionCalls+millionFirst)
	}
	m = measured{Count: h.Total, PerSecond: float64(h.Total) / elapsed.Seconds(), P50: h.quantile(0.5), P99: h.quantile(0.99)}
	return m, fmt.Sprintf("the heap grew by %d KiB, from %d KiB", grown>>10, before>>10), nil
}

// liveHeap is what is in use after a collection.
func liveHeap() int64 {
	runtime.GC()
	runtime.GC() // what finalizers let go
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	return int64(memory.HeapAlloc)
}
