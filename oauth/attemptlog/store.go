package attemptlog

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ostiary/ostiary/app/scope"
)

const insertSteps = `insert into attempt_steps (tenant_id, environment_id, at, case_id, kind, outcome, reason, detail, asked,
  expected, client_id, client_name, host, user_id, address, agent)
select $1, $2, * from unnest($3::timestamptz[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
  $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::text[])`

// insert writes the steps of one environment: one statement, one round trip.
func (l *Log) insert(ctx context.Context, sc scope.Scope, steps []Step) error {
	at := make([]time.Time, 0, len(steps))
	columns := make([][]string, 13)
	for _, s := range steps {
		at = append(at, s.At)
		for i, value := range [...]string{
			s.CaseID, string(s.Kind), string(s.Outcome), s.Reason, s.Detail, s.Asked, s.Expected, s.ClientID, s.ClientName,
			s.Host, s.UserID, s.Address, s.Agent,
		} {
			columns[i] = append(columns[i], value)
		}
	}
	arguments := []any{sc.TenantID, sc.EnvironmentID, at}
	for _, column := range columns {
		arguments = append(arguments, column)
	}
	return l.db.Pipe(ctx, func(b *pgx.Batch) { b.Queue(insertSteps, arguments...) })
}

const (
	trimOld = `delete from attempt_steps where tenant_id = $1 and environment_id = $2 and at < $3`
	// The newest $3 of one sort stay. Walking the key from its end stops there.
	trimCases = `delete from attempt_steps where tenant_id = $1 and environment_id = $2 and case_id <> '' and id <= (
  select id from attempt_steps where tenant_id = $1 and environment_id = $2 and case_id <> '' order by id desc offset $3 limit 1)`
	trimAnonymous = `delete from attempt_steps where tenant_id = $1 and environment_id = $2 and case_id = '' and id <= (
  select id from attempt_steps where tenant_id = $1 and environment_id = $2 and case_id = '' order by id desc offset $3 limit 1)`
)

// trim deletes what an environment may not keep.
func (l *Log) trim(ctx context.Context, sc scope.Scope, before time.Time) error {
	return l.db.Pipe(ctx, func(b *pgx.Batch) {
		b.Queue(trimOld, sc.TenantID, sc.EnvironmentID, before)
		b.Queue(trimCases, sc.TenantID, sc.EnvironmentID, keepCases)
		b.Queue(trimAnonymous, sc.TenantID, sc.EnvironmentID, keepAnonymous)
	})
}
