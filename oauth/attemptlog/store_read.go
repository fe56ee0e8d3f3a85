package attemptlog

import (
	"context"
	"slices"
	"time"

	"gorm.io/gorm"

	"github.com/ostiary/ostiary/app/scope"
)

type stepRow struct {
	ID         int64
	At         time.Time
	CaseID     string
	Kind       string
	Outcome    string
	Reason     string
	Detail     string
	Asked      string
	Expected   string
	ClientID   string
	ClientName string
	Host       string
	UserID     string
	Address    string
	Agent      string
}

func (row stepRow) step() Step {
	return Step{
		ID: row.ID, At: row.At.UTC(), CaseID: row.CaseID, Kind: Kind(row.Kind), Outcome: Outcome(row.Outcome),
		Reason: row.Reason, Detail: row.Detail, Asked: row.Asked, Expected: row.Expected, ClientID: row.ClientID,
		ClientName: row.ClientName, Host: row.Host, UserID: row.UserID, Address: row.Address, Agent: row.Agent,
	}
}

func stepsOf(rows []stepRow) []Step {
	steps := make([]Step, 0, len(rows))
	for _, row := range rows {
		steps = append(steps, row.step())
	}
	return steps
}

type attemptRow struct {
	Latest    stepRow `gorm:"embedded"`
	StartedAt time.Time
	Steps     int
	UserName  string
	UserEmail string
	Total     int
}

// An environment keeps 15,000 steps of cases at most, so grouping them is bounded work.
const selectAttempts = `select c.case_id, c.started_at, c.steps, c.client_id, c.client_name, c.host, c.user_id,
  l.id, l.at, l.kind, l.outcome, l.reason, l.detail, l.asked, l.expected,
  coalesce(u.name, '') as user_name, coalesce(u.email, '') as user_email, count(*) over () as total
from (
  select case_id, min(at) as started_at, count(*) as steps, (array_agg(id order by at desc, id desc))[1] as last_id,
    max(client_id) as client_id, max(client_name) as client_name, max(host) as host,
    coalesce((array_agg(user_id order by at desc, id desc) filter (where user_id <> ''))[1], '') as user_id
  from attempt_steps
  where tenant_id = @tenant and environment_id = @environment and case_id <> '' and at > @since
  group by case_id
) c
join attempt_steps l on l.tenant_id = @tenant and l.environment_id = @environment and l.id = c.last_id
left join users u on u.tenant_id = @tenant and u.environment_id = @environment and u.id = c.user_id
where c.started_at <= @until and (@client = '' or c.client_id = @client) and (@search = ''
  or strpos(lower(concat_ws(chr(10), c.case_id, c.client_name, c.host, u.name, u.email)), lower(@search)) > 0
  or c.client_id = @search)
order by c.started_at desc, c.case_id desc limit @limit offset @offset`

func (r *Reader) listAttempts(ctx context.Context, sc scope.Scope, f AttemptFilter, since time.Time) ([]Attempt, int, error) {
	var rows []attemptRow
	err := r.db.InTenant(ctx, func(_ context.Context, tx *gorm.DB) error {
		return tx.Raw(selectAttempts, map[string]any{
			"tenant": sc.TenantID, "environment": sc.EnvironmentID, "since": since, "until": f.Until, "client": f.ClientID,
			"search": f.Search, "limit": f.Limit, "offset": f.Offset,
		}).Scan(&rows).Error
	})
	attempts, total := make([]Attempt, 0, len(rows)), 0
	for _, row := range rows {
		total = row.Total
		attempts = append(attempts, Attempt{
			CaseID: row.Latest.CaseID, StartedAt: row.StartedAt.UTC(), Last: row.Latest.step(), Steps: row.Steps,
			ClientID: row.Latest.ClientID, ClientName: row.Latest.ClientName, Host: row.Latest.Host, UserID: row.Latest.UserID,
			UserName: row.UserName, UserEmail: row.UserEmail,
		})
	}
	return attempts, total, err
}

const stepColumns = `id, at, case_id, kind, outcome, reason, detail, asked, expected, client_id, client_name, host, user_id,
  address, agent`

func (r *Reader) listSteps(ctx context.Context, sc scope.Scope, f StepFilter, since time.Time) ([]Step, error) {
	var rows []stepRow
	err := r.db.InTenant(ctx, func(_ context.Context, tx *gorm.DB) error {
		q := tx.Table("attempt_steps").Select(stepColumns).
			Where("tenant_id = ? and environment_id = ? and at > ?", sc.TenantID, sc.EnvironmentID, since).Limit(f.Limit)
		if f.ClientID != "" {
			q = q.Where("hashtextextended(client_id, 0) = hashtextextended(?, 0) and client_id = ?", f.ClientID, f.ClientID)
		}
		if f.After != (Cursor{}) { // the oldest of the newer ones first, so that nothing is passed over
			return q.Where("(at, id) > (?, ?)", f.After.At, f.After.ID).Order("at, id").Find(&rows).Error
		}
		if f.Before != (Cursor{}) {
			q = q.Where("(at, id) < (?, ?)", f.Before.At, f.Before.ID)
		}
		return q.Order("at desc, id desc").Find(&rows).Error
	})
	if f.After != (Cursor{}) {
		slices.Reverse(rows)
	}
	return stepsOf(rows), err
}

// Steps of one case and of what came before it; bounded, since a browser that is reloaded adds to a case.
const (
	maxSteps   = 200
	maxEarlier = 100
)

func (r *Reader) findCase(ctx context.Context, sc scope.Scope, caseID string) ([]Step, error) {
	var before, rows []stepRow
	err := r.db.InTenant(ctx, func(_ context.Context, tx *gorm.DB) error {
		mine := func() *gorm.DB {
			return tx.Table("attempt_steps").Select(stepColumns).
				Where("tenant_id = ? and environment_id = ?", sc.TenantID, sc.EnvironmentID)
		}
		err := mine().Where("case_id = ?", caseID).Order("at, id").Limit(maxSteps).Find(&rows).Error
		if err != nil || len(rows) == 0 {
			return err
		}
		clients, machines := partiesOf(rows)
		begun := rows[0].At
		return mine().
			Where("at between ? and ? and kind in ? and case_id <> ?", begun.Add(-earlier), begun, beforeCases, caseID).
			Where("client_id in ? or (client_id = '' and address in ?)", clients, machines).
			Order("at desc, id desc").Limit(maxEarlier).Find(&before).Error
	})
	before = latestReads(before)
	slices.Reverse(before)
	return stepsOf(append(before, rows...)), err
}

// latestReads keeps one read of metadata per machine, the latest: machines read it again and again.
func latestReads(newestFirst []stepRow) []stepRow {
	seen := map[string]bool{}
	return slices.DeleteFunc(newestFirst, func(row stepRow) bool {
		again := row.ClientID == "" && seen[row.Address]
		seen[row.Address] = seen[row.Address] || row.ClientID == ""
		return again
	})
}

// beforeCases are the kinds of steps that come before an attempt has an id.
var beforeCases = []string{string(KindMetadata), string(KindRegister)}

func partiesOf(rows []stepRow) (clients, machines []string) {
	clients, machines = []string{}, []string{}
	for _, row := range rows {
		if row.ClientID != "" && !slices.Contains(clients, row.ClientID) {
			clients = append(clients, row.ClientID)
		}
		if row.Address != "" && !slices.Contains(machines, row.Address) {
			machines = append(machines, row.Address)
		}
	}
	return clients, machines
}
