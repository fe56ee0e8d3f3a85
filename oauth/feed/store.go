package feed

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ostiary/ostiary/app/db"
	"github.com/ostiary/ostiary/app/policy"
	"github.com/ostiary/ostiary/app/scope"
)

// state is what the feeds of one environment say, read in one round trip.
type state struct {
	sequence      int64
	revisions     map[string]int      // newest published ones, by MCP server
	grants        map[string][]string // revoked ones, by MCP server
	users         []string
	organizations []string
	clients       []string
	stops         Stops
}

// feed is what the MCP server with this id hears.
func (s *state) feed(resourceID string, revision int) policy.Feed {
	return policy.Feed{
		Sequence: s.sequence, Revision: revision,
		Ended: policy.Ended{
			Grants: s.grants[resourceID], Users: s.users, Organizations: s.organizations, Clients: s.clients,
		},
		Stops: slices.Concat(s.stops[""], s.stops[resourceID]),
	}
}

// store reads under the tenant in scope.
type store struct{ db *db.DB }

const selectSequence = `select sequence from feed_versions where tenant_id = $1 and environment_id = $2`

const selectRevisions = `select id, revision from resources where tenant_id = $1 and environment_id = $2 and revision > 0`

const selectGrants = `select resource_id, id from grants where tenant_id = $1 and environment_id = $2 and revoked_at > $3`

const (
	selectUsers         = `select id from users where tenant_id = $1 and environment_id = $2 and disabled_at > $3`
	selectOrganizations = `select id from organizations where tenant_id = $1 and environment_id = $2 and disabled_at > $3`
	selectClients       = `select id from clients where tenant_id = $1 and environment_id = $2 and disabled_at > $3`
)

const selectStops = `select coalesce(resource_id, ''), kind, value from stops
where tenant_id = $1 and environment_id = $2 and lifted_at is null order by kind, value`

// sequence returns the number of the environment's last change, 0 before the first. Errors: errs.Unavailable.
func (s *store) sequence(ctx context.Context, sc scope.Scope) (int64, error) {
	var n int64
	err := s.db.Pipe(scope.With(ctx, sc), func(b *pgx.Batch) { queueSequence(b, sc, &n) })
	if err != nil {
		return 0, fmt.Errorf("read sequence: %w", err)
	}
	return n, nil
}

// read returns what ended after since, what is stopped, and what is published. The number comes first: what the rest shows
// is never older. Errors: errs.Unavailable.
func (s *store) read(ctx context.Context, sc scope.Scope, since time.Time) (*state, error) {
	st := &state{revisions: map[string]int{}, grants: map[string][]string{}, stops: Stops{}}
	err := s.db.Pipe(scope.With(ctx, sc), func(b *pgx.Batch) {
		queueSequence(b, sc, &st.sequence)
		each(b.Queue(selectRevisions, sc.TenantID, sc.EnvironmentID), func(rows pgx.Rows) error {
			var id string
			var revision int
			err := rows.Scan(&id, &revision)
			st.revisions[id] = revision
			return err
		})
		each(b.Queue(selectGrants, sc.TenantID, sc.EnvironmentID, since), func(rows pgx.Rows) error {
			var resource, id string
			err := rows.Scan(&resource, &id)
			st.grants[resource] = append(st.grants[resource], id)
			return err
		})
		for statement, into := range map[string]*[]string{
			selectUsers: &st.users, selectOrganizations: &st.organizations, selectClients: &st.clients,
		} {
			each(b.Queue(statement, sc.TenantID, sc.EnvironmentID, since), func(rows pgx.Rows) error {
				var id string
				err := rows.Scan(&id)
				*into = append(*into, id)
				return err
			})
		}
		each(b.Queue(selectStops, sc.TenantID, sc.EnvironmentID), func(rows pgx.Rows) error {
			var resource string
			var stop policy.Stop
			err := rows.Scan(&resource, &stop.Kind, &stop.Value)
			st.stops[resource] = append(st.stops[resource], stop)
			return err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("read feed: %w", err)
	}
	return st, nil
}

func queueSequence(b *pgx.Batch, sc scope.Scope, into *int64) {
	each(b.Queue(selectSequence, sc.TenantID, sc.EnvironmentID), func(rows pgx.Rows) error { return rows.Scan(into) })
}

func each(q *pgx.QueuedQuery, row func(pgx.Rows) error) {
	q.Query(func(rows pgx.Rows) error {
		for rows.Next() {
			if err := row(rows); err != nil {
				return err
			}
		}
		return rows.Err()
	})
}
