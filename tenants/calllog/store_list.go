package calllog

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/ostiary/ostiary/app/calls"
	"github.com/ostiary/ostiary/app/policy"
	"github.com/ostiary/ostiary/app/scope"
	"github.com/ostiary/ostiary/tenants/rows"
)

// callRow is a row of tool_calls with the names it is joined to.
type callRow struct {
	ID, ResourceID, Kind, Tool, UserID, OrganizationID, ClientID, Host, GrantID, Proof, Reason string

	At, ReceivedAt    time.Time
	Scopes, Missing   rows.TextArray
	Allowed, Shadowed bool
	Revision          int
	Sequence          int64
	Silence, Status   int
	LatencyUS         int64 `gorm:"column:latency_us"`
	Arguments         []byte

	ResourceName, UserName, UserEmail, OrganizationName string
}

func (row callRow) call() (Call, error) {
	c := Call{
		Record: calls.Record{
			ID: row.ID, At: row.At.UTC(), Kind: policy.TargetKind(row.Kind), Tool: row.Tool, User: row.UserID,
			Organization: row.OrganizationID, Client: row.ClientID, Host: row.Host, Grant: row.GrantID, Proof: calls.Proof(row.Proof),
			Scopes: row.Scopes, Allowed: row.Allowed, Shadowed: row.Shadowed, Reason: policy.Reason(row.Reason), Missing: row.Missing,
			Revision: row.Revision, Sequence: row.Sequence, Silence: row.Silence, Status: row.Status, LatencyUS: row.LatencyUS,
		},
		ResourceID: row.ResourceID, ResourceName: row.ResourceName, UserName: row.UserName, UserEmail: row.UserEmail,
		OrganizationName: row.OrganizationName, ReceivedAt: row.ReceivedAt.UTC(),
	}
	if err := json.Unmarshal(row.Arguments, &c.Arguments); err != nil {
		return Call{}, fmt.Errorf("arguments of %s: %w", row.ID, err)
	}
	return c, nil
}

// Names are joined to the rows of a page, after they were found.
const (
	callColumns = `c.*, r.name as resource_name, coalesce(u.name, '') as user_name, coalesce(u.email, '') as user_email,
  coalesce(o.name, '') as organization_name`
	joinNames = `join resources r on r.tenant_id = c.tenant_id and r.environment_id = c.environment_id and r.id = c.resource_id
left join users u on u.tenant_id = c.tenant_id and u.environment_id = c.environment_id and u.id = c.user_id
left join organizations o on o.tenant_id = c.tenant_id and o.environment_id = c.environment_id and o.id = c.organization_id`
)

func (l *Log) list(ctx context.Context, sc scope.Scope, f Filter) (Page, error) {
	forward := f.After != Cursor{}
	order := "at desc, id desc"
	if forward {
		order = "at, id" // the oldest of the newer ones first, so that nothing is passed over
	}
	var found []callRow
	err := rows.Tx(ctx, l.db, func(tx *gorm.DB) error {
		page := f.narrow(tx, tx.Table("tool_calls").Scopes(rows.Within(sc)), sc).Order(order).Limit(f.Limit + 1)
		return tx.Table("(?) as c", page).Select(callColumns).Joins(joinNames).Order(order).Find(&found).Error
	})
	if err != nil {
		return Page{}, err
	}
	more := len(found) > f.Limit
	found = found[:min(len(found), f.Limit)]
	p := Page{Older: more, Newer: f.Before != Cursor{}}
	if forward {
		slices.Reverse(found)
		p = Page{Older: true, Newer: more}
	}
	for _, row := range found {
		c, err := row.call()
		if err != nil {
			return Page{}, err
		}
		p.Calls = append(p.Calls, c)
	}
	return p, nil
}

// narrow adds the conditions of f to q. What is compared whole is in an index with the time behind it.
func (f Filter) narrow(tx, q *gorm.DB, sc scope.Scope) *gorm.DB {
	for _, equal := range [...]struct{ column, value string }{
		{"resource_id", f.Server}, {"tool", f.Tool}, {"host", hostColumn(f.Host)},
	} {
		if equal.value != "" {
			q = q.Where(equal.column+" = ?", equal.value)
		}
	}
	if f.Host == policy.HostUnverified {
		q = q.Where("host = ''")
	}
	switch {
	case strings.Contains(f.User, "@"):
		q = q.Where("user_id = (?)", tx.Table("users").Scopes(rows.Within(sc)).Select("id").Where("email = ?", strings.ToLower(f.User)))
	case f.User != "":
		q = q.Where("user_id = ?", f.User)
	}
	switch {
	case strings.HasPrefix(f.Organization, "org_"):
		q = q.Where("organization_id = ? and organization_id <> ''", f.Organization)
	case f.Organization != "":
		q = q.Where("organization_id = (?) and organization_id <> ''",
			tx.Table("organizations").Scopes(rows.Within(sc)).Select("id").Where("slug = ?", f.Organization))
	}
	return f.narrowTimes(f.narrowDecision(q))
}

// hostColumn is what the column holds for a host; nothing is compared for the one that has no name.
func hostColumn(host string) string {
	if host == policy.HostUnverified {
		return ""
	}
	return host
}

func (f Filter) narrowDecision(q *gorm.DB) *gorm.DB {
	switch f.Decision {
	case Allowed:
		q = q.Where("allowed and not shadowed")
	case Denied: // the first condition is the index's
		q = q.Where("(not allowed or shadowed) and not shadowed")
	case Shadowed:
		q = q.Where("(not allowed or shadowed) and shadowed")
	}
	if f.Legacy {
		q = q.Where("proof = 'legacy'")
	}
	return q
}

func (f Filter) narrowTimes(q *gorm.DB) *gorm.DB {
	if !f.Since.IsZero() {
		q = q.Where("at >= ?", f.Since)
	}
	if !f.Until.IsZero() {
		q = q.Where("at <= ?", f.Until)
	}
	if f.After != (Cursor{}) {
		return q.Where("(at, id) > (?, ?)", f.After.At, f.After.ID)
	}
	if f.Before != (Cursor{}) {
		q = q.Where("(at, id) < (?, ?)", f.Before.At, f.Before.ID)
	}
	return q
}

func (l *Log) get(ctx context.Context, sc scope.Scope, id string) (Call, error) {
	if !calls.IsID(id) {
		return Call{}, errNoCall
	}
	var row callRow
	err := rows.Tx(ctx, l.db, func(tx *gorm.DB) error {
		return tx.Table("tool_calls c").Select(callColumns).Joins(joinNames).
			Where("c.tenant_id = ? and c.environment_id = ? and c.id = ?", sc.TenantID, sc.EnvironmentID, id).Take(&row).Error
	})
	if err != nil {
		return Call{}, rows.NotFound(err, errNoCall.Msg)
	}
	return row.call()
}

func (l *Log) sumLost(ctx context.Context, sc scope.Scope, resourceID string, since time.Time) (int64, error) {
	var lost int64
	err := rows.Tx(ctx, l.db, func(tx *gorm.DB) error {
		return tx.Raw(`select coalesce(sum(dropped), 0)::bigint from call_losses
			where tenant_id = ? and environment_id = ? and received_at >= ? and (? = '' or resource_id = ?)`,
			sc.TenantID, sc.EnvironmentID, since, resourceID, resourceID).Scan(&lost).Error
	})
	return lost, err
}

const maxLegacy = 500

func (l *Log) listLegacy(ctx context.Context, sc scope.Scope, since time.Time) ([]LegacyUse, error) {
	var list []LegacyUse
	err := rows.Tx(ctx, l.db, func(tx *gorm.DB) error {
		return tx.Raw(`select c.*, r.name as resource_name, coalesce(u.name, '') as user_name
			from (
			  select user_id as "user", resource_id, count(*) as calls, count(*) filter (where not allowed or shadowed) as denied,
			    min(at) as first_at, max(at) as last_at
			  from tool_calls where tenant_id = @tenant and environment_id = @environment and proof = 'legacy' and at >= @since
			  group by user_id, resource_id order by last_at desc, user_id, resource_id limit @most
			) c
			join resources r on r.tenant_id = @tenant and r.environment_id = @environment and r.id = c.resource_id
			left join users u on u.tenant_id = @tenant and u.environment_id = @environment and u.id = c."user"
			order by c.last_at desc, c."user", c.resource_id`, map[string]any{
			"tenant": sc.TenantID, "environment": sc.EnvironmentID, "since": since, "most": maxLegacy,
		}).Scan(&list).Error
	})
	for i := range list {
		list[i].FirstAt, list[i].LastAt = list[i].FirstAt.UTC(), list[i].LastAt.UTC()
	}
	return list, err
}
