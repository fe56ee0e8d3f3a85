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
	s, err := scope.From(ctx)
	if err != nil {
		return err
	}
	if name := secretDetail(e.Detail); name != "" {
		return fmt.Errorf("audit %s: detail %q looks like a secret", e.Action, name)
	}
	detail := []byte("{}")
	if e.Detail != nil {
		if detail, err = json.Marshal(e.Detail); err != nil {
			return fmt.Errorf("audit %s: %w", e.Action, err)
		}
	}
	actor := scope.ActorFrom(ctx)
	b.Queue(insertEvent, s.TenantID, s.EnvironmentID, secret.NewID("aud"), now, string(actor.Kind), actor.ID, e.Action,
		e.TargetKind, e.TargetID, detail, scope.RequestID(ctx))
	return nil
}
