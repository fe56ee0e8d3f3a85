package gate

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"
)

// discarded is a response nobody reads.
type discarded struct{ header http.Header }

func (d *discarded) Header() http.Header         { return d.header }
func (d *discarded) WriteHeader(int)             {}
func (d *discarded) Write(p []byte) (int, error) { return len(p), nil }

// BenchmarkDecideWarm is what the gate adds to a call with a token it has seen: parse, look up, inspect, decide, hand on.
func BenchmarkDecideWarm(b *testing.B) {
	is := newIssuer(b)
	g := is.newGate(b, func(o *Options) { o.PollEvery = time.Hour })
	reached := 0
	h := g.Middleware(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached++ }))
	body := []byte(
		`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"read_data",` +
			`"arguments":{"dataset":"accounts","limit":50},"_meta":{"progressToken":7}}}`,
	)
	r := httptest.NewRequest(http.MethodPost, "https://mcp.acme.example/mcp", nil)
	r.Header.Set("Authorization", "Bearer "+is.token("data:read data:list data:write"))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Mcp-Method", "tools/call")
	r.Header.Set("Mcp-Name", "read_data")
	r.ContentLength = int64(len(body))
	var took []time.Duration
	b.ReportAllocs()
	for b.Loop() {
		r.Body = io.NopCloser(bytes.NewReader(body))
		start := time.Now()
		h.ServeHTTP(&discarded{http.Header{}}, r)
		took = append(took, time.Since(start))
	}
	if reached != len(took) {
		b.Fatalf("%d of %d calls were let through", reached, len(took))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Nanoseconds()), "p50-ns")
	b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds()), "p99-ns")
}

// BenchmarkDecideCold verifies the signature anew each time.
func BenchmarkDecideCold(b *testing.B) {
	is := newIssuer(b)
	g := is.newGate(b, func(o *Options) { o.PollEvery = time.Hour })
	token := is.token("data:read")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := g.tokens.check(b.Context(), token); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkInspect reads a body of a typical size.
func BenchmarkInspect(b *testing.B) {
	body := []byte(callBody(7, "read_data"))
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if _, err := inspect(body); err != nil {
			b.Fatal(err)
		}
	}
}
