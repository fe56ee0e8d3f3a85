package gate

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"time"

	"github.com/ostiary/ostiary/app/calls"
	"github.com/ostiary/ostiary/app/policy"
	"github.com/ostiary/ostiary/app/secret"
)

const (
	shownToolName  = 128
	recordedTarget = 1024 // of a target's name, in a record
)

// report hands every decided call to the observer, once it is known how the request was answered. Who asks for nothing
// the policy decides about is reported only when refused.
func (g *Gate) report(ctx context.Context, o outcome, status int) {
	if g.observe == nil || o.identity == nil {
		return
	}
	r := calls.Record{
		At: g.watch.now(), User: o.identity.User, Organization: o.identity.Organization, Client: o.identity.Client,
		Host:  o.identity.Host,
		Grant: o.identity.Grant, Proof: o.identity.proof, Scopes: o.identity.Scopes, Revision: o.view.doc.Revision,
		Sequence: o.now.Feed.Sequence, Silence: int(max(o.now.Silence, 0) / time.Second), Status: status,
		LatencyUS: (g.watch.steady() - o.began).Microseconds(),
	}
	for _, c := range o.verdict.calls {
		m := o.body.messages[c.message]
		if m.method == methodComplete && c.Allowed {
			continue // one per keystroke
		}
		r.ID, r.Kind, r.Tool = secret.NewOrderedID("call", r.At), c.target.Kind, shortened(c.target.Name, recordedTarget)
		r.Allowed, r.Shadowed, r.Reason, r.Missing = !c.denied, !c.denied && !c.Allowed, c.Reason, c.Missing
		r.Arguments, r.Risk = auditedArguments(m.params, o.view.audited(c.target)), o.view.rules.Risk(c.target)
		g.observe(ctx, r)
	}
	if len(o.verdict.calls) == 0 && o.verdict.refused != "" {
		r.ID, r.Kind, r.Tool = secret.NewOrderedID("call", r.At), calls.KindRequest, requested(o.asked.method, o.body)
		r.Reason = o.verdict.refused
		g.observe(ctx, r)
	}
}

// requested names a request that has no target: by the method of its first message, else by its HTTP method.
func requested(method string, b body) string {
	if len(b.messages) > 0 && b.messages[0].method != "" {
		return b.messages[0].method
	}
	return method
}

// auditedArguments copies the arguments that the policy lists, as far as there is room for them, and no others.
func auditedArguments(params []byte, audited []string) map[string]json.RawMessage {
	if len(audited) == 0 {
		return nil
	}
	arguments, err := object(params, "arguments")
	if arguments == nil || err != nil {
		return nil
	}
	kept, room := map[string]json.RawMessage{}, calls.MaxArgumentBytes
	_ = eachMember(arguments, 0, func(key []byte, start, end int) error {
		name := string(key)
		if size := len(name) + end - start; slices.Contains(audited, name) && size <= room {
			kept[name] = slices.Clone(arguments[start:end])
			room -= size
		}
		return nil
	})
	return kept
}

// audited lists the arguments of a target that may be kept in records.
func (v *view) audited(t policy.Target) []string {
	switch t.Kind {
	case policy.TargetTool:
		return v.doc.Tools[t.Name].Audited
	case policy.TargetPrompt:
		return v.doc.Prompts[t.Name].Audited
	default:
		return nil // contents have no arguments
	}
}

// logDenied tells the operator what was denied, or would have been.
func (g *Gate) logDenied(ctx context.Context, o outcome) {
	if o.verdict.refused != "" {
		g.log.InfoContext(ctx, "request denied", "reason", o.verdict.refused, "user", o.identity.User,
			"client", o.identity.Client, "grant", o.identity.Grant, "sequence", o.now.Feed.Sequence)
		return
	}
	for _, c := range o.verdict.calls {
		if c.Allowed {
			continue
		}
		level := slog.LevelInfo
		if c.Reason == policy.ReasonUnmappedTool {
			level = slog.LevelWarn // the tenant has the tool and has not said who may call it
		}
		facts := []slog.Attr{slog.String("kind", string(c.target.Kind)),
			slog.String("name", shortened(c.target.Name, shownToolName)), slog.String("reason", string(c.Reason)),
			slog.Any("missing", c.Missing), slog.String("user", o.identity.User), slog.String("client", o.identity.Client),
			slog.String("grant", o.identity.Grant), slog.Int("revision", o.view.doc.Revision)}
		if c.denied {
			g.log.LogAttrs(ctx, level, "call denied", facts...)
			continue
		}
		g.log.LogAttrs(ctx, level, "call would be denied", facts...)
	}
}
