package clients

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// Limits of one fetch (draft -02 §8.7). Hosts give the whole step ten seconds; a user waits for it.
const (
	fetchTimeout    = 5 * time.Second
	maxFetchHeaders = 16 << 10
	fetchUserAgent  = "Ostiary/1 (OAuth client metadata; +https://github.com/ostiary/ostiary)"
)

// FetchError says that a URL a client named did not give what it should. Reason is ours and may be shown; it quotes nothing
// that was received.
type FetchError struct {
	Host   string
	Reason string
	Gone   bool // the host says that it is gone for good (RFC 9110 §15.5.11)
	cause  error
}

// Error returns host, reason and cause.
func (e *FetchError) Error() string {
	if e.cause != nil {
		return e.Host + " " + e.Reason + ": " + e.cause.Error()
	}
	return e.Host + " " + e.Reason
}

// Unwrap returns the cause.
func (e *FetchError) Unwrap() error { return e.cause }

// fetched is what a fetch brought.
type fetched struct {
	body      []byte
	mediaType string
	freshFor  time.Duration
}

// wanted is what a fetch may bring.
type wanted struct {
	known  bool  // of a host we know
	limit  int64 // bytes read, whatever the headers say
	accept string
	takes  func(mediaType string) bool
}

// fetcher reads small public documents from URLs that strangers chose. It refuses redirects, proxies, encodings, every address
// that is not public, and answers that are late, large or of another type.
type fetcher struct {
	public, local *http.Client
	timeout       time.Duration
	slots         *slots
	now           func() time.Time
}

// fetchDeps are what tests replace: the name server, the trust anchors, what happens to an address that was allowed.
type fetchDeps struct {
	now      func() time.Time
	resolver *net.Resolver
	tls      *tls.Config
	admitted func(netip.AddrPort) error
}

func newFetcher(d fetchDeps) *fetcher {
	return &fetcher{
		public: fetchClient(d, guard{admitted: d.admitted}), local: fetchClient(d, guard{loopback: true}),
		timeout: fetchTimeout, slots: newSlots(), now: d.now,
	}
}

func fetchClient(d fetchDeps, g guard) *http.Client {
	dialer := &net.Dialer{ControlContext: g.control, Resolver: d.resolver}
	return &http.Client{
		// A redirect would let one host speak for another.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy: nil, DialContext: dialer.DialContext, TLSClientConfig: d.tls, DisableKeepAlives: true, DisableCompression: true,
			MaxResponseHeaderBytes: maxFetchHeaders, ForceAttemptHTTP2: true,
		},
	}
}

// get fetches u. Errors: *FetchError, or that of ctx.
func (f *fetcher) get(ctx context.Context, u *url.URL, want wanted) (fetched, error) {
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	release, err := f.slots.take(ctx, want.known)
	if err != nil {
		return fetched{}, &FetchError{Host: u.Hostname(), Reason: reasonTooManyOpen, cause: &BusyError{After: busyFor}}
	}
	defer release()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return fetched{}, &FetchError{Host: u.Hostname(), Reason: "cannot be asked", cause: err}
	}
	r.Header.Set("User-Agent", fetchUserAgent)
	r.Header.Set("Accept", want.accept)
	client := f.public
	if IsLoopbackHost(u.Hostname()) {
		client = f.local // ParseDocumentURL let it through: this is an issuer on loopback
	}
	answer, err := client.Do(r)
	if err != nil {
		return fetched{}, &FetchError{Host: u.Hostname(), Reason: reasonOf(err), cause: withoutURL(err)}
	}
	defer answer.Body.Close() //nolint:errcheck // nothing was written
	return f.read(u, answer, want)
}

func (f *fetcher) read(u *url.URL, answer *http.Response, want wanted) (fetched, error) {
	fail := func(reason string, cause error) (fetched, error) {
		return fetched{}, &FetchError{Host: u.Hostname(), Reason: reason, Gone: answer.StatusCode == http.StatusGone, cause: cause}
	}
	if answer.StatusCode != http.StatusOK { // draft -02 §5: exactly 200
		return fail(fmt.Sprintf("answered with status %d", answer.StatusCode), nil)
	}
	mediaType, _, err := mime.ParseMediaType(answer.Header.Get("Content-Type"))
	if err != nil || !want.takes(mediaType) {
		return fail("answered with another content type", nil)
	}
	if encoding := answer.Header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return fail("answered in an encoding we did not ask for", nil)
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, want.limit+1))
	if err != nil {
		return fail("did not send its answer to the end", withoutURL(err))
	}
	if int64(len(body)) > want.limit {
		return fail(fmt.Sprintf("answered with more than %d bytes", want.limit), nil)
	}
	return fetched{body: body, mediaType: mediaType, freshFor: freshFor(answer.Header, f.now())}, nil
}

func reasonOf(err error) string {
	var dns *net.DNSError
	switch {
	case errors.Is(err, errForbiddenAddress):
		return "is at an address we do not connect to"
	case errors.Is(err, context.DeadlineExceeded):
		return "did not answer in time"
	case errors.As(err, &dns):
		return "cannot be found"
	}
	return "cannot be reached"
}

// withoutURL takes the address out of an error of http.Client: it may carry a query, and those are never logged.
func withoutURL(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}

// isJSON takes application/json and every application/*+json (RFC 6839 §3.1).
func isJSON(mediaType string) bool {
	return mediaType == "application/json" || strings.HasPrefix(mediaType, "application/") && strings.HasSuffix(mediaType, "+json")
}
