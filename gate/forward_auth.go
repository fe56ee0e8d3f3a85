package gate

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ostiary/ostiary/app/calls"
	"github.com/ostiary/ostiary/app/policy"
)

// ForwardAuth configures a gate that a reverse proxy asks about each request (nginx auth_request, Caddy forward_auth, Traefik
// ForwardAuth, Envoy ext_authz) and that never sees the MCP server's answers: lists are not filtered then, and requests under
// way are not ended.
type ForwardAuth struct {
	Path string // the proxy asks here, or below it with the path of the request (/check/mcp); /check
	// ByHeaders decides by Mcp-Method and Mcp-Name instead of the body (MCP 2026-07-28), for proxies that cannot pass the body
	// on. It is safe only in front of an MCP server that itself refuses a body which says something else than its headers, as
	// that revision demands; requests without these headers are refused, since nobody can tell what they do.
	ByHeaders bool
}

// DefaultForwardAuthPath is where a proxy asks unless ForwardAuth says otherwise.
const DefaultForwardAuthPath = "/check"

// HeaderStatus names, on an answer to a proxy that refuses a request, the status that a client should see. Proxies know only
// "allowed" and "denied", and 200 with a JSON-RPC error in it (which is what a call gets that no permission helps) would be the
// former: it is answered 403, and a proxy that can reads this and sends the body with the status it names.
const HeaderStatus = "Ostiary-Status"

// ForwardAuth answers a reverse proxy's question whether a request may go on: 200 with the identity headers to copy onto it, or
// the refusal to hand to the client. The headers are always all there, empty where there is nothing to say, so that copying
// them overwrites whatever a client sent under their names. It also serves the metadata of the protected resource, which the
// proxy has to route here.
//
// Who can reach it can ask it, not more: it answers about tokens that whoever asks presents.
func (g *Gate) ForwardAuth(o ForwardAuth) http.Handler {
	if o.Path == "" {
		o.Path = DefaultForwardAuthPath
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := g.view()
		if v.serveWellKnown(w, r) {
			return
		}
		guardHeaders(w.Header())
		behind, asks := strings.CutPrefix(r.URL.EscapedPath(), o.Path)
		if !asks || behind != "" && behind[0] != '/' {
			writeJSON(w, http.StatusNotFound, oauthError{"not_found", "There is nothing here; proxies ask at " + o.Path})
			return
		}
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(g.bodyTimeout)) //nolint:forbidigo // wall clock
		q, problem := questionOf(r, behind)
		switch {
		case problem != "":
			refuseQuestion(w, http.StatusBadRequest, problem)
		case g.smuggles(r.Header) != "":
			refuseQuestion(w, http.StatusBadRequest, "A request with the header "+g.smuggles(r.Header)+" is not accepted here")
		case !v.serves(q.path):
			refuseQuestion(w, http.StatusForbidden, "This is not the MCP endpoint; the proxy must not send it here")
		case q.method == http.MethodOptions: // a preflight carries no token, and the MCP server need not see it
			preflightHeaders(w.Header(), r)
			w.Header().Set(HeaderStatus, strconv.Itoa(http.StatusNoContent))
			w.WriteHeader(http.StatusForbidden)
		default:
			g.answerQuestion(w, r, o, q)
		}
	})
}

// question is the request a proxy asks about.
type question struct{ method, host, path, query string }

// questionOf reads what proxies say of the request they ask about: Envoy by asking as the client did, with the path behind
// ours, others under names of their own. Where two of those say something else a client may have sent one: that is refused.
func questionOf(r *http.Request, behind string) (question, string) {
	q := question{host: r.Host}
	if behind != "" { // headers say nothing then, since a proxy that asks so sets none
		q.method, q.path, q.query = r.Method, behind, r.URL.RawQuery
		return q, ""
	}
	var method, uri string
	for _, part := range [...]struct {
		into  *string
		names []string
	}{
		{&method, []string{"X-Forwarded-Method", "X-Original-Method"}},
		{&q.host, []string{"X-Forwarded-Host", "X-Original-Host"}},
		{&uri, []string{"X-Forwarded-Uri", "X-Original-Uri", "X-Original-Url"}},
	} {
		value, twice := oneOf(r.Header, part.names)
		if twice {
			return q, part.names[0] + " or another name for it is there more than once"
		}
		if value != "" {
			*part.into = value
		}
	}
	switch {
	case uri == "":
		return q, "The proxy does not say what it asks about: it must send X-Forwarded-Uri"
	case method == "" && r.Method == http.MethodGet: // as proxies ask about everything, unless told otherwise
		return q, "The proxy does not say what it asks about: it must send X-Forwarded-Method"
	}
	if q.method = method; method == "" {
		q.method = r.Method
	}
	u, err := url.Parse(uri)
	if err != nil {
		return q, "X-Forwarded-Uri is not a URL"
	}
	q.path, q.query = u.EscapedPath(), u.RawQuery
	return q, ""
}

// oneOf returns the value of headers that are names for one thing. twice says that they do not agree, or one is there twice.
func oneOf(h http.Header, names []string) (value string, twice bool) {
	for _, name := range names {
		values := h.Values(name)
		if len(values) > 1 {
			return "", true
		}
		if len(values) == 0 || values[0] == "" {
			continue
		}
		if value != "" && value != values[0] {
			return "", true
		}
		value = values[0]
	}
	return value, false
}

func refuseQuestion(w http.ResponseWriter, status int, description string) {
	writeJSON(w, status, oauthError{codeInvalidRequest, description})
}

// smuggles returns a header of the request that would reach the MCP server and change there what was decided here, "" when there
// is none. As a proxy in front of it the gate takes these away; who is only asked cannot.
func (g *Gate) smuggles(h http.Header) string {
	for name := range h {
		if hyphens := http.CanonicalHeaderKey(strings.ReplaceAll(name, "_", "-")); hyphens != name && g.isOurs(hyphens) {
			return shortened(printable(name), shownToolName) // to WSGI and CGI servers it is the one with a hyphen
		}
	}
	for _, name := range methodOverrides() {
		if _, there := h[name]; there {
			return name
		}
	}
	// Whoever has an access token must not add somebody else's key to it.
	if l := g.edges.legacy; l != nil && l.header != "Authorization" && h.Get("Authorization") != "" {
		if _, there := h[l.header]; there {
			return l.header + " beside Authorization"
		}
	}
	return ""
}

// isOurs reports whether a header says to the MCP server who calls, or here what is called.
func (g *Gate) isOurs(name string) bool {
	if strings.HasPrefix(name, "Ostiary-") || strings.HasPrefix(name, "Mcp-") || name == "Authorization" {
		return true
	}
	return slices.Contains(g.edges.upstream.names, name) || slices.Contains(methodOverrides(), name) ||
		g.edges.legacy != nil && g.edges.legacy.header == name
}

// answerQuestion decides about the request and says so to the proxy.
func (g *Gate) answerQuestion(w http.ResponseWriter, r *http.Request, o ForwardAuth, q question) {
	switch q.method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodDelete:
	default:
		refuseQuestion(w, http.StatusForbidden, "The MCP endpoint does not know this method")
		return
	}
	var held int64
	defer func() { g.memory.give(held) }()
	out := g.decideRequest(r.Context(), asked{method: q.method, host: q.host, path: q.path, query: q.query, header: r.Header,
		read: func() ([]byte, body, error) { return g.readQuestion(w, r, o, q, &held) }})
	if out.denial != nil {
		g.report(r.Context(), out, out.denial.status)
		out.denial.writeToProxy(w)
		return
	}
	h := w.Header()
	for _, name := range append(identityHeaders(), g.edges.upstream.names...) {
		h.Set(name, "")
	}
	if l := g.edges.legacy; l != nil && l.header != "Authorization" {
		h.Set(l.header, "")
		if out.identity.proof == calls.ProofLegacy {
			h.Set(l.header, r.Header.Get(l.header))
		}
	}
	if err := g.introduce(h, out.view, out.identity); err != nil {
		g.log.ErrorContext(r.Context(), "an identity could not be signed", "error", err)
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	g.report(r.Context(), out, 0)
	w.WriteHeader(http.StatusOK)
}

// readQuestion returns what the request in question asks for: by its body, which the proxy passed on, or by its headers.
func (g *Gate) readQuestion(w http.ResponseWriter, r *http.Request, o ForwardAuth, q question, held *int64) ([]byte, body, error) {
	if o.ByHeaders {
		b, err := describedBody(r.Header, q.method, g.view())
		return nil, b, err
	}
	if q.method == http.MethodPost && r.ContentLength == 0 {
		return nil, body{}, &refusal{status: http.StatusForbidden, code: rpcInvalidRequest,
			message: "the proxy did not pass the body on, so nobody can tell what is asked for"}
	}
	about := r.Clone(r.Context())
	about.Method = q.method
	return g.read(w, about, held)
}

// describedBody is a body as its standard headers describe it (MCP 2026-07-28, standard request headers).
func describedBody(h http.Header, method string, v *view) (body, error) {
	if method != http.MethodPost {
		return body{}, nil
	}
	undecidable := &refusal{status: http.StatusForbidden, code: rpcInvalidRequest,
		message: "this request does not say in Mcp-Method and Mcp-Name what it asks for; a host that speaks MCP 2026-07-28 does"}
	methods, names := h.Values("Mcp-Method"), h.Values("Mcp-Name")
	if len(methods) != 1 || len(names) > 1 || !soundMethod(methods[0]) {
		return body{}, undecidable
	}
	m := message{kind: request, method: methods[0]}
	kind := targetOf(m.method)
	switch {
	case kind != "" && len(names) == 1:
		name, ok := decodeHeader(names[0])
		if !ok || name == "" {
			return body{}, undecidable
		}
		m.name, m.targets = name, []policy.Target{{Kind: kind, Name: name}}
	case kind != "":
		return body{}, undecidable
	case aboutSomething(m.method) && (v.rules.Guards(policy.TargetPrompt) || v.rules.Guards(policy.TargetContent)):
		return body{}, undecidable // what it is about stands in the body only
	}
	return body{messages: []message{m}}, nil
}

// targetOf is the kind of what Mcp-Name names for a method, "" when it names nothing.
func targetOf(method string) policy.TargetKind {
	switch method {
	case methodCall:
		return policy.TargetTool
	case methodPrompt:
		return policy.TargetPrompt
	case methodRead:
		return policy.TargetContent
	default:
		return ""
	}
}

// writeToProxy answers with d in the words of proxies, which take every 2xx for a yes.
func (d *denial) writeToProxy(w http.ResponseWriter) {
	if d.status == 0 {
		return
	}
	w.Header().Set(HeaderStatus, strconv.Itoa(d.status))
	out := *d
	if out.status < http.StatusBadRequest {
		out.status = http.StatusForbidden
	}
	out.write(w)
}
