package clients

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// nameServer answers for every name with what answers returns for its n-th question, on loopback.
func nameServer(t *testing.T, answers func(name string, n int) []string) *net.Resolver {
	t.Helper()
	conn, err := new(net.ListenConfig).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	var mu sync.Mutex
	asked := map[string]int{}
	go func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buf[:n]) != nil || len(m.Questions) != 1 {
				continue
			}
			q := m.Questions[0]
			mu.Lock()
			key := q.Name.String() + q.Type.String()
			nth := asked[key]
			asked[key]++
			mu.Unlock()
			reply := dnsmessage.Message{Header: dnsmessage.Header{ID: m.ID, Response: true, RecursionAvailable: true}, Questions: m.Questions}
			for _, text := range answers(strings.TrimSuffix(q.Name.String(), "."), nth) {
				reply.Answers = append(reply.Answers, record(q, netip.MustParseAddr(text))...)
			}
			if packed, err := reply.Pack(); err == nil {
				_, _ = conn.WriteTo(packed, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

func record(q dnsmessage.Question, a netip.Addr) []dnsmessage.Resource {
	h := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: dnsmessage.ClassINET}
	switch {
	case q.Type == dnsmessage.TypeA && a.Is4():
		return []dnsmessage.Resource{{Header: h, Body: &dnsmessage.AResource{A: a.As4()}}}
	case q.Type == dnsmessage.TypeAAAA && a.Is6():
		return []dnsmessage.Resource{{Header: h, Body: &dnsmessage.AAAAResource{AAAA: a.As16()}}}
	}
	return nil
}

// errStop ends a connection that the guard admitted: no test leaves this machine.
var errStop = errors.New("admitted, and stopped by the test")

// admissions records what the guard admitted.
type admissions struct {
	mu  sync.Mutex
	all []netip.AddrPort
}

func (a *admissions) stop(to netip.AddrPort) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all = append(a.all, to)
	return errStop
}

func (a *admissions) list() []netip.AddrPort {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]netip.AddrPort(nil), a.all...)
}

func guarded(t *testing.T, answers func(string, int) []string) (*fetcher, *admissions) {
	t.Helper()
	a := &admissions{}
	return newFetcher(fetchDeps{now: time.Now, resolver: nameServer(t, answers), admitted: a.stop}), a
}

var document = wanted{limit: maxDocument, accept: "application/json", takes: isJSON}

func fetchURL(t *testing.T, f *fetcher, raw string) (fetched, error) {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return f.get(t.Context(), u, document)
}

func TestFetch_ConnectsToPublicAddressesOnly(t *testing.T) {
	t.Parallel()
	for name, address := range map[string]string{
		"loopback": "127.0.0.1", "all of loopback": "127.9.9.9", "this network": "0.0.0.0", "private 10": "10.1.2.3", "private 172": "172.16.0.1",
		"private 192": "192.168.1.1", "cloud metadata": "169.254.169.254", "azure host": "168.63.129.16", "carrier NAT": "100.64.0.1",
		"alibaba metadata": "100.100.100.200", "oracle metadata": "192.0.0.192", "documentation": "192.0.2.1", "documentation 2": "198.51.100.7",
		"documentation 3": "203.0.113.9", "benchmark": "198.18.0.1", "multicast": "224.0.0.1", "reserved": "240.0.0.1", "broadcast": "255.255.255.255",
		"6to4 relay": "192.88.99.1", "IPv6 loopback": "::1", "unspecified": "::", "mapped loopback": "::ffff:127.0.0.1",
		"mapped private": "::ffff:10.0.0.1", "compatible": "::127.0.0.1", "NAT64 loopback": "64:ff9b::7f00:1",
		"NAT64 public": "64:ff9b::808:808", "local NAT64": "64:ff9b:1::7f00:1", "unique local": "fd00:ec2::254", "link-local": "fe80::1",
		"site-local": "fec0::1", "IPv6 multicast": "ff02::1", "6to4 loopback": "2002:7f00:1::", "teredo": "2001:0:7f00:1::", "ORCHID": "2001:20::1",
		"IPv6 documentation": "2001:db8::1", "IPv6 documentation 2": "3fff::1", "discard": "100::1", "segment routing": "5f00::1",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, admitted := guarded(t, func(string, int) []string { return []string{address} })
			_, err := fetchURL(t, f, "https://doc.example/client.json")
			if !errors.Is(err, errForbiddenAddress) {
				t.Errorf("%s: %v", address, err)
			}
			if got := admitted.list(); len(got) > 0 {
				t.Errorf("%s: connected to %v", address, got)
			}
		})
	}
	for _, address := range []string{"8.8.8.8", "1.1.1.1", "100.128.0.1", "172.32.0.1", "2606:4700::1111", "2a00:1450::1"} {
		f, admitted := guarded(t, func(string, int) []string { return []string{address} })
		_, err := fetchURL(t, f, "https://doc.example/client.json")
		if got := admitted.list(); !errors.Is(err, errStop) || len(got) != 1 || got[0].Port() != 443 {
			t.Errorf("%s is public: %v %v", address, err, got)
		}
	}
}

// A name that is public when it is looked at and private when it is connected to gains nothing: what is judged is the address
// of the connection.
func TestFetch_RebindingGainsNothing(t *testing.T) {
	t.Parallel()
	f, admitted := guarded(t, func(_ string, n int) []string {
		if n == 0 {
			return []string{"8.8.8.8"}
		}
		return []string{"127.0.0.1"}
	})
	if _, err := fetchURL(t, f, "https://rebind.example/client.json"); !errors.Is(err, errStop) {
		t.Fatalf("first: %v", err)
	}
	if _, err := fetchURL(t, f, "https://rebind.example/client.json"); !errors.Is(err, errForbiddenAddress) {
		t.Errorf("second: %v", err)
	}
	if _, err := fetchURL(t, f, "https://both.example/client.json"); err == nil {
		t.Error("both: no error")
	}
	for _, to := range admitted.list() {
		if !publicAddress(to.Addr()) {
			t.Errorf("connected to %v", to)
		}
	}
	mixed, admitted := guarded(t, func(string, int) []string { return []string{"8.8.4.4", "127.0.0.1", "10.0.0.1", "::1"} })
	if _, err := fetchURL(t, mixed, "https://mixed.example/client.json"); err == nil {
		t.Error("mixed: no error")
	}
	if got := admitted.list(); len(got) != 1 || got[0].Addr().String() != "8.8.4.4" {
		t.Errorf("of four addresses one is public: connected to %v", got)
	}
}

func TestFetch_UsesPort443Only(t *testing.T) {
	t.Parallel()
	f, admitted := guarded(t, func(string, int) []string { return []string{"8.8.8.8"} })
	for _, raw := range []string{"https://doc.example:8443/c", "https://doc.example:22/c", "http://doc.example/c"} {
		if _, err := fetchURL(t, f, raw); !errors.Is(err, errForbiddenAddress) {
			t.Errorf("%s: %v", raw, err)
		}
	}
	if got := admitted.list(); len(got) > 0 {
		t.Errorf("connected to %v", got)
	}
}

// The address of this machine is reached by its own name only, and by an issuer on it: another name for it stays another host.
func TestFetch_OtherNamesOfThisMachineAreNotLoopback(t *testing.T) {
	t.Parallel()
	f, admitted := guarded(t, func(string, int) []string { return []string{"127.0.0.1"} })
	if _, err := fetchURL(t, f, "https://localtest.example/c"); !errors.Is(err, errForbiddenAddress) {
		t.Errorf("%v", err)
	}
	if got := admitted.list(); len(got) > 0 {
		t.Errorf("connected to %v", got)
	}
}

func TestFetch_AsksNoProxy(t *testing.T) {
	t.Parallel()
	f := newFetcher(fetchDeps{now: time.Now})
	for _, client := range []*http.Client{f.public, f.local} {
		if client.Transport.(*http.Transport).Proxy != nil {
			t.Error("a proxy would connect for us, to wherever it likes")
		}
	}
}

// local answers at http://127.0.0.1.
func local(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL + "/client.json"
}

func TestFetch_TakesExactlyADocument(t *testing.T) {
	t.Parallel()
	inner := local(t, func(http.ResponseWriter, *http.Request) { t.Error("a redirect was followed") })
	reply := func(status int, contentType, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}
	}
	for name, tt := range map[string]struct {
		handler http.HandlerFunc
		reason  string
	}{
		"plain":          {reply(200, "application/json", "{}"), ""},
		"charset":        {reply(200, "application/json; charset=utf-8", "{}"), ""},
		"json suffix":    {reply(200, "application/client-metadata+json", "{}"), ""},
		"created":        {reply(201, "application/json", "{}"), "status 201"},
		"partial":        {reply(206, "application/json", "{}"), "status 206"},
		"not found":      {reply(404, "application/json", "{}"), "status 404"},
		"challenge page": {reply(403, "text/html", "<html>"), "status 403"},
		"html":           {reply(200, "text/html", "{}"), "content type"},
		"text":           {reply(200, "text/plain", "{}"), "content type"},
		"no type":        {reply(200, "", "{}"), "content type"},
		"exactly 5 KB":   {reply(200, "application/json", strings.Repeat(" ", maxDocument)), ""},
		"one byte more":  {reply(200, "application/json", strings.Repeat(" ", maxDocument+1)), "more than"},
		"lies about length": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Length", "900000")
			_, _ = w.Write([]byte(strings.Repeat(" ", 900000)))
		}, "more than"},
		"cut off": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte("{}"))
		}, "to the end"},
		"packed": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write([]byte("{}"))
		}, "encoding"},
		"redirect": {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, inner, http.StatusFound) }, "status 302"},
		"permanent redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://169.254.169.254/latest/meta-data/", http.StatusPermanentRedirect)
		}, "status 308"},
		"endless headers": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Long", strings.Repeat("x", 64<<10))
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte("{}"))
		}, "cannot be reached"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := fetchURL(t, newFetcher(fetchDeps{now: time.Now}), local(t, tt.handler))
			var failed *FetchError
			switch {
			case tt.reason == "" && err != nil:
				t.Errorf("%v", err)
			case tt.reason != "" && (!errors.As(err, &failed) || !strings.Contains(failed.Reason, tt.reason)):
				t.Errorf("%v, want %q", err, tt.reason)
			}
		})
	}
}

func TestFetch_SaysWhoAsks(t *testing.T) {
	t.Parallel()
	target := local(t, func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.UserAgent(), "Ostiary/") || r.Method != http.MethodGet || r.Header.Get("Cookie") != "" || r.Header.Get("Referer") != "" {
			t.Errorf("%s %v", r.Method, r.Header)
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte("{}"))
	})
	if _, err := fetchURL(t, newFetcher(fetchDeps{now: time.Now}), target); err != nil {
		t.Error(err)
	}
}

func TestFetch_EndsWithItsTime(t *testing.T) {
	t.Parallel()
	hang := func(r *http.Request) { <-r.Context().Done() }
	for name, handler := range map[string]http.HandlerFunc{
		"no answer": func(_ http.ResponseWriter, r *http.Request) { hang(r) },
		"slow body": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte("{"))
			_ = http.NewResponseController(w).Flush()
			hang(r)
		},
	} {
		f := newFetcher(fetchDeps{now: time.Now})
		f.timeout = 100 * time.Millisecond
		if _, err := fetchURL(t, f, local(t, handler)); !errors.Is(err, context.DeadlineExceeded) { // it would hang
			t.Errorf("%s: %v", name, err)
		}
	}
	full := newFetcher(fetchDeps{now: time.Now})
	full.timeout = 50 * time.Millisecond
	for range fetchesAtOnce {
		full.slots.all <- struct{}{}
	}
	if _, err := fetchURL(t, full, local(t, nil)); err == nil || !strings.Contains(err.Error(), "too much") {
		t.Errorf("with every slot taken: %v", err)
	}
}

func TestFetch_ChecksCertificates(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte("{}"))
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // it says that we hung up on it
	server.StartTLS()
	t.Cleanup(server.Close)
	trusting := x509.NewCertPool()
	trusting.AddCert(server.Certificate())
	target := strings.Replace(server.URL, "127.0.0.1", "localhost", 1) + "/c"
	known := newFetcher(fetchDeps{now: time.Now, tls: &tls.Config{RootCAs: trusting, ServerName: "example.com", MinVersion: tls.VersionTLS12}})
	if _, err := fetchURL(t, known, target); err != nil {
		t.Errorf("a trusted certificate: %v", err)
	}
	if _, err := fetchURL(t, newFetcher(fetchDeps{now: time.Now}), target); err == nil {
		t.Error("a certificate nobody vouches for was taken")
	}
}

func TestFreshFor_FollowsRFC9111WithinOurBounds(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	at := func(d time.Duration) string { return now.Add(d).Format(http.TimeFormat) }
	for name, tt := range map[string]struct {
		header http.Header
		want   time.Duration
	}{
		"nothing said":       {http.Header{}, time.Hour},
		"max-age":            {http.Header{"Cache-Control": {"public, max-age=300"}}, 5 * time.Minute},
		"s-maxage first":     {http.Header{"Cache-Control": {"max-age=300, s-maxage=600"}}, 10 * time.Minute},
		"two lines":          {http.Header{"Cache-Control": {"public", `max-age="300"`}}, 5 * time.Minute},
		"age counts":         {http.Header{"Cache-Control": {"max-age=600"}, "Age": {"120"}}, 8 * time.Minute},
		"too old":            {http.Header{"Cache-Control": {"max-age=600"}, "Age": {"900"}}, time.Minute},
		"no-store":           {http.Header{"Cache-Control": {"no-store, max-age=600"}}, time.Minute},
		"no-cache":           {http.Header{"Cache-Control": {"no-cache"}}, time.Minute},
		"zero":               {http.Header{"Cache-Control": {"max-age=0"}}, time.Minute},
		"unreadable":         {http.Header{"Cache-Control": {"max-age=soon"}}, time.Minute},
		"negative":           {http.Header{"Cache-Control": {"max-age=-1"}}, time.Minute},
		"first of two":       {http.Header{"Cache-Control": {"max-age=300, max-age=900"}}, 5 * time.Minute},
		"a year":             {http.Header{"Cache-Control": {"max-age=31536000"}}, 24 * time.Hour},
		"beyond all numbers": {http.Header{"Cache-Control": {"max-age=99999999999999999999"}}, 24 * time.Hour},
		"expires and date":   {http.Header{"Expires": {at(10 * time.Minute)}, "Date": {at(0)}}, 10 * time.Minute},
		"expires, wrong clock": {
			http.Header{"Expires": {at(70 * time.Minute)}, "Date": {at(time.Hour)}}, 10 * time.Minute,
		},
		"expires alone":    {http.Header{"Expires": {at(10 * time.Minute)}}, 10 * time.Minute},
		"expires 0":        {http.Header{"Expires": {"0"}}, time.Minute},
		"max-age over it":  {http.Header{"Expires": {"0"}, "Cache-Control": {"max-age=300"}}, 5 * time.Minute},
		"upper case":       {http.Header{"Cache-Control": {"Max-Age=300"}}, 5 * time.Minute},
		"unknown together": {http.Header{"Cache-Control": {"immutable, max-age=300, stale-if-error=9"}}, 5 * time.Minute},
	} {
		if got := freshFor(tt.header, now); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}
