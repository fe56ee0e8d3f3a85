package gate

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/ostiary/ostiary/app/policy"
)

const shownToolName = 128

// guard lets a request through to next when token, body and policy agree. Cheap and anonymous checks come first, then who it
// is, then what is asked for.
func (g *Gate) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := g.view()
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
		id, ok := g.authenticate(w, r, v)
		if !ok {
			return
		}
		out := r.WithContext(context.WithValue(r.Context(), passageKey{}, &passage{identity: id}))
		out.Header = r.Header.Clone()
		stripInbound(out.Header)
		out.Trailer = nil
		if r.Method == http.MethodPost {
			g.servePost(w, out, v, id, next)
			return
		}
		if r.ContentLength != 0 { // only for a server that reads a body where it should not
			writeRefusal(w, badBody(rpcInvalidRequest, "%s has no body", r.Method))
			return
		}
		var filter *listFilter
		if r.Method == http.MethodGet { // such streams replay what was lost, answers to tools/list among it
			filter = g.filterFor(v, id, r.Method)
		}
		g.forward(w, out, next, filter)
	})
}

// authenticate answers 400, 401 or 503 itself when there is no good token.
func (g *Gate) authenticate(w http.ResponseWriter, r *http.Request, v *view) (*Identity, bool) {
	if tokenInQuery(r.URL.RawQuery) {
		writeJSON(w, http.StatusBadRequest, oauthError{codeInvalidRequest,
			"Access tokens are accepted in the Authorization header only"})
		return nil, false
	}
	token, problem := bearer(r.Header.Values("Authorization"))
	var id *Identity
	if problem == nil && token != "" {
		id, problem = g.tokens.verify(r.Context(), token, v.doc.Resource.Identifier)
	}
	reason, isToken := errors.AsType[tokenError](problem)
	switch {
	case id != nil:
		return id, true
	case problem != nil && !isToken:
		g.unavailable(w, r, problem)
	case problem != nil:
		g.log.InfoContext(r.Context(), "access token refused", "reason", reason.Error())
		challenged(w, r, v, challenge{code: codeInvalidToken, description: reason.Error()})
	default:
		challenged(w, r, v, challenge{})
	}
	return nil, false
}

// challenged answers 401 and says where to get a token, and what to ask for to begin with.
func challenged(w http.ResponseWriter, r *http.Request, v *view, c challenge) {
	body := oauthError{c.code, c.description}
	if c.code == "" {
		body = oauthError{"unauthorized", "This MCP server needs an access token"}
	}
	c.scopes, c.metadataURL = v.baseline, v.spellingFor(r.Host, r.URL.EscapedPath()).metadataURL
	w.Header().Set("WWW-Authenticate", c.header())
	writeJSON(w, http.StatusUnauthorized, body)
}

// unavailable answers when nobody can tell whether the token is good. Not 401: the client would throw the token away.
func (g *Gate) unavailable(w http.ResponseWriter, r *http.Request, cause error) {
	if r.Context().Err() != nil {
		return // nobody waits for the answer
	}
	g.log.ErrorContext(r.Context(), "access token could not be checked", "error", cause)
	w.Header().Set("Retry-After", "5")
	writeJSON(w, http.StatusServiceUnavailable,
		oauthError{"temporarily_unavailable", "The access token cannot be checked right now"})
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

// servePost inspects and judges a body before it goes on.
func (g *Gate) servePost(w http.ResponseWriter, r *http.Request, v *view, id *Identity, next http.Handler) {
	raw, err := g.readBody(w, r)
	var b body
	if err == nil {
		b, err = inspect(raw)
	}
	if err == nil {
		err = checkMirror(r.Header, b)
	}
	if refused, ok := errors.AsType[*refusal](err); ok {
		g.log.InfoContext(r.Context(), "request refused", "reason", refused.message)
		writeRefusal(w, refused)
		return
	}
	if !g.permit(w, r, v, b, id) {
		return
	}
	r.Body, r.ContentLength, r.TransferEncoding = io.NopCloser(bytes.NewReader(raw)), int64(len(raw)), nil
	// Lets the transport send it again when an idle connection turns out to be closed.
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(raw)), nil }
	passageFrom(r.Context()).message = b.id()
	var filter *listFilter
	if b.has(methodList) {
		filter = g.filterFor(v, id, r.Method)
	}
	g.forward(w, r, next, filter)
}

// readBody reads a JSON body of bounded size from a client that may be slow on purpose. The error is a *refusal.
func (g *Gate) readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
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
	buf.Grow(int(max(r.ContentLength, 0)) + bytes.MinRead)
	_, err := buf.ReadFrom(http.MaxBytesReader(w, r.Body, g.maxBody))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, tooLarge
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil, &refusal{status: http.StatusRequestTimeout, code: rpcInvalidRequest, message: "the body took too long"}
	}
	if err != nil {
		return nil, badBody(rpcInvalidRequest, "the body did not arrive whole")
	}
	return buf.Bytes(), nil
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

// permit judges the calls of a body and answers itself when they are denied.
func (g *Gate) permit(w http.ResponseWriter, r *http.Request, v *view, b body, id *Identity) bool {
	verdict := judge(v.rules, b, id.Scopes)
	g.report(r.Context(), v, verdict, id)
	switch {
	case !verdict.denied || v.shadow:
		return true
	case verdict.unknown:
		denyUnknown(w, b, verdict)
	default:
		denyScopes(w, b, challenge{
			code: codeInsufficientScope, scopes: verdict.required,
			metadataURL: v.spellingFor(r.Host, r.URL.EscapedPath()).metadataURL,
			description: "This call needs the permission " + strings.Join(verdict.required, ", "),
		})
	}
	return false
}

// denyScopes asks for more (MCP 2026-07-28, scope challenge handling).
func denyScopes(w http.ResponseWriter, b body, c challenge) {
	w.Header().Set("WWW-Authenticate", c.header())
	writeRPCError(w, http.StatusForbidden, b.id(), rpcError{Code: rpcInsufficient, Message: c.description,
		Data: map[string]string{"error": codeInsufficientScope, "scope": scopeValue(c.scopes)}})
}

// denyUnknown refuses tools no scope opens. It is an answer to the call, not a challenge: a client that is sent to ask for
// permission comes back with the same call for ever.
func denyUnknown(w http.ResponseWriter, b body, v verdict) {
	var answers []rpcAnswer
	calls := v.calls
	for _, m := range b.messages {
		problem := rpcError{Code: rpcBatchRefused, Message: "The batch was not carried out"}
		if m.calls() {
			if c := calls[0]; !c.Allowed && c.Reason != policy.ReasonInsufficientScope {
				problem = rpcError{Code: rpcInvalidParams, Message: "Unknown tool: " + shortened(m.target, shownToolName)}
			}
			calls = calls[1:]
		}
		if m.kind == request {
			answers = append(answers, rpcAnswerTo(m.id, problem))
		}
	}
	switch {
	case len(answers) == 0: // the call carried no id: there is nobody to answer, but it is not accepted either
		writeRPCError(w, http.StatusBadRequest, nil, rpcError{Code: rpcInvalidParams, Message: "Unknown tool"})
	case b.batch:
		writeJSON(w, http.StatusOK, answers)
	default:
		writeJSON(w, http.StatusOK, answers[0])
	}
}

// report logs denied calls and hands every call to the observer.
func (g *Gate) report(ctx context.Context, v *view, verdict verdict, id *Identity) {
	for _, c := range verdict.calls {
		if !c.Allowed {
			g.logDenied(ctx, v, c, id)
		}
		if g.observe != nil {
			g.observe(ctx, Call{Identity: *id, Tool: c.tool, Allowed: c.Allowed || v.shadow, Shadowed: !c.Allowed && v.shadow,
				Reason: c.Reason, Missing: c.Missing, Revision: v.doc.Revision})
		}
	}
}

func (g *Gate) logDenied(ctx context.Context, v *view, c decided, id *Identity) {
	level := slog.LevelInfo
	if c.Reason == policy.ReasonUnmappedTool {
		level = slog.LevelWarn // the tenant has the tool and has not said who may call it
	}
	log := g.log.With("tool", shortened(c.tool, shownToolName), "reason", c.Reason, "missing", c.Missing,
		"user", id.User, "client", id.Client, "grant", id.Grant, "revision", v.doc.Revision)
	if v.shadow {
		log.Log(ctx, level, "tool call would be denied")
		return
	}
	log.Log(ctx, level, "tool call denied")
}
