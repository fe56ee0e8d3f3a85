package tenants

import (
	"context"
	"time"

	"gorm.io/gorm"

	"github.com/ostiary/ostiary/app/errs"
	"github.com/ostiary/ostiary/app/policy"
	"github.com/ostiary/ostiary/app/scope"
	"github.com/ostiary/ostiary/tenants/check"
	"github.com/ostiary/ostiary/tenants/rows"
)

// selectStop reads stops with what people call the things they are about.
const selectStop = `select s.id, s.kind, coalesce(s.resource_id, '') as resource_id, s.value, s.reason, s.created_at,
  coalesce(c.name, s.created_by) as created_by, s.lifted_at, coalesce(l.name, s.lifted_by, '') as lifted_by,
  coalesce(nullif(u.email, ''), o.name, case when s.kind = 'server' then r.name end, s.value) as name, coalesce(r.name, '') as server
from stops s
left join members c on c.tenant_id = s.tenant_id and c.id = s.created_by
left join members l on l.tenant_id = s.tenant_id and l.id = s.lifted_by
left join resources r on r.tenant_id = s.tenant_id and r.environment_id = s.environment_id and r.id = s.resource_id
left join users u on s.kind = 'user' and u.tenant_id = s.tenant_id and u.environment_id = s.environment_id and u.id = s.value
left join organizations o on s.kind = 'organization' and o.tenant_id = s.tenant_id and o.environment_id = s.environment_id
  and o.id = s.value
where s.tenant_id = ? and s.environment_id = ?`

func (s *Stops) listStops(ctx context.Context, sc scope.Scope) (live, lifted []Stop, err error) {
	err = s.tx(ctx, func(tx *gorm.DB) error {
		err := tx.Raw(selectStop+` and s.lifted_at is null order by s.created_at desc, s.id`, sc.TenantID, sc.EnvironmentID).
			Scan(&live).Error
		if err != nil {
			return err
		}
		return tx.Raw(selectStop+` and s.lifted_at is not null order by s.lifted_at desc, s.id limit ?`,
			sc.TenantID, sc.EnvironmentID, ListedHistory).Scan(&lifted).Error
	})
	return live, lifted, err
}

func (s *Stops) loadStop(ctx context.Context, sc scope.Scope, id string) (Stop, error) {
	var found []Stop
	err := s.tx(ctx, func(tx *gorm.DB) error {
		return tx.Raw(selectStop+` and s.id = ?`, sc.TenantID, sc.EnvironmentID, id).Scan(&found).Error
	})
	if err == nil && len(found) == 0 {
		return Stop{}, errNoStop
	}
	if err != nil {
		return Stop{}, err
	}
	return found[0], nil
}

var errNoStop = errs.New(errs.NotFound, "There is no such stop.")

func (s *Stops) liveStops(ctx context.Context, sc scope.Scope) ([]Stop, error) {
	var live []Stop
	err := s.tx(ctx, func(tx *gorm.DB) error {
		return tx.Raw(`select id, kind, coalesce(resource_id, '') as resource_id, value, value as name, created_at from stops
			where tenant_id = ? and environment_id = ? and lifted_at is null order by kind, value`,
			sc.TenantID, sc.EnvironmentID).Scan(&live).Error
	})
	return live, err
}

// insertStop adds a stop as long as there is room: every feed carries those that hold.
func (s *Stops) insertStop(ctx context.Context, sc scope.Scope, stop Stop) error {
	return s.tx(ctx, func(tx *gorm.DB) error {
		done := tx.Exec(`insert into stops (tenant_id, environment_id, id, kind, resource_id, value, reason, created_at, created_by)
			select ?, ?, ?, ?, ?, ?, ?, ?, ? where (select count(*) from stops
				where tenant_id = ? and environment_id = ? and lifted_at is null) < ?`,
			sc.TenantID, sc.EnvironmentID, stop.ID, stop.Kind, rows.Optional(stop.ResourceID), stop.Value, stop.Reason, stop.CreatedAt,
			stop.CreatedBy, sc.TenantID, sc.EnvironmentID, maxLiveStops)
		if done.Error == nil && done.RowsAffected == 0 {
			return errs.New(errs.Conflict, "A thousand things are stopped. Lift some, or stop something larger.")
		}
		return done.Error
	})
}

func (s *Stops) endStop(ctx context.Context, sc scope.Scope, id string, now time.Time) (Stop, error) {
	stop, err := s.loadStop(ctx, sc, id)
	if err != nil {
		return Stop{}, err
	}
	err = s.tx(ctx, func(tx *gorm.DB) error {
		done := tx.Exec(`update stops set lifted_at = ?, lifted_by = ?
			where tenant_id = ? and environment_id = ? and id = ? and lifted_at is null`,
			now, actorName(ctx), sc.TenantID, sc.EnvironmentID, id)
		if done.Error == nil && done.RowsAffected == 0 {
			return errNoStop
		}
		return done.Error
	})
	stop.LiftedAt, stop.LiftedBy = &now, actorName(ctx)
	return stop, err
}

// findStopped completes a stop with the id and name of what it is about, or says what there is not.
func (s *Stops) findStopped(ctx context.Context, sc scope.Scope, stop *Stop) (absence, error) {
	var missing absence
	err := s.tx(ctx, func(tx *gorm.DB) error {
		var found []struct {
			ID, Name string
			HasTool  bool
		}
		in := []any{sc.TenantID, sc.EnvironmentID}
		switch stop.Kind {
		case policy.StopHost: // any client may come from any host tomorrow
			return nil
		case policy.StopUser:
			missing = absence{"value", "There is no user with this id or e-mail address."}
			tx = tx.Raw(`select id, email as name from users where tenant_id = ? and environment_id = ? and (id = ? or email = ?)`,
				append(in, stop.Value, check.NormalEmail(stop.Value))...)
		case policy.StopOrganization:
			missing = absence{"value", "There is no organization with this id or short name."}
			tx = tx.Raw(`select id, name from organizations where tenant_id = ? and environment_id = ? and (id = ? or slug = ?)`,
				append(in, stop.Value, stop.Value)...)
		case policy.StopServer, policy.StopTool:
			missing = absence{"server", "There is no published MCP server with this id."}
			tx = tx.Raw(stoppedServer, append([]any{stop.Value}, append(in, stop.ResourceID)...)...)
		}
		if err := tx.Scan(&found).Error; err != nil || len(found) == 0 {
			return err
		}
		missing = absence{}
		switch {
		case stop.Kind == policy.StopTool && !found[0].HasTool:
			missing = absence{"value", "This MCP server has no tool of this name, published or in the draft."}
		case stop.Kind == policy.StopTool:
			stop.Server = found[0].Name
		default:
			stop.Value, stop.Name = found[0].ID, found[0].Name
		}
		return nil
	})
	return missing, err
}

const stoppedServer = `select r.id, r.name, exists (
    select 1 from tools t where t.tenant_id = r.tenant_id and t.environment_id = r.environment_id and t.resource_id = r.id
      and t.kind = 'tool' and t.name = x.tool
  ) or exists (
    select 1 from policy_revisions p where p.tenant_id = r.tenant_id and p.environment_id = r.environment_id
      and p.resource_id = r.id and p.revision = r.revision and jsonb_exists(p.document->'tools', x.tool)
  ) as has_tool
from (select ?::text as tool) x, resources r where r.tenant_id = ? and r.environment_id = ? and r.id = ? and r.revision > 0`
