package oauth

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

// verifyAccess returns the claims of an access token of this issuer that has not expired. id_tokens, policies and other
// issuers' tokens are none (RFC 9068 §4). Nothing is asked of the database: whether the grant lives is a second question.
func (i *Issuer) verifyAccess(token string, now time.Time) (accessClaims, bool) {
	claims, ok := i.openAccess(token)
	return claims, ok && now.Unix() < claims.ExpiresAt
}

// openAccess is verifyAccess for a token that may have expired.
func (i *Issuer) openAccess(token string) (claims accessClaims, ok bool) {
	payload, err := i.Keys.Verify(typeAccessToken, token)
	if err != nil || json.Unmarshal(payload, &claims) != nil || claims.Issuer != i.URL {
		return accessClaims{}, false
	}
	return claims, claims.GrantID != ""
}

// bearerProblem refuses a call to a resource of our own, the userinfo endpoint (RFC 6750 §3).
type bearerProblem struct {
	status      int
	code        string // empty for a call without a token (RFC 6750 §3.1)
	description string
	scope       string
}

// bearerToken returns the token of a call: in the header or, in a post, in the form; never in the URL (OAuth 2.1 §5.1.2) and
// never in both (RFC 6750 §2).
func bearerToken(r *http.Request) (string, *bearerProblem) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	inHeader := strings.EqualFold(scheme, "Bearer")
	var posted []string
	if r.Method == http.MethodPost {
		if err := r.ParseForm(); err != nil {
			return "", malformedCall("The body is not a form.")
		}
		posted = r.PostForm["access_token"]
	}
	switch {
	case len(posted) > 1, inHeader && len(posted) == 1:
		return "", malformedCall("The token was sent more than once.")
	case inHeader:
		return strings.TrimSpace(token), nil
	case len(posted) == 1:
		return posted[0], nil
	}
	return "", &bearerProblem{status: http.StatusUnauthorized}
}

func malformedCall(description string) *bearerProblem {
	return &bearerProblem{status: http.StatusBadRequest, code: codeInvalidRequest, description: description}
}

// write answers with the challenge of RFC 6750 §3. Its values are ours: none needs escaping.
func (p *bearerProblem) write(w http.ResponseWriter) {
	var b strings.Builder
	b.WriteString(`Bearer realm="userinfo"`)
	for _, part := range [...]struct{ name, value string }{
		{"error", p.code}, {"error_description", p.description}, {"scope", p.scope},
	} {
		if part.value != "" {
			b.WriteString(", " + part.name + `="` + part.value + `"`)
		}
	}
	h := w.Header()
	h.Set("WWW-Authenticate", b.String())
	h.Set("Cache-Control", "no-store")
	if p.code == "" {
		w.WriteHeader(p.status)
		return
	}
	h.Set("Content-Type", jsonType)
	w.WriteHeader(p.status)
	writeJSON(w, map[string]string{"error": p.code, "error_description": p.description})
}
