package calllog_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ostiary/ostiary/app/apptest"
	"github.com/ostiary/ostiary/tenants"
	"github.com/ostiary/ostiary/tenants/calllog"
	"github.com/ostiary/ostiary/tenants/tenanttest"
)

// recorder keeps the queries about calls that are sent.
type recorder struct {
	mu      sync.Mutex
	queries []pgx.TraceQueryStartData
}

func (r *recorder) TraceQueryStart(ctx context.Context, _ *pgx.Conn, d pgx.TraceQueryStartData) context.Context {
	r.mu.Lock()
	defer r.mu.Unlock()
	if strings.Contains(d.SQL, "tool_calls") && !strings.HasPrefix(d.SQL, "explain") {
		r.queries = append(r.queries, d)
	}
	return ctx
}

func (r *recorder) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}
func (r *recorder) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	return ctx
}
func (r *recorder) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}
func (r *recorder) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData)     {}

func (r *recorder) take() []pgx.TraceQueryStartData {
	r.mu.Lock()
	defer r.mu.Unlock()
	taken := r.queries
	r.queries = nil
	return taken
}

// populate gives the tenant many calls of many users, most of them allowed.
func populate(t *testing.T, ownerURL string, tenant *tenanttest.Tenant) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), ownerURL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	for _, statement := range []string{
		`select set_config('app.tenant_id', '` + tenant.ID + `', false)`,
		`insert into tool_calls (tenant_id, environment_id, resource_id, id, at, received_at, kind, tool, user_id, organization_id,
		   client_id, host, grant_id, proof, scopes, allowed, shadowed, reason, missing, revision, sequence, silence, status, latency_us)
		 select '` + tenant.ID + `', '` + tenant.EnvironmentID + `', '` + tenant.ResourceID + `',
		   'call_' || rpad(translate(n::text, '0123456789', 'BCDEFGHIJK'), 26, 'A'), now() - n * interval '1 second', now(), 'tool', 'tool' || n % 50,
		   'usr_' || n % 500, 'org_' || n % 100, 'client', 'host' || n % 20, 'grt', case when n % 200 = 0 then 'legacy' else 'token' end,
		   '{}', n % 100 <> 0, false, 'allowed', '{}', 1, 1, 0, 200, 1000 from generate_series(1, 20000) n`,
		`analyze tool_calls`,
	} {
		if _, err := conn.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
}

// A list reads an index from the place it begins at and stops after a page, however many calls there are.
func TestList_ReadsOnePageOfAnIndex(t *testing.T) {
	t.Parallel()
	r := &recorder{}
	database := apptest.Database(t)
	w := tenanttest.New(t, database.AppURL, tenanttest.WithTracer(r))
	populate(t, database.OwnerURL, w.Acme)
	log := calllog.New(w.Deps)
	ctx := w.Acme.Member(tenants.RoleViewer)
	r.take()
	from := calllog.Cursor{At: w.Clock.Now().Add(-time.Hour), ID: "call_" + strings.Repeat("B", 26)}
	for index, f := range map[string]calllog.Filter{
		"tool_calls_at":           {Before: from},
		"tool_calls_tool":         {Tool: "tool7", Server: w.Acme.ResourceID},
		"tool_calls_user":         {User: "usr_77", After: from},
		"tool_calls_organization": {Organization: "org_77", Before: from},
		"tool_calls_host":         {Host: "host7"},
		"tool_calls_denied":       {Decision: calllog.Denied, Before: from},
		"tool_calls_legacy":       {Legacy: true},
	} {
		if _, err := log.List(ctx, f); err != nil {
			t.Fatal(err)
		}
		for _, q := range r.take() {
			plan := explain(t, w, q)
			if !strings.Contains(plan, index+" ") || strings.Contains(plan, "Seq Scan on tool_calls") ||
				strings.Contains(plan, "Bitmap") {
				t.Errorf("%s is not what is read:\n%s", index, plan)
			}
		}
	}
	if _, err := log.Get(ctx, "call_"+strings.Repeat("A", 26)); err == nil {
		t.Error("found what does not exist")
	}
	if _, err := log.Legacy(ctx, time.Time{}); err != nil {
		t.Fatal(err)
	}
	for _, q := range r.take() {
		if plan := explain(t, w, q); strings.Contains(plan, "Seq Scan on tool_calls") {
			t.Errorf("reads all calls: %s\n%s", q.SQL, plan)
		}
	}
}

// explain returns the plan that is made once for all values, as the product's connections make it.
func explain(t *testing.T, w *tenanttest.World, q pgx.TraceQueryStartData) string {
	t.Helper()
	var literals []string
	for _, arg := range q.Args {
		switch v := arg.(type) {
		case pgx.QueryResultFormats, pgx.QueryResultFormatsByOID, pgx.QueryExecMode: // options, which come first
		case time.Time:
			literals = append(literals, "'"+v.Format(time.RFC3339Nano)+"'")
		default:
			literals = append(literals, fmt.Sprintf("'%v'", v))
		}
	}
	var plan strings.Builder
	err := w.DB.Pipe(w.Acme.Context(), func(b *pgx.Batch) {
		b.Queue("prepare calls_plan as " + q.SQL)
		b.Queue(`select set_config('plan_cache_mode', 'force_generic_plan', true)`)
		b.Queue("explain execute calls_plan (" + strings.Join(literals, ", ") + ")").Query(func(rows pgx.Rows) error {
			for rows.Next() {
				var line string
				if err := rows.Scan(&line); err != nil {
					return err
				}
				plan.WriteString(line + "\n")
			}
			return rows.Err()
		})
		b.Queue("deallocate calls_plan")
	})
	if err != nil {
		t.Fatalf("explain %s: %v", q.SQL, err)
	}
	if !strings.Contains(plan.String(), "$1") {
		t.Fatalf("the plan is for these values only:\n%s", plan.String())
	}
	return plan.String()
}
