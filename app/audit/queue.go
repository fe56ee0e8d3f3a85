package audit

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ostiary/ostiary/app/scope"
	"github.com/ostiary/ostiary/app/secret"
)

const insertEvent = `insert into audit_events
  (tenant_id, environment_id, id, at, actor_kind, actor_id, action, target_kind, target_id, detail, request_id) `

// Queue puts e on a batch of db.Pipe, for the data plane: the event commits with the statements beside it, without a round
// trip of its own. Errors are as for Record.
func Queue(ctx context.Context, b *pgx.Batch, now time.Time, e Event) error {
	values, err := Values(ctx, now, e)
	if err == nil {
		b.Queue(insertEvent+`values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`, values...)
	}
	return err
}

// InsertFrom returns a part of a statement, for its with clause: it records one event for each row of source. Its parameters are
// numbered from first on, their values come from Values. It is for a change that finds out by itself whether it happens.
func InsertFrom(source string, first int) string {
	parameters := make([]string, 11)
	for n := range parameters {
		parameters[n] = "$" + strconv.Itoa(first+n)
	}
	return insertEvent + "select " + strings.Join(parameters, ", ") + " from " + source
}

// Values returns what InsertFrom wants to know of an event. Errors are as for Record.
func Values(ctx context.Context, now time.Time, e Event) ([]any, error) {
	s, err := scope.From(ctx)
	if err != nil {
		return nil, err
	}
	if name := secretDetail(e.Detail); name != "" {
		return nil, fmt.Errorf("audit %s: detail %q looks like a secret", e.Action, name)
	}
	detail := []byte("{}")
	if e.Detail != nil {
		if detail, err = json.Marshal(e.Detail); err != nil {
			return nil, fmt.Errorf("audit %s: %w", e.Action, err)
		}
	}
	actor := scope.ActorFrom(ctx)
	return []any{
		s.TenantID, s.EnvironmentID, secret.NewOrderedID("aud", now), now, string(actor.Kind), actor.ID, e.Action, e.TargetKind, e.TargetID,
		detail, scope.RequestID(ctx),
	}, nil
}
