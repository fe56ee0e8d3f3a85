package calllog

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/ostiary/ostiary/app/calls"
	"github.com/ostiary/ostiary/app/scope"
)

// report is what one insert writes.
type report struct {
	resourceID string
	at         time.Time
	calls      []calls.Record
	loss       loss
}

// Lists of scopes travel as one text each: unnest would flatten arrays of arrays.
const insertCalls = `insert into tool_calls (tenant_id, environment_id, resource_id, received_at, id, at, kind, tool, user_id,
  organization_id, client_id, host, grant_id, proof, scopes, allowed, shadowed, reason, missing, revision, sequence, silence,
  status, latency_us, arguments)
select $1, $2, $3, $4, id, at, kind, tool, user_id, organization_id, client_id, host, grant_id, proof,
  string_to_array(scopes, ' '), allowed, shadowed, reason, string_to_array(missing, ' '), revision, sequence, silence, status,
  latency_us, arguments::jsonb
from unnest($5::text[], $6::timestamptz[], $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[],
  $13::text[], $14::text[], $15::text[], $16::bool[], $17::bool[], $18::text[], $19::text[], $20::int[], $21::bigint[],
  $22::int[], $23::int[], $24::bigint[], $25::text[])
  as c (id, at, kind, tool, user_id, organization_id, client_id, host, grant_id, proof, scopes, allowed, shadowed, reason,
    missing, revision, sequence, silence, status, latency_us, arguments)
on conflict (tenant_id, environment_id, id) do nothing`

const insertLoss = `insert into call_losses (tenant_id, environment_id, resource_id, id, received_at, dropped)
values ($1, $2, $3, $4, $5, $6) on conflict (tenant_id, environment_id, id) do nothing`

// insert writes a report in one round trip and returns how many calls are new.
func (l *Log) insert(ctx context.Context, sc scope.Scope, r report) (int, error) {
	columns, err := columnsOf(r.calls)
	if err != nil {
		return 0, err
	}
	written := 0
	err = l.db.Pipe(ctx, func(b *pgx.Batch) {
		if len(r.calls) > 0 {
			b.Queue(insertCalls, append([]any{sc.TenantID, sc.EnvironmentID, r.resourceID, r.at}, columns...)...).
				Exec(func(tag pgconn.CommandTag) error {
					written = int(tag.RowsAffected())
					return nil
				})
		}
		if r.loss.dropped > 0 {
			b.Queue(insertLoss, sc.TenantID, sc.EnvironmentID, r.resourceID, r.loss.id, r.at, r.loss.dropped)
		}
	})
	return written, err
}

// columnsOf turns records into one array per column.
func columnsOf(list []calls.Record) ([]any, error) {
	var (
		texts                     [13][]string
		at                        []time.Time
		allowed, shadowed         []bool
		revision, silence, status []int32
		sequence, latency         []int64
	)
	for _, c := range list {
		arguments, err := argumentsOf(c)
		if err != nil {
			return nil, err
		}
		for i, value := range [...]string{
			c.ID, string(c.Kind), c.Tool, c.User, c.Organization, c.Client, c.Host, c.Grant, string(c.Proof),
			strings.Join(c.Scopes, " "), string(c.Reason), strings.Join(c.Missing, " "), arguments,
		} {
			texts[i] = append(texts[i], value)
		}
		at = append(at, c.At.UTC())
		allowed, shadowed = append(allowed, c.Allowed), append(shadowed, c.Shadowed)
		revision, silence = append(revision, int32(c.Revision)), append(silence, int32(c.Silence)) //nolint:gosec // see Decode
		status = append(status, int32(c.Status))                                                   //nolint:gosec // see Decode
		sequence, latency = append(sequence, c.Sequence), append(latency, c.LatencyUS)
	}
	columns := []any{texts[0], at}
	for _, column := range texts[1:10] {
		columns = append(columns, column)
	}
	columns = append(columns, allowed, shadowed, texts[10], texts[11], revision, sequence, silence, status, latency, texts[12])
	return columns, nil
}

func argumentsOf(c calls.Record) (string, error) {
	if len(c.Arguments) == 0 {
		return "{}", nil
	}
	raw, err := json.Marshal(c.Arguments)
	if err != nil {
		return "", fmt.Errorf("arguments of a call: %w", err)
	}
	return string(raw), nil
}

const countCalls = `select count(*) from tool_calls
where tenant_id = $1 and environment_id = $2 and resource_id = $3 and id = any($4)`

// countKept returns how many of the calls are kept for the resource.
func (l *Log) countKept(ctx context.Context, sc scope.Scope, resourceID string, list []calls.Record) (int, error) {
	ids := make([]string, 0, len(list))
	for _, c := range list {
		ids = append(ids, c.ID)
	}
	kept := 0
	err := l.db.Pipe(ctx, func(b *pgx.Batch) {
		b.Queue(countCalls, sc.TenantID, sc.EnvironmentID, resourceID, ids).
			QueryRow(func(row pgx.Row) error { return row.Scan(&kept) })
	})
	return kept, err
}
