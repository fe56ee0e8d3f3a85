package gate

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/http/httputil"
	"net/textproto"
	"net/url"
	"strings"
	"time"

	"github.com/ostiary/ostiary/app/calls"
)

// upstreamError is an answer of the MCP server that must not reach the client.
type upstreamError string

func (e upstreamError) Error() string { return string(e) }

const (
	errUpstreamRedirects upstreamError = "The MCP server answered with a redirect; " +
		"the gate's upstream must be its final URL"
	errUpstreamStalls  upstreamError = "The MCP server announces an answer again and again"
	errUpstreamRefuses upstreamError = "The MCP server did not accept the gate's request"
)

// parseUpstream reads the URL of the MCP server behind the gate.
func parseUpstream(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, errors.New("gate: the upstream is not a URL")
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Fragment != "" {
		return nil, fmt.Errorf("gate: the upstream %s is not an absolute http or https URL", u.Redacted())
	}
	return u, nil
}

func defaultTransport() *http.Transport {
	return &http.Transport{
		DialContext:         (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout: 10 * time.Second,
		IdleConnTimeout:     90 * time.Second,
		MaxIdleConns:        512,
		MaxIdleConnsPerHost: 256,
		ForceAttemptHTTP2:   true,
		DisableCompression:  true, // the client's own Accept-Encoding travels on

		MaxResponseHeaderBytes: 256 << 10,
	}
}

// proxy forwards to the one URL of the upstream. The path of the request never chooses where it goes.
func (g *Gate) proxy(upstream *url.URL) http.Handler {
	p := &httputil.ReverseProxy{
		Rewrite: func(pr *httputil.ProxyRequest) {
			target := *upstream
			if target.Path == "" { // only an origin was given: the same path there
				target.Path = pr.In.URL.Path
			}
			target.RawQuery = joinQuery(upstream.RawQuery, pr.In.URL.RawQuery)
			pr.Out.URL, pr.Out.Host = &target, "" // MCP servers on loopback insist on their own Host
			pr.SetXForwarded()
		},
		Transport:      g.transport,
		FlushInterval:  -1, // events must not wait
		ModifyResponse: cleanResponse,
		ErrorHandler:   g.upstreamFailed,
		ErrorLog:       slog.NewLogLogger(g.log.Handler(), slog.LevelDebug),
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		passage := passageFrom(r.Context())
		if err := g.introduce(r.Header, g.view(), passage.identity); err != nil {
			g.log.ErrorContext(r.Context(), "who calls could not be told to the MCP server", "error", err)
			writeRPCError(w, http.StatusInternalServerError, passage.message, rpcError{Code: rpcInternal, Message: "Something went wrong here"})
			return
		}
		p.ServeHTTP(w, r.WithContext(httptrace.WithClientTrace(r.Context(), fewInterim())))
	})
}

// maxInterim is how many interim answers (1xx) a server may send before its answer, as net/http has it where nobody
// asks to see them. The reverse proxy does ask, and would pass them on without end.
const maxInterim = 5

func fewInterim() *httptrace.ClientTrace {
	left := maxInterim
	return &httptrace.ClientTrace{Got1xxResponse: func(int, textproto.MIMEHeader) error {
		if left--; left < 0 {
			return errUpstreamStalls
		}
		return nil
	}}
}

// joinQuery adds to the upstream's query that of a request, without what the upstream's says already: of two, nobody knows which
// one the MCP server takes.
func joinQuery(upstream, request string) string {
	if upstream == "" {
		return request
	}
	fixed := map[string]bool{}
	for pair := range strings.SplitSeq(upstream, "&") {
		fixed[parameter(pair)] = true
	}
	out := upstream
	for pair := range strings.SplitSeq(request, "&") {
		repeats := false
		for part := range strings.SplitSeq(pair, ";") { // some servers begin a new one there
			repeats = repeats || fixed[parameter(part)]
		}
		if pair != "" && !repeats {
			out += "&" + pair
		}
	}
	return out
}

// parameter is the name of a query parameter, as the most lenient server reads it.
func parameter(pair string) string {
	name, _, _ := strings.Cut(pair, "=")
	if plain, err := url.QueryUnescape(name); err == nil {
		name = plain
	}
	name, _, _ = strings.Cut(name, "[")
	return strings.ToLower(strings.TrimSpace(name))
}

// cleanResponse turns back what the MCP server has no business to say to the client: how to sign in, where to go, who
// may read it.
func cleanResponse(r *http.Response) error {
	switch {
	case r.StatusCode == http.StatusUnauthorized && passageFrom(r.Request.Context()).identity.proof == calls.ProofLegacy:
		// The key is the MCP server's to judge.
	case r.StatusCode == http.StatusUnauthorized || r.StatusCode == http.StatusProxyAuthRequired:
		return errUpstreamRefuses // the client would throw away a token that is good
	case r.StatusCode >= 300 && r.StatusCode < 400 && r.StatusCode != http.StatusNotModified:
		return errUpstreamRedirects
	}
	r.Header.Del("WWW-Authenticate")
	for name := range r.Header {
		if strings.HasPrefix(name, "Access-Control-") {
			delete(r.Header, name)
		}
	}
	return nil
}

// upstreamFailed answers when the MCP server could not.
func (g *Gate) upstreamFailed(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		return // the client went away, which is how a call is cancelled
	}
	msg := "The MCP server cannot be reached"
	if known, ok := errors.AsType[upstreamError](err); ok {
		msg = known.Error()
	}
	g.log.ErrorContext(r.Context(), "the MCP server failed", "error", withoutURL(err))
	writeRPCError(w, http.StatusBadGateway, passageFrom(r.Context()).message,
		rpcError{Code: rpcUpstreamFailed, Message: msg})
}
