package gate

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// guard lets a request through to next when token, body and policy agree. Cheap and anonymous checks come first, then
// who it is, then what is asked for.
func (g *Gate) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		guardHeaders(w.Header())
		// Also for a body nobody will read: net/http waits for it before it answers. Not every ResponseWriter has deadlines.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(g.bodyTimeout)) //nolint:forbidigo // wall clock
		switch r.Method {
		case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodDelete:
		case http.MethodOptions:
			preflight(w, r)
			return
		default:
			methodNotAllowed(w, allowedMethods)
			return
		}
		var held int64
		defer func() { g.memory.give(held) }()
		o := g.decideRequest(r.Context(), asked{
			method: r.Method, host: r.Host, path: r.URL.EscapedPath(), query: r.URL.RawQuery, header: r.Header,
			read: func() ([]byte, body, error) { return g.read(w, r, &held) },
		})
		if o.denial != nil {
			o.denial.write(w)
			g.report(r.Context(), o, o.denial.status)
			return
		}
		g.pass(w, r, o, next)
	})
}

// pass hands an allowed request on to next.
func (g *Gate) pass(w http.ResponseWriter, r *http.Request, o outcome, next http.Handler) {
	p := &passage{identity: o.identity, message: o.body.id()}
	ctx, cancel := context.WithCancelCause(context.WithValue(r.Context(), passageKey{}, p))
	defer cancel(nil)
	out := r.WithContext(ctx)
	out.Header = r.Header.Clone()
	g.cleanHeaders(out.Header, r.Header, o.identity)
	out.Trailer = nil
	if r.Method == http.MethodPost {
		raw := o.raw
		out.Body, out.ContentLength, out.TransferEncoding = io.NopCloser(bytes.NewReader(raw)), int64(len(raw)), nil
		// Lets the transport send it again when an idle connection turns out to be closed.
		out.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(raw)), nil }
	}
	st := &stream{identity: o.identity, cancel: cancel, control: http.NewResponseController(w)}
	if !g.streams.add(st) {
		(&denial{status: http.StatusServiceUnavailable, retryAfter: "5", body: rpcAnswerTo(p.message,
			rpcError{Code: rpcInternal, Message: "There are too many requests under way"})}).write(w)
		return
	}
	defer func() {
		g.streams.remove(st)
		_ = st.control.SetWriteDeadline(time.Time{})
	}()
	if now := g.feed.Current(); now.Feed != o.now.Feed { // it came before the request was noted, and ended nothing
		if reason := now.Feed.Refuses(o.identity.subject(), o.view.doc.Resource.ID); reason != "" {
			st.stop(reason)
		}
	}
	g.forward(w, out, next, o, st)
}

// authenticate says who asks, or how to answer when there is no good token.
func (g *Gate) authenticate(ctx context.Context, a asked, v *view) (*Identity, *denial) {
	if tokenInQuery(a.query) {
		return nil, &denial{status: http.StatusBadRequest, body: oauthError{codeInvalidRequest,
			"Access tokens are accepted in the Authorization header only"}}
	}
	if id, present := g.edges.legacy.find(a.header); id != nil {
		return id, nil
	} else if present {
		return nil, unauthorized(a, v, challenge{code: codeInvalidToken, description: "The key is not known"})
	}
	token, problem := bearer(a.header.Values("Authorization"))
	var id *Identity
	if problem == nil && token != "" {
		id, problem = g.tokens.verify(ctx, token, v.doc.Resource.Identifier)
	}
	reason, isToken := errors.AsType[tokenError](problem)
	switch {
	case id != nil:
		return id, nil
	case problem != nil && !isToken:
		return nil, g.unavailable(ctx, problem)
	case problem != nil:
		g.log.InfoContext(ctx, "access token refused", "reason", reason.Error())
		return nil, unauthorized(a, v, challenge{code: codeInvalidToken, description: reason.Error()})
	default:
		return nil, unauthorized(a, v, challenge{})
	}
}

// tokenInQuery finds an access token where none may be (RFC 6750 §2.3, forbidden by MCP), however it is spelled.
func tokenInQuery(query string) bool {
	for _, pair := range strings.FieldsFunc(query, func(r rune) bool { return r == '&' || r == ';' }) {
		key, _, _ := strings.Cut(pair, "=")
		if plain, err := url.QueryUnescape(key); err == nil {
			key = plain
		}
		if strings.EqualFold(strings.TrimSpace(key), "access_token") {
			return true
		}
	}
	return false
}

// bearer takes the token out of the Authorization headers. No token and no error means none was presented.
func bearer(values []string) (string, error) {
	if len(values) == 0 {
		return "", nil
	}
	if len(values) > 1 {
		return "", errTokenMalformed // RFC 6750 §2: one method, once
	}
	scheme, token, _ := strings.Cut(strings.TrimSpace(values[0]), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", nil
	}
	if token = strings.TrimLeft(token, " "); token == "" || strings.ContainsAny(token, " \t,") {
		return "", errTokenMalformed
	}
	return token, nil
}

// read takes from the wire what a request asks for. Only POST has a body; the error is a *refusal.
// held grows by the memory that was taken for it.
func (g *Gate) read(w http.ResponseWriter, r *http.Request, held *int64) ([]byte, body, error) {
	if r.Method != http.MethodPost {
		if r.ContentLength != 0 { // only for a server that reads a body where it should not
			return nil, body{}, badBody(rpcInvalidRequest, "%s has no body", r.Method)
		}
		return nil, body{}, nil
	}
	raw, err := g.readBody(w, r, held)
	if err != nil {
		return nil, body{}, err
	}
	b, err := inspect(raw)
	if err != nil {
		return raw, body{}, err
	}
	return raw, b, checkMirror(r.Header, b)
}

// A body gets as much memory as it announces up to trustedLength, then twice as much each time it has filled what it
// has.
const (
	leastLength   = 512
	trustedLength = 64 << 10
)

// readBody reads a JSON body of bounded size from a client that may be slow on purpose. The error is a *refusal.
func (g *Gate) readBody(w http.ResponseWriter, r *http.Request, held *int64) ([]byte, error) {
	if !isJSON(r.Header) {
		return nil, &refusal{status: http.StatusUnsupportedMediaType, code: rpcInvalidRequest,
			message: "the body must be application/json, UTF-8, without content encoding"}
	}
	tooLarge := &refusal{status: http.StatusRequestEntityTooLarge, code: rpcInvalidRequest,
		message: "the body is too large"}
	if r.ContentLength > g.maxBody {
		return nil, tooLarge
	}
	var buf bytes.Buffer
	var err error
	in := http.MaxBytesReader(w, r.Body, g.maxBody)
	for step := min(max(r.ContentLength, leastLength), trustedLength); err == nil; step = int64(buf.Len()) {
		if !g.memory.take(step + bytes.MinRead) {
			return nil, &refusal{status: http.StatusServiceUnavailable, code: rpcInternal, message: "too much is under way"}
		}
		*held += step + bytes.MinRead
		buf.Grow(int(step) + bytes.MinRead)
		var n int64
		if n, err = buf.ReadFrom(io.LimitReader(in, step+1)); err == nil && n <= step {
			return buf.Bytes(), nil // there was no more
		}
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, tooLarge
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil, &refusal{status: http.StatusRequestTimeout, code: rpcInvalidRequest, message: "the body took too long"}
	}
	return nil, badBody(rpcInvalidRequest, "the body did not arrive whole")
}

// isJSON holds the body to what the inspection reads: another charset or a content encoding would hide it.
func isJSON(h http.Header) bool {
	types := h.Values("Content-Type")
	if len(types) != 1 {
		return false
	}
	if types[0] != "application/json" {
		media, params, err := mime.ParseMediaType(types[0])
		if err != nil || media != "application/json" {
			return false
		}
		if charset, ok := params["charset"]; ok && !strings.EqualFold(charset, "utf-8") {
			return false
		}
	}
	for _, encoding := range h.Values("Content-Encoding") {
		if encoding != "" && !strings.EqualFold(encoding, "identity") {
			return false
		}
	}
	return true
}
