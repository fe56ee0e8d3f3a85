package gate

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/ostiary/ostiary/app/policy"
)

// wellKnownPRM is the well-known path of protected resource metadata (RFC 9728 §3).
const wellKnownPRM = "/.well-known/oauth-protected-resource"

// view is everything derived from one policy document. It is built once per revision and never changed.
type view struct {
	doc       *policy.Document
	rules     *policy.Compiled
	shadow    bool
	baseline  []string
	canonical *spelling
	spellings []*spelling // canonical first
}

// spelling is one URL the MCP server is known by. All of them are registered; none is taken from a request.
type spelling struct {
	identifier  string
	host        string // with port, without a default one
	path        string // "" for the root
	metadataURL string
	metadata    []byte // the RFC 9728 document
}

// newView derives a view from doc. preferred, when set, picks the spelling this gate is reached by.
func newView(doc *policy.Document, issuer, preferred string) (*view, error) {
	if doc == nil {
		return nil, errors.New("there is no policy")
	}
	v := &view{doc: doc, rules: policy.Compile(doc), shadow: doc.Mode == policy.ModeShadow, baseline: doc.BaselineScopes()}
	for _, identifier := range append([]string{doc.Resource.Identifier}, doc.Resource.Aliases...) {
		s, err := newSpelling(identifier, issuer, doc.Resource.Name, v.baseline)
		if err != nil {
			return nil, err
		}
		v.spellings = append(v.spellings, s)
		if identifier == preferred {
			v.canonical = s
		}
	}
	if preferred == "" {
		v.canonical = v.spellings[0]
	}
	if v.canonical == nil {
		return nil, fmt.Errorf("%q is neither the identifier nor an alias of the resource %s (%s)",
			preferred, doc.Resource.ID, doc.Resource.Identifier)
	}
	return v, nil
}

func newSpelling(identifier, issuer, name string, baseline []string) (*spelling, error) {
	u, err := url.Parse(identifier)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("resource identifier %q is not an absolute URL without query and fragment", identifier)
	}
	path := u.EscapedPath()
	if path == "/" {
		path = ""
	}
	s := &spelling{identifier: identifier, host: strings.ToLower(u.Host), path: path,
		metadataURL: u.Scheme + "://" + u.Host + wellKnownPRM + path}
	s.metadata, err = metadataDocument(identifier, issuer, name, baseline)
	return s, err
}

// metadataDocument is the RFC 9728 §2 document. scopes_supported is the minimum to get going, never offline_access
// (MCP 2026-07-28, protected resource metadata).
func metadataDocument(identifier, issuer, name string, baseline []string) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(struct {
		Resource             string   `json:"resource"`
		AuthorizationServers []string `json:"authorization_servers"`
		ScopesSupported      []string `json:"scopes_supported,omitempty"`
		BearerMethods        []string `json:"bearer_methods_supported"`
		ResourceName         string   `json:"resource_name,omitempty"`
	}{identifier, []string{issuer}, baseline, []string{"header"}, name})
	if err != nil {
		return nil, fmt.Errorf("protected resource metadata: %w", err)
	}
	return bytes.TrimSpace(b.Bytes()), nil
}

// serves reports whether path is the MCP endpoint. With and without a trailing slash is the same endpoint: clients add and
// lose it on the way.
func (v *view) serves(path string) bool {
	for _, s := range v.spellings {
		if samePath(path, s.path) {
			return true
		}
	}
	return false
}

// spellingFor picks the registered spelling that is closest to what the client called, so that the resource it is told is
// the one it compares with (RFC 9728 §3.3). Host and path only choose among registered values.
func (v *view) spellingFor(host, path string) *spelling {
	best, points := v.canonical, 0
	for _, s := range v.spellings {
		if !samePath(path, s.path) {
			continue
		}
		p := 1
		if sameHost(host, s.host) {
			p += 8
		}
		if path == s.path || s.path == "" {
			p += 4
		}
		if s == v.canonical {
			p += 2
		}
		if p > points {
			best, points = s, p
		}
	}
	return best
}

func samePath(a, b string) bool { return strings.TrimSuffix(a, "/") == strings.TrimSuffix(b, "/") }

func sameHost(request, registered string) bool {
	request = strings.ToLower(request)
	return request == registered || request == registered+":443" || request == registered+":80"
}

// serveWellKnown answers everything under /.well-known/. Only the metadata of this very endpoint is there; the rest is a bare
// 404, since clients probe here for authorization servers and believe what they find. It reports whether it answered.
func (v *view) serveWellKnown(w http.ResponseWriter, r *http.Request) bool {
	if !strings.HasPrefix(r.URL.Path, "/.well-known/") {
		return false
	}
	h := w.Header()
	allowOrigins(h)
	path, found := strings.CutPrefix(r.URL.EscapedPath(), wellKnownPRM)
	if !found || !v.serves(path) {
		h.Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusNotFound)
		return true
	}
	switch r.Method {
	case http.MethodOptions:
		preflight(w, r)
	case http.MethodGet, http.MethodHead:
		h.Set("Content-Type", "application/json")
		h.Set("Cache-Control", "public, max-age=60")
		_, _ = w.Write(v.spellingFor(r.Host, path).metadata) // the client is gone
	default:
		methodNotAllowed(w, "GET, HEAD, OPTIONS")
	}
	return true
}
