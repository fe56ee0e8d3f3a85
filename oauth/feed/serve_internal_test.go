package feed

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ostiary/ostiary/app/clock"
	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/policy"
	"github.com/ostiary/ostiary/app/scope"
)

// plain signs nothing: what is tested is who gets what.
type plain struct{}

func (plain) Sign(_ string, payload []byte) (string, error) { return string(payload), nil }

const (
	issuerURL  = "https://a.example"
	resourceID = "res_1"
)

// newFeeds returns Feeds whose editions come from the test and never from a database.
func newFeeds(t *testing.T, change func(*Deps)) *Feeds {
	t.Helper()
	d := Deps{Now: clock.System, Logger: slog.New(slog.DiscardHandler), Poll: time.Hour}
	if change != nil {
		change(&d)
	}
	f := New(d)
	t.Cleanup(f.Close)
	return f
}

// put makes an edition the current one.
func put(f *Feeds, sequence int64, grants ...string) {
	i := Issuer{URL: issuerURL, Keys: plain{}, Revisions: map[string]int{resourceID: 1}}
	f.hub(issuerURL, scope.Scope{}).take(newEdition(i, &state{
		sequence: sequence, grants: map[string][]string{resourceID: grants},
	}, f.now()))
}

func request(change func(*Request)) Request {
	r := Request{IssuerURL: issuerURL, ResourceID: resourceID, Address: "192.0.2.1", After: -1}
	if change != nil {
		change(&r)
	}
	return r
}

// pipes is a listener whose connections hold nothing: who does not read blocks who writes.
type pipes struct {
	accept chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.accept:
		return c, nil
	case <-p.closed:
		return nil, errors.New("closed")
	}
}
func (p *pipes) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (*pipes) Addr() net.Addr   { return &net.TCPAddr{} }
func (p *pipes) dial() net.Conn { near, far := net.Pipe(); p.accept <- far; return near }

// listen serves the stream of f, and returns how to connect and what says that a stream has ended.
func listen(t *testing.T, f *Feeds) (dial func() net.Conn, ended <-chan error) {
	t.Helper()
	done := make(chan error, 10)
	server := &http.Server{ReadHeaderTimeout: time.Second, ReadTimeout: 50 * time.Millisecond, WriteTimeout: 50 * time.Millisecond}
	server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		done <- f.Serve(w, r, request(func(r *Request) { r.Stream = true }))
	})
	p := &pipes{accept: make(chan net.Conn), closed: make(chan struct{})}
	go func() { _ = server.Serve(p) }()
	t.Cleanup(func() { _ = server.Close() })
	return p.dial, done
}

func readEvent(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if data, ok := strings.CutPrefix(line, "data: "); ok {
			return data
		}
	}
}

// Who does not read is let go; who reads is not disturbed, and outlives the limits that are for quick answers.
func TestStream_LetsGoOfWhoDoesNotRead(t *testing.T) {
	t.Parallel()
	f := newFeeds(t, func(d *Deps) { d.Patience = 300 * time.Millisecond })
	put(f, 1)
	dial, ended := listen(t, f)
	slow, good := dial(), dial()
	var readers [2]*bufio.Reader
	for i, conn := range []net.Conn{slow, good} {
		if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		readers[i] = bufio.NewReader(conn)
		readEvent(t, readers[i])
	}
	deadline := time.Now().Add(20 * time.Second)
	for n := int64(2); ; n++ {
		put(f, n, strings.Repeat("g", 5000))
		readEvent(t, readers[1])
		select {
		case err := <-ended:
			if err != nil {
				t.Fatal(err)
			}
			put(f, n+1)
			readEvent(t, readers[1])
			return
		default:
		}
		if time.Now().After(deadline) {
			t.Fatal("who does not read is still there")
		}
	}
}

func TestSeats_NobodyTakesThePlacesOfAll(t *testing.T) {
	t.Parallel()
	s := newSeats(20)
	take := func(issuer, address string) func() {
		leave, ok := s.take(issuer, address)
		if !ok {
			return nil
		}
		return leave
	}
	first := take("a", "1")
	if first == nil || take("a", "1") == nil || take("a", "1") != nil || take("b", "1") != nil {
		t.Error("an address has a tenth, over all issuers")
	}
	for i := 2; i < 10; i++ {
		if take("a", fmt.Sprint(i)) == nil {
			t.Fatalf("place %d of the issuer", i)
		}
	}
	if take("a", "10") != nil {
		t.Error("an issuer has half")
	}
	for i := 10; i < 20; i++ {
		if take("b", fmt.Sprint(i)) == nil {
			t.Fatalf("place %d of the other issuer", i)
		}
	}
	if take("c", "20") != nil {
		t.Error("the node is full")
	}
	first()
	if take("c", "20") == nil {
		t.Error("a free place is not given")
	}
}

func TestServe_WaitsForNothingThatWillNotCome(t *testing.T) {
	t.Parallel()
	f := newFeeds(t, nil)
	put(f, 7)
	serve := func(ctx context.Context, change func(*Request)) (*httptest.ResponseRecorder, error) {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, "/", nil).WithContext(ctx)
		return w, f.Serve(w, r, request(change))
	}
	type result struct {
		w   *httptest.ResponseRecorder
		err error
	}
	waiting := make(chan result)
	ask := func(ctx context.Context, after int64) {
		go func() {
			w, err := serve(ctx, func(r *Request) { r.Wait, r.After = MaxWait, after })
			waiting <- result{w, err}
		}()
	}
	ask(t.Context(), 6)
	if got := <-waiting; got.err != nil || !strings.Contains(got.w.Body.String(), `"seq":7`) {
		t.Errorf("who is behind: %v %s", got.err, got.w.Body)
	}
	gone, leave := context.WithCancel(t.Context())
	ask(gone, 7)
	leave()
	if got := <-waiting; got.err != nil {
		t.Errorf("who left: %v", got.err)
	}
	ask(t.Context(), 7)
	ask(t.Context(), 9)
	f.EndStreams()
	for range 2 {
		if got := <-waiting; got.err != nil || !strings.Contains(got.w.Body.String(), `"seq":7`) {
			t.Errorf("who waits when the node ends: %v %s", got.err, got.w.Body)
		}
	}
	if w, err := serve(t.Context(), func(r *Request) { r.Stream = true }); err != nil || !strings.Contains(w.Body.String(), "id: 7\n") {
		t.Errorf("who comes late has one event: %v %s", err, w.Body)
	}
	if _, err := serve(t.Context(), func(r *Request) { r.ResourceID = "res_2" }); !errs.Is(err, errs.NotFound) {
		t.Errorf("another MCP server: %v", err)
	}
}

func TestEdition_IsSignedOnceForEverybody(t *testing.T) {
	t.Parallel()
	f := newFeeds(t, nil)
	put(f, 1, "grt_1")
	e, err := f.hub(issuerURL, scope.Scope{}).fresh(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	one, err := e.letter(resourceID)
	if err != nil {
		t.Fatal(err)
	}
	if other, _ := e.letter(resourceID); other != one {
		t.Error("signed twice")
	}
	if want := int64(policy.FeedLifetime / time.Second); !strings.Contains(string(one.jws), fmt.Sprintf(`"exp":%d`, e.at.Unix()+want)) {
		t.Errorf("%s", one.jws)
	}
}
