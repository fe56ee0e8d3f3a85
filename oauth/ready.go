package oauth

import (
	"net/http"
	"strings"

	"github.com/ostiary/ostiary/oauth/attemptlog"
)

// ServeDocument answers a request for one of an issuer's ready documents: metadata, keys, the policy of an MCP server. These
// are asked for far more often than anything else and need nothing of what Echo does for other requests, so they do not go
// through it. served is false, and nothing is written, for any other path. Errors: errs.NotFound, errs.Unavailable.
func (m *Module) ServeDocument(w http.ResponseWriter, r *http.Request, t Target) (served bool, err error) {
	resourceID, isPolicy := policyOf(t.Path)
	isMetadata := t.Path == pathMetadata || t.Path == pathOpenID
	if !isMetadata && !isPolicy && t.Path != pathJWKS {
		return false, nil
	}
	i, err := m.issuers.Get(r.Context(), t.IssuerURL)
	if err != nil {
		return false, err
	}
	doc := &i.jwks
	switch {
	case isMetadata:
		doc = &i.metadata
	case isPolicy:
		doc = i.policies[resourceID] // nil when there is none
	}
	switch {
	case r.Method == http.MethodOptions:
		allowAnyone(w.Header())
		allowPreflight(w)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		allowAnyone(w.Header())
		w.Header().Set("Allow", "GET, HEAD, OPTIONS")
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusMethodNotAllowed)
	case doc == nil:
		allowAnyone(w.Header())
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusNotFound)
	default:
		if isMetadata {
			m.metadataRead(r, i)
		}
		doc.write(w, r)
	}
	return true, nil
}

// policyOf returns the id of the MCP server whose policy is at path.
func policyOf(path string) (id string, ok bool) {
	before, after, _ := strings.Cut(pathPolicy, ":id")
	if !strings.HasPrefix(path, before) || !strings.HasSuffix(path, after) || len(path) <= len(before)+len(after) {
		return "", false
	}
	id = path[len(before) : len(path)-len(after)]
	return id, !strings.Contains(id, "/")
}

// metadataRead records that somebody read the issuer's metadata.
func (m *Module) metadataRead(r *http.Request, i *Issuer) {
	m.attempts.RecordLazily(i.attemptPlace(), func(s *attemptlog.Step) {
		s.Kind, s.Outcome, s.Detail = attemptlog.KindMetadata, attemptlog.OutcomeOK, "Issuer metadata."
		s.Address, s.Agent = m.address(r), r.UserAgent()
	})
}
