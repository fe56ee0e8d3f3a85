package gate

import (
	"context"
	"net/http"
	"time"

	"github.com/ostiary/ostiary/app/policy"
)

// asked is a request as the gate judges it, however it got here: through the proxy or as a question about one.
type asked struct {
	method string // HTTP
	host   string // that the client called
	path   string // escaped
	query  string // raw
	header http.Header
	// read returns what the request asks for. It is called once it is known who asks; the error is a *refusal.
	read func() (raw []byte, b body, err error)
}

// outcome is what was decided about one request.
type outcome struct {
	asked    asked
	view     *view
	now      policy.Situation
	began    time.Duration // on the gate's steady clock
	identity *Identity     // nil when nobody knows who asks
	raw      []byte
	body     body
	verdict  verdict
	denial   *denial // the answer; nil when the request may go on
}

// decideRequest judges a request. Cheap and anonymous checks come first, then who it is, then what is asked for. It
// touches no network but for the key of a token that is not among those in memory.
func (g *Gate) decideRequest(ctx context.Context, a asked) outcome {
	o := outcome{asked: a, view: g.view(), began: g.watch.steady()}
	o.identity, o.denial = g.authenticate(ctx, a, o.view)
	if o.denial != nil {
		return o
	}
	var err error
	o.raw, o.body, err = a.read()
	o.view, o.now = g.view(), g.feed.Current() // reading may have taken a while
	o.verdict = judge(o.view, o.body, o.identity, o.now)
	switch {
	case o.verdict.refused == policy.ReasonRevoked: // before anything about the body: the client needs a new token anyway
		o.denial = refused(o, policy.ReasonRevoked)
	case err != nil:
		o.denial = g.notUnderstood(ctx, err)
	case o.verdict.refused != "":
		o.denial = refused(o, o.verdict.refused)
	default:
		o.denial = denialOf(o)
		if o.denial == nil && !g.edges.upstream.knows(o.identity) {
			o.denial = notSetUp(o.body)
		}
	}
	g.logDenied(ctx, o)
	return o
}
