package gate

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/ostiary/ostiary/app/policy"
)

// denial is the answer to a request that does not go on. The zero status means that nobody waits for one.
type denial struct {
	status     int
	challenge  string // WWW-Authenticate
	retryAfter string
	body       any
}

// write answers with d.
func (d *denial) write(w http.ResponseWriter) {
	if d.status == 0 {
		return
	}
	if d.challenge != "" {
		w.Header().Set("WWW-Authenticate", d.challenge)
	}
	if d.retryAfter != "" {
		w.Header().Set("Retry-After", d.retryAfter)
	}
	writeJSON(w, d.status, d.body)
}

// Messages of the kill switch and of an issuer that is silent. They reach people, and models that act for them.
const (
	stoppedMessage = "Access is stopped by an administrator. Do not try again until it is allowed."
	stoppedTool    = "This is stopped by an administrator. Do not try again until it is allowed."
	silentMessage  = "This cannot be allowed right now, because the permissions have not been confirmed for too long"
	retryUnhealthy = "30" // seconds
)

// unauthorized answers 401 and says where to get a token, and what to ask for to begin with.
func unauthorized(a asked, v *view, c challenge) *denial {
	body := oauthError{c.code, c.description}
	if c.code == "" {
		body = oauthError{"unauthorized", "This MCP server needs an access token"}
	}
	c.scopes, c.metadataURL = v.baseline, v.spellingFor(a.host, a.path).metadataURL
	return &denial{status: http.StatusUnauthorized, challenge: c.header(), body: body}
}

// refused answers whoever may do nothing at all. Where that has ended what the token rests on, the client is to get a
// new one, or to be told by the issuer that it cannot.
func refused(o outcome, reason policy.Reason) *denial {
	if reason == policy.ReasonStopped {
		return stoppedSubject(o.body)
	}
	return unauthorized(o.asked, o.view,
		challenge{code: codeInvalidToken, description: "The access token has been revoked"})
}

// unavailable answers when nobody can tell whether the token is good. Not 401: the client would throw the token away.
func (g *Gate) unavailable(ctx context.Context, cause error) *denial {
	if ctx.Err() != nil {
		return &denial{} // nobody waits for the answer
	}
	g.log.ErrorContext(ctx, "access token could not be checked", "error", cause)
	return &denial{status: http.StatusServiceUnavailable, retryAfter: "5",
		body: oauthError{"temporarily_unavailable", "The access token cannot be checked right now"}}
}

// notUnderstood answers a body the gate does not understand, or understands only too well.
func (g *Gate) notUnderstood(ctx context.Context, err error) *denial {
	refused, ok := errors.AsType[*refusal](err)
	if !ok {
		refused = badBody(rpcInternal, "the body could not be read")
	}
	g.log.InfoContext(ctx, "request refused", "reason", refused.message)
	return &denial{status: refused.status,
		body: rpcAnswerTo(refused.id, rpcError{Code: refused.code, Message: refused.message})}
}

// stoppedSubject answers everyone a stop is about. It is an error of the call, without a challenge and without 403
// where a call waits for an answer: there is no permission to ask for.
func stoppedSubject(b body) *denial {
	var answers []rpcAnswer
	for _, m := range b.messages {
		if m.kind == request {
			answers = append(answers, rpcAnswerTo(m.id, rpcError{Code: rpcStopped, Message: stoppedMessage}))
		}
	}
	if len(answers) == 0 {
		return &denial{status: http.StatusForbidden, body: oauthError{"access_stopped", stoppedMessage}}
	}
	return answered(b, answers)
}

func answered(b body, answers []rpcAnswer) *denial {
	if b.batch {
		return &denial{status: http.StatusOK, body: answers}
	}
	return &denial{status: http.StatusOK, body: answers[0]}
}

// denialOf answers a verdict; nil when the request goes on. What no permission and no patience helps comes first, then
// patience, then permission.
func denialOf(o outcome) *denial {
	v := o.verdict
	switch {
	case !v.denied:
		return nil
	case v.hopeless:
		return hopeless(o.body, v)
	case v.silent:
		return &denial{status: http.StatusServiceUnavailable, retryAfter: retryUnhealthy,
			body: rpcAnswerTo(o.body.id(), rpcError{Code: rpcOutOfContact, Message: silentMessage})}
	}
	c := challenge{
		code: codeInsufficientScope, scopes: v.required,
		metadataURL: o.view.spellingFor(o.asked.host, o.asked.path).metadataURL,
		description: "This call needs the permission " + strings.Join(v.required, ", "),
	}
	if speaksDialect(o.identity.subject()) {
		if d := insufficientInResult(o.body, c); d != nil {
			return d
		}
	}
	return insufficient(o.body, c)
}

// insufficient asks for more (MCP 2026-07-28, scope challenge handling).
func insufficient(b body, c challenge) *denial {
	return &denial{status: http.StatusForbidden, challenge: c.header(), body: rpcAnswerTo(b.id(),
		rpcError{Code: rpcInsufficient, Message: c.description,
			Data: map[string]string{"error": codeInsufficientScope, "scope": scopeValue(c.scopes)}})}
}

// hopeless refuses what no scope opens. It is an answer to the call, not a challenge: a client that is sent to ask for
// permission comes back with the same call for ever.
func hopeless(b body, v verdict) *denial {
	var answers []rpcAnswer
	for i, m := range b.messages {
		if m.kind == request {
			answers = append(answers, rpcAnswerTo(m.id, v.errorFor(i)))
		}
	}
	if len(answers) == 0 { // the call carried no id: there is nobody to answer, but it is not accepted either
		for _, c := range v.calls {
			if e := v.errorFor(c.message); e.Code != rpcBatchRefused {
				return &denial{status: http.StatusBadRequest, body: rpcAnswerTo(nil, e)}
			}
		}
	}
	return answered(b, answers)
}

// errorFor says what became of one message of a body that is refused as hopeless.
func (v verdict) errorFor(message int) rpcError {
	for _, c := range v.calls {
		switch {
		case c.message != message || !c.denied:
		case c.Reason == policy.ReasonStopped:
			return rpcError{Code: rpcStopped, Message: stoppedTool}
		case c.Reason == policy.ReasonUnknownTool || c.Reason == policy.ReasonUnmappedTool:
			return rpcError{Code: rpcInvalidParams, Message: "Unknown " + nameOf(c.target.Kind) + ": " +
				shortened(c.target.Name, shownToolName)}
		}
	}
	return rpcError{Code: rpcBatchRefused, Message: "The batch was not carried out"}
}

func nameOf(kind policy.TargetKind) string {
	if kind == policy.TargetContent {
		return "resource"
	}
	return string(kind)
}
