package main

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ostiary/ostiary/app/apptest/host"
)

// watched is a Stack whose statements are counted and kept.
type watched struct {
	*host.Stack
	tracer

	seenMu sync.Mutex
	seen   map[string][]any // statement → arguments it was last sent with
}

// watch starts a Stack and waits until it is quiet: the issuer loaded, nothing about to be invalidated.
func watch(t *testing.T, opts ...host.Option) *watched {
	t.Helper()
	w := &watched{seen: map[string][]any{}}
	w.background = func(sql string) bool { return strings.Contains(sql, "attempt_steps") } // written behind the answer
	listening := make(chan struct{}, 1)
	w.observe = func(sql string, args []any) {
		if strings.HasPrefix(sql, "listen ") {
			select {
			case listening <- struct{}{}:
			default:
			}
			return
		}
		w.seenMu.Lock()
		defer w.seenMu.Unlock()
		w.seen[sql] = slices.DeleteFunc(slices.Clone(args), func(arg any) bool {
			_, option := arg.(pgx.QueryResultFormatsByOID) // database/sql says how it wants its results
			return option
		})
	}
	w.Stack = host.New(t, append(opts, host.WithTracer(&w.tracer))...)
	select {
	case <-listening:
	case <-time.After(20 * time.Second):
		t.Fatal("the server does not listen for changes")
	}
	// The listener's first act is to declare every snapshot stale, shortly after the statement was sent.
	quiet := 0
	for deadline := time.Now().Add(20 * time.Second); quiet < 20; {
		before := w.read()
		host.Get(t, w.Acme.Issuer+"/.well-known/jwks.json")
		if quiet++; w.read() != before {
			quiet = 0
		}
		if time.Now().After(deadline) {
			t.Fatal("the issuer is loaded again and again")
		}
	}
	return w
}

// cost is what one operation may send.
type cost struct{ statements, trips, commits int64 }

// holds checks an operation against its budget. It is done three times and the cheapest counts: a snapshot that is renewed in
// the background, as one is every half minute, is not the operation's.
func (w *watched) holds(t *testing.T, name string, budget cost, do func()) {
	t.Helper()
	var used traced
	for i := range 3 {
		before := w.read()
		do()
		if now := w.read().minus(before); i == 0 || now.Statements < used.Statements {
			used = now
		}
	}
	if used.Statements > budget.statements || used.Trips > budget.trips || used.Commits > budget.commits {
		t.Errorf("%s costs %d statements in %d round trips and %d commits; its budget is %d, %d and %d",
			name, used.Statements, used.Trips, used.Commits, budget.statements, budget.trips, budget.commits)
	}
}

// webClient is a client whose consent is remembered, and a browser in which it was given.
func (w *watched) webClient(t *testing.T) (*host.Client, *host.Browser, host.Tokens) {
	t.Helper()
	c := w.Register(t, w.Acme, map[string]any{"redirect_uris": []string{host.WebRedirect}})
	b := host.NewBrowser(t)
	return c, b, w.Connect(t, b, w.Acme, c.Authorize("data:read"), "data:read")
}

func (w *watched) code(t *testing.T, b *host.Browser, a *host.Authorization) string {
	t.Helper()
	code := b.Open(t, a.URL()).Param("code")
	if code == "" {
		t.Fatal("the consent is not remembered")
	}
	return code
}

func TestBudget_CodeFlow(t *testing.T) {
	t.Parallel()
	w := watch(t)
	c, b, _ := w.webClient(t)
	var a *host.Authorization
	var code string
	w.holds(t, "authorize, login and consent remembered", cost{statements: 2, trips: 1}, func() {
		a = c.Authorize("data:read")
		code = w.code(t, b, a)
	})
	w.holds(t, "code exchange", cost{statements: 2, trips: 1, commits: 1}, func() {
		if answer := a.Redeem(t, code); answer.Status != http.StatusOK {
			t.Fatalf("token: %d %s", answer.Status, answer.Raw)
		}
		a = c.Authorize("data:read")
		code = w.codeUncounted(t, b, a)
	})
}

// codeUncounted gets the next code without its cost.
func (w *watched) codeUncounted(t *testing.T, b *host.Browser, a *host.Authorization) string {
	t.Helper()
	before := w.read()
	code := w.code(t, b, a)
	used := w.read().minus(before)
	w.statements.Add(-used.Statements)
	w.trips.Add(-used.Trips)
	w.commits.Add(-used.Commits)
	return code
}

func TestBudget_Refresh(t *testing.T) {
	t.Parallel()
	w := watch(t)
	c, _, tokens := w.webClient(t)
	w.holds(t, "refresh", cost{statements: 2, trips: 1, commits: 1}, func() {
		answer := c.Refresh(t, tokens.Refresh)
		if answer.Status != http.StatusOK {
			t.Fatalf("refresh: %d %s", answer.Status, answer.Raw)
		}
		tokens.Refresh = answer.Str("refresh_token")
	})
}

func TestBudget_SignInAndConsent(t *testing.T) {
	t.Parallel()
	w := watch(t)
	c := w.Register(t, w.Acme, nil)
	// Reading the user and how often that was tried; the sign-in with its session; the decision; the grant. Each is one statement after
	// the one that sets the tenant. The page between sign-in and decision asks nothing.
	w.holds(t, "sign-in and consent", cost{statements: 8, trips: 4, commits: 3}, func() {
		w.Connect(t, host.NewBrowser(t), w.Acme, c.Authorize("data:read"), "data:read")
	})
}

func TestBudget_NothingOfTheDatabase(t *testing.T) {
	t.Parallel()
	w := watch(t)
	path := w.Acme.Issuer
	for name, do := range map[string]func() host.Answer{
		"discovery": func() host.Answer { return host.Get(t, path+"/.well-known/oauth-authorization-server") },
		"keys":      func() host.Answer { return host.Get(t, path+"/.well-known/jwks.json") },
		"policy":    func() host.Answer { return host.Get(t, path+"/resources/"+w.Acme.ResourceID+"/policy") },
		"a refresh token nobody made": func() host.Answer {
			c := w.Register(t, w.Acme, nil)
			answer := c.Refresh(t, "ort_"+strings.Repeat("A", 90))
			if answer.Status != http.StatusBadRequest {
				t.Errorf("a made-up refresh token: %d %s", answer.Status, answer.Raw)
			}
			return host.Answer{Status: http.StatusOK}
		},
		"registration": func() host.Answer {
			w.Register(t, w.Acme, nil)
			return host.Answer{Status: http.StatusOK}
		},
	} {
		w.holds(t, name, cost{}, func() {
			if answer := do(); answer.Status != http.StatusOK {
				t.Fatalf("%s: %d %s", name, answer.Status, answer.Raw)
			}
		})
	}
}

// rows counts the rows of every table of the tenant.
func (w *watched) rows(t *testing.T) map[string]int {
	t.Helper()
	counts := map[string]int{}
	var tables []string
	err := w.DB.Pipe(w.Acme.Context(), func(b *pgx.Batch) {
		b.Queue(`select table_name from information_schema.columns where table_schema = 'public' and column_name = 'tenant_id'`).
			Query(func(rows pgx.Rows) (err error) {
				tables, err = pgx.CollectRows(rows, pgx.RowTo[string])
				return err
			})
	})
	if err != nil || len(tables) < 15 {
		t.Fatalf("tables: %v, %v", tables, err)
	}
	err = w.DB.Pipe(w.Acme.Context(), func(b *pgx.Batch) {
		for _, table := range tables {
			b.Queue(`select count(*) from ` + table).QueryRow(func(row pgx.Row) error {
				var n int
				defer func() { counts[table] = n }()
				return row.Scan(&n)
			})
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	// The attempt log is bounded and written behind the answers, whenever its writer comes round.
	delete(counts, "attempt_steps")
	return counts
}

func TestBudget_NothingIsWrittenPerAccessToken(t *testing.T) {
	t.Parallel()
	w := watch(t)
	c, b, tokens := w.webClient(t)
	before := w.rows(t)
	for range 3 {
		answer := c.Refresh(t, tokens.Refresh)
		if answer.Status != http.StatusOK {
			t.Fatalf("refresh: %d %s", answer.Status, answer.Raw)
		}
		tokens.Refresh = answer.Str("refresh_token")
	}
	if after := w.rows(t); !maps.Equal(before, after) {
		t.Errorf("three refreshes left rows behind: %v, then %v", before, after)
	}
	for range 3 {
		a := c.Authorize("data:read")
		if answer := a.Redeem(t, w.code(t, b, a)); answer.Status != http.StatusOK {
			t.Fatalf("token: %d %s", answer.Status, answer.Raw)
		}
	}
	before["grants"] += 3
	if after := w.rows(t); !maps.Equal(before, after) {
		t.Errorf("three code flows left more than their grants: %v, then %v", before, after)
	}
}
