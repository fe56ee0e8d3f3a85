package calllog

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/ostiary/ostiary/app/policy"
	"github.com/ostiary/ostiary/app/scope"
	"github.com/ostiary/ostiary/tenants/rows"
)

// loadEvidence reads what the issuer knows about a call.
func (l *Log) loadEvidence(ctx context.Context, sc scope.Scope, c Call) (evidence, error) {
	var e evidence
	err := rows.InTenant(ctx, l.db, func(ctx context.Context) error {
		var err error
		if e.inForce, err = l.loadRevision(ctx, sc, c, "p.revision = ?", c.Revision); err != nil {
			return err
		}
		if e.then, err = l.loadRevision(ctx, sc, c, "p.published_at <= ?", c.decidedAt()); err != nil {
			return err
		}
		if e.now, err = l.loadRevision(ctx, sc, c, "true"); err != nil {
			return err
		}
		if e.stops, err = l.loadStops(ctx, sc, c); err != nil {
			return err
		}
		e.endings, e.grant, err = l.loadEndings(ctx, sc, c)
		return err
	})
	return e, err
}

// memberName turns who did something into a name: members are named, what else acts is called by its kind.
const memberName = `coalesce((select m.name from members m
  where m.tenant_id = %[1]s.tenant_id and m.id = %[1]s.%[2]s), %[1]s.%[2]s, '')`

// loadRevision returns the newest revision of the call's server that a condition allows, nil when there is none.
func (l *Log) loadRevision(ctx context.Context, sc scope.Scope, c Call, condition string, args ...any) (*published, error) {
	var found []struct {
		Revision    int
		Document    []byte
		PublishedAt time.Time
		PublishedBy string
	}
	err := rows.Tx(ctx, l.db, func(tx *gorm.DB) error {
		return tx.Table("policy_revisions p").
			Select("p.revision, p.document, p.published_at, "+fmt.Sprintf(memberName, "p", "published_by")+" as published_by").
			Where("p.tenant_id = ? and p.environment_id = ? and p.resource_id = ?", sc.TenantID, sc.EnvironmentID, c.ResourceID).
			Where(condition, args...).Order("p.revision desc").Limit(1).Find(&found).Error
	})
	if err != nil || len(found) == 0 {
		return nil, err
	}
	p := &published{document: &policy.Document{}, Revision: Revision{
		Number: found[0].Revision, PublishedAt: found[0].PublishedAt.UTC(), PublishedBy: found[0].PublishedBy,
	}}
	if err := json.Unmarshal(found[0].Document, p.document); err != nil {
		return nil, fmt.Errorf("read revision %d: %w", p.Number, err)
	}
	return p, nil
}

// loadStops returns the stops that were on about the time of the call and are about it.
func (l *Log) loadStops(ctx context.Context, sc scope.Scope, c Call) ([]stop, error) {
	host := c.Host
	if host == "" {
		host = policy.HostUnverified
	}
	tool := c.Tool
	if c.Kind != policy.TargetTool {
		tool = ""
	}
	var list []stop
	err := rows.Tx(ctx, l.db, func(tx *gorm.DB) error {
		return tx.Table("stops s").
			Select("s.id, s.kind, s.value, s.reason, s.created_at, s.lifted_at, "+fmt.Sprintf(memberName, "s", "created_by")+
				" as created_by, "+fmt.Sprintf(memberName, "s", "lifted_by")+" as lifted_by").
			Where("s.tenant_id = ? and s.environment_id = ?", sc.TenantID, sc.EnvironmentID).
			Where("s.created_at <= ? and (s.lifted_at is null or s.lifted_at >= ?)", c.At.Add(tolerance), c.decidedAt().Add(-tolerance)).
			Where(`(s.kind = 'server' and s.resource_id = ?) or (s.kind = 'tool' and s.resource_id = ? and s.value = ?)
				or (s.kind = 'host' and s.value = ?) or (s.kind = 'user' and s.value = ?)
				or (s.kind = 'organization' and s.value = ? and s.value <> '')`,
				c.ResourceID, c.ResourceID, tool, host, c.User, c.Organization).
			Order("s.created_at, s.id").Limit(20).Find(&list).Error
	})
	return list, err
}

const selectEndings = `select 'grant' as kind, g.revoked_at as at, coalesce(g.revoked_reason, '') as reason, g.scopes,
  coalesce(g.user_id, g.client_id) as user_id, coalesce(g.organization_id, '') as organization_id, g.client_id,
  coalesce((select case when a.actor_kind = 'member' then coalesce(m.name, a.actor_id)
      when a.actor_kind = 'user' then 'the user' when a.actor_kind = 'client' then 'the app' else '' end
    from audit_events a left join members m on m.tenant_id = a.tenant_id and m.id = a.actor_id
    where a.tenant_id = g.tenant_id and a.at between g.revoked_at - interval '5 seconds' and g.revoked_at + interval '5 seconds'
      and a.action = 'grant.revoked' and a.target_id = g.id limit 1), '') as by
from grants g where g.tenant_id = @tenant and g.environment_id = @environment and g.id = @grant and g.resource_id = @resource
union all
select 'user', u.disabled_at, '', '{}', '', '', '', '' from users u
where u.tenant_id = @tenant and u.environment_id = @environment and u.id = @user
union all
select 'organization', o.disabled_at, '', '{}', '', '', '', '' from organizations o
where o.tenant_id = @tenant and o.environment_id = @environment and o.id = @organization
union all
select 'client', c.disabled_at, '', '{}', '', '', '', '' from clients c
where c.tenant_id = @tenant and c.environment_id = @environment and c.id = @client`

// loadEndings returns what of the call has ended, and its grant, nil when there is none of this server.
func (l *Log) loadEndings(ctx context.Context, sc scope.Scope, c Call) ([]ending, *grant, error) {
	var found []struct {
		Kind, Reason, By                 string
		UserID, OrganizationID, ClientID string
		At                               *time.Time
		Scopes                           rows.TextArray
	}
	err := rows.Tx(ctx, l.db, func(tx *gorm.DB) error {
		return tx.Raw(selectEndings, map[string]any{
			"tenant": sc.TenantID, "environment": sc.EnvironmentID, "grant": c.Grant, "resource": c.ResourceID, "user": c.User,
			"organization": c.Organization, "client": c.Client,
		}).Scan(&found).Error
	})
	var list []ending
	var of *grant
	for _, row := range found {
		if row.Kind == "grant" {
			of = &grant{
				user: row.UserID, organization: row.OrganizationID, client: row.ClientID, scopes: row.Scopes, revoked: row.At != nil,
			}
		}
		if row.At == nil {
			continue
		}
		end := ending{what: endingWords[row.Kind], did: "was disabled", at: row.At.UTC(), by: row.By}
		if row.Kind == "grant" {
			end.did, end.reason = "was revoked", revokedWords(row.Reason)
		}
		list = append(list, end)
	}
	return list, of, err
}

var endingWords = map[string]string{
	"grant": "What the user allowed this app", "user": "The user", "organization": "The organization", "client": "The app",
}

func revokedWords(reason string) string {
	if words, ok := map[string]string{
		"revoked_by_client":      "at the app's own request",
		"replaced":               "replaced by a newer one",
		"organization_changed":   "since the user is not in that organization any more",
		"code_replayed":          "because its code was used twice",
		"refresh_token_replayed": "because an old refresh token was used again",
	}[reason]; ok {
		return words
	}
	return strings.ReplaceAll(reason, "_", " ")
}
