package audit

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/ostiary/ostiary/app/db"
	"github.com/ostiary/ostiary/app/scope"
	"github.com/ostiary/ostiary/app/secret"
)

// Event says what happened. Who did it, where and in which request is read from the context.
type Event struct {
	Action     string // noun.verb in the past: "resource.published"
	TargetKind string // "resource", "user" …
	TargetID   string
	Detail     map[string]any // facts for the reader; never a secret, token or password
}

// Entry is a recorded event.
type Entry struct {
	Event
	ID            string
	EnvironmentID string // empty for tenant-wide events
	At            time.Time
	Actor         scope.Actor
	RequestID     string
}

// Deps is what a Recorder needs.
type Deps struct {
	DB  *db.DB
	Now func() time.Time
}

// Recorder writes and reads the audit log of the tenant in the context.
type Recorder struct {
	db  *db.DB
	now func() time.Time
}

// NewRecorder returns a Recorder.
func NewRecorder(d Deps) *Recorder { return &Recorder{db: d.DB, now: d.Now} }

// Record writes e. Call it inside db.InTenant, with the context that the transaction handed out: the event then commits
// with the change. Errors: errs.Internal without a scope or for a detail that looks like a secret.
func (r *Recorder) Record(ctx context.Context, e Event) error {
	s, err := scope.From(ctx)
	if err != nil {
		return err
	}
	if name := secretDetail(e.Detail); name != "" {
		return fmt.Errorf("audit %s: detail %q looks like a secret", e.Action, name)
	}
	now := r.now().UTC()
	return r.insert(ctx, Entry{
		Event:         e,
		ID:            secret.NewOrderedID("aud", now),
		EnvironmentID: s.EnvironmentID,
		At:            now,
		Actor:         scope.ActorFrom(ctx),
		RequestID:     scope.RequestID(ctx),
	})
}

// secretDetail returns the first key of detail that names a secret. It guards against slips, not against intent.
func secretDetail(detail map[string]any) string {
	for key, value := range detail {
		lower := strings.ToLower(key)
		for _, word := range []string{"password", "secret", "token", "cookie", "verifier"} {
			if strings.Contains(lower, word) {
				return key
			}
		}
		if inner, ok := value.(map[string]any); ok {
			if name := secretDetail(inner); name != "" {
				return name
			}
		}
	}
	return ""
}
