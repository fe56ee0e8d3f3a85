package audit

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ostiary/ostiary/app/scope"
	"github.com/ostiary/ostiary/app/secret"
)

const insertEvent = `insert into audit_events
  (tenant_id, environment_id, id, at, actor_kind, actor_id, action, target_kind, target_id, detail, request_id)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`

// Queue puts e on a batch of db.Pipe, for the data plane: the event commits with the statements beside it, without a round
// trip of its own. Errors are as for Record.
func Queue(ctx context.Context, b *pgx.Batch, now time.Time, e Event) error {
	values, err := valuesOf(ctx, now, e)
	if err == nil {
		b.Queue(insertEvent, values...)
	}
	return err
}

// Table is one whose rows events are about, with a key of tenant, environment and id.
type Table string

// TableConsents holds what people allowed.
const TableConsents Table = "consents"

const insertEventAfter = `insert into audit_events
  (tenant_id, environment_id, id, at, actor_kind, actor_id, action, target_kind, target_id, detail, request_id)
select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11
where exists (select 1 from %s where tenant_id = $1 and environment_id = $2 and id = $9)`

// QueueAfter is Queue for what a statement before it on the batch may or may not have done: the event is recorded only when its
// target is in the table.
func QueueAfter(ctx context.Context, b *pgx.Batch, now time.Time, target Table, e Event) error {
	values, err := valuesOf(ctx, now, e)
	if err == nil {
		b.Queue(fmt.Sprintf(insertEventAfter, target), values...)
	}
	return err
}

func valuesOf(ctx context.Context, now time.Time, e Event) ([]any, error) {
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
		s.TenantID, s.EnvironmentID, secret.NewID("aud"), now, string(actor.Kind), actor.ID, e.Action, e.TargetKind, e.TargetID, detail,
		scope.RequestID(ctx),
	}, nil
}
