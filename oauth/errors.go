package oauth

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"github.com/ory/fosite"

	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/web"
)

// problem is an OAuth error as clients see it. cause is for the log only.
type problem struct {
	code        string
	description string
	status      int
	retryAfter  string
	intended    bool // the kill switch: nothing is wrong with us or the client, whatever the status
	basic       bool // the client tried HTTP Basic, so RFC 6749 §5.2 wants a challenge
	cause       error
}

// Error returns code, description and cause.
func (p *problem) Error() string {
	if p.cause != nil {
		return p.code + ": " + p.description + ": " + p.cause.Error()
	}
	return p.code + ": " + p.description
}

// Unwrap returns the cause.
func (p *problem) Unwrap() error { return p.cause }

// Error codes of RFC 6749 §4.1.2.1 and §5.2, RFC 8707 §2, OpenID Connect Core §3.1.2.6.
const (
	codeInvalidRequest       = "invalid_request"
	codeInvalidClient        = "invalid_client"
	codeInvalidGrant         = "invalid_grant"
	codeInvalidScope         = "invalid_scope"
	codeInvalidTarget        = "invalid_target"
	codeAccessDenied         = "access_denied"
	codeUnauthorizedClient   = "unauthorized_client"
	codeUnsupportedGrantType = "unsupported_grant_type"
	codeUnsupportedResponse  = "unsupported_response_type"
	codeServerError          = "server_error"
	codeUnavailable          = "temporarily_unavailable"
)

func badRequest(code, description string) *problem {
	return &problem{code: code, description: description, status: http.StatusBadRequest}
}

func invalidGrant(description string) *problem { return badRequest(codeInvalidGrant, description) }

// problemOf turns any error into what a client may know. A database that is away is never the client's fault: hosts throw
// away their registration on invalid_client and their tokens on invalid_grant.
func problemOf(err error) *problem {
	if unavailable(err) {
		return &problem{
			code: codeUnavailable, description: "Try again in a moment.", status: http.StatusServiceUnavailable,
			retryAfter: "2", cause: err,
		}
	}
	var p *problem
	if errors.As(err, &p) {
		return p
	}
	if errs.Is(err, errs.RateLimited) {
		p := problem{code: codeUnavailable, description: "Too many requests.", status: http.StatusTooManyRequests}
		p.retryAfter, p.cause = "30", err
		return &p
	}
	var rfc *fosite.RFC6749Error
	if errors.As(err, &rfc) {
		return fromEngine(rfc)
	}
	return serverError(err)
}

func serverError(cause error) *problem {
	return &problem{
		code: codeServerError, description: "Something went wrong on our side.", status: http.StatusInternalServerError, cause: cause,
	}
}

// engineProblems are fosite's errors in our words: its hints can quote scopes, URLs and upstream errors.
var engineProblems = map[string]problem{
	codeInvalidRequest:          {description: "The request is malformed.", status: http.StatusBadRequest},
	codeInvalidClient:           {description: "The client is unknown or did not authenticate.", status: http.StatusUnauthorized},
	codeInvalidScope:            {description: "Nothing that was asked for can be granted.", status: http.StatusBadRequest},
	codeUnsupportedGrantType:    {description: "This grant type is not offered.", status: http.StatusBadRequest},
	codeUnsupportedResponse:     {description: "Only response_type=code is offered.", status: http.StatusBadRequest},
	"unsupported_response_mode": {description: "Only response_mode=query is offered.", status: http.StatusBadRequest},
	"request_not_supported":     {description: "Request objects are not offered.", status: http.StatusBadRequest},
	"request_uri_not_supported": {description: "Request objects are not offered.", status: http.StatusBadRequest},
	"registration_not_supported": {
		description: "The registration parameter is not offered.", status: http.StatusBadRequest,
	},
}

func fromEngine(rfc *fosite.RFC6749Error) *problem {
	known, ok := engineProblems[rfc.ErrorField]
	if !ok {
		return serverError(rfc)
	}
	known.code, known.cause = rfc.ErrorField, rfc
	return &known
}

// writeProblem answers a protocol endpoint (RFC 6749 §5.2) and logs: client mistakes as Info, ours as Error.
func writeProblem(w http.ResponseWriter, r *http.Request, log *slog.Logger, err error) {
	p := problemOf(err)
	p.log(r, log)
	h := w.Header()
	web.JSON(h)
	web.NoStore(h)
	if p.retryAfter != "" {
		h.Set("Retry-After", p.retryAfter)
	}
	if p.basic && p.status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Basic realm="token"`)
	}
	w.WriteHeader(p.status)
	writeJSON(w, map[string]string{"error": p.code, "error_description": p.description})
}

func (p *problem) log(r *http.Request, log *slog.Logger) {
	level := slog.LevelInfo
	if p.status >= http.StatusInternalServerError && !p.intended {
		level = slog.LevelError
	}
	attributes := []any{"endpoint", r.URL.Path, "error", p.code, "reason", p.description}
	if p.cause != nil && level == slog.LevelError {
		attributes = append(attributes, "cause", p.cause)
	}
	log.Log(r.Context(), level, "protocol request refused", attributes...)
}

// answerJSON answers with what nobody in between may keep.
func answerJSON(w http.ResponseWriter, status int, v any) {
	web.JSON(w.Header())
	web.NoStore(w.Header())
	w.WriteHeader(status)
	writeJSON(w, v)
}

func writeJSON(w http.ResponseWriter, v any) {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(v) // the reader went away, or v is one of our own types, which always encode
}

// redirectURL adds response parameters to a redirect URI, keeping its own query as it was registered (RFC 6749 §3.1.2).
func redirectURL(redirectURI string, parameters url.Values) string {
	separator := "?"
	if strings.Contains(redirectURI, "?") {
		separator = "&"
		if strings.HasSuffix(redirectURI, "?") || strings.HasSuffix(redirectURI, "&") {
			separator = ""
		}
	}
	return redirectURI + separator + parameters.Encode()
}
