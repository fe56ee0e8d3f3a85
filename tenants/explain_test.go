package tenants_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/ostiary/ostiary/tenants"
	"github.com/ostiary/ostiary/tenants/tenanttest"
)

// recorder keeps the queries that are sent while it is on.
type recorder struct {
	statements
	mu      sync.Mutex
	on      bool
	queries []pgx.TraceQueryStartData
}

func (r *recorder) TraceQueryStart(ctx context.Context, _ *pgx.Conn, d pgx.TraceQueryStartData) context.Context {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.on && strings.Contains(strings.ToLower(d.SQL), "from ") {
		r.queries = append(r.queries, d)
	}
	return ctx
}

func (r *recorder) record(call func() error) ([]pgx.TraceQueryStartData, error) {
	r.mu.Lock()
	r.on, r.queries = true, nil
	r.mu.Unlock()
	err := call()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.on = false
	return slices.Clone(r.queries), err
}

func (r *recorder) TraceBatchQuery(ctx context.Context, conn *pgx.Conn, d pgx.TraceBatchQueryData) {
	r.TraceQueryStart(ctx, conn, pgx.TraceQueryStartData{SQL: d.SQL, Args: d.Args})
}

// What runs on each request or sign-in finds its rows by index, however many there are. The planner is told to avoid
// reading whole tables, which it would do for a handful of rows: where it still must, an index is missing.
func TestHotQueriesUseIndexes(t *testing.T) {
	t.Parallel()
	r := &recorder{}
	w := newWorld(t, tenanttest.WithTracer(r))
	session, _, err := w.Sessions.Create(context.Background(), w.Acme.MemberOf(tenants.RoleOwner))
	if err != nil {
		t.Fatal(err)
	}
	user := tenants.Credentials{Email: w.Acme.UserEmail, Password: tenanttest.Password, Address: "192.0.2.1"}
	member := tenants.Credentials{Email: w.Acme.OwnerEmail, Password: tenanttest.Password, Address: "192.0.2.1"}
	ctx := context.Background()
	for name, call := range map[string]func() error{
		"Resolve":              func() error { _, err := w.Environments.Resolve(ctx, w.Acme.Issuer); return err },
		"Load":                 func() error { _, err := w.Environments.Load(w.Acme.Context()); return err },
		"Published":            func() error { _, err := w.Resources.Published(w.Acme.Context()); return err },
		"Users.Get":            func() error { _, err := w.Users.Get(w.Acme.Context(), w.Acme.UserID); return err },
		"Users.Authenticate":   func() error { _, err := w.Users.Authenticate(w.Acme.Context(), user, nil); return err },
		"Members.Authenticate": func() error { _, err := w.Members.Authenticate(ctx, member); return err },
		"MemberSessions.Get":   func() error { _, err := w.Sessions.Get(ctx, session); return err },
	} {
		queries, err := r.record(call)
		if err != nil || len(queries) == 0 {
			t.Fatalf("%s: %d queries, %v", name, len(queries), err)
		}
		for _, q := range queries {
			if plan := explain(t, w, q); strings.Contains(plan, "Seq Scan") {
				t.Errorf("%s reads a whole table: %s\n%s", name, q.SQL, plan)
			}
		}
	}
}

func explain(t *testing.T, w *tenanttest.World, q pgx.TraceQueryStartData) string {
	t.Helper()
	var plan strings.Builder
	args := slices.DeleteFunc(slices.Clone(q.Args), func(arg any) bool {
		switch arg.(type) {
		case pgx.QueryResultFormats, pgx.QueryResultFormatsByOID, pgx.QueryExecMode: // options, which come first
			return true
		}
		return false
	})
	err := w.DB.Pipe(w.Acme.Context(), func(b *pgx.Batch) {
		b.Queue(`select set_config('enable_seqscan', 'off', true)`)
		b.Queue("explain "+q.SQL, args...).Query(func(rows pgx.Rows) error {
			for rows.Next() {
				var line string
				if err := rows.Scan(&line); err != nil {
					return err
				}
				plan.WriteString(line + "\n")
			}
			return rows.Err()
		})
	})
	if err != nil {
		t.Fatalf("explain %s: %v", q.SQL, err)
	}
	return plan.String()
}
