package main

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ostiary/ostiary/app/apptest"
	"github.com/ostiary/ostiary/app/apptest/host"
	"github.com/ostiary/ostiary/tenants"
	"github.com/ostiary/ostiary/tenants/apply"
)

// hotIndexes are the indexes that statements of the hot paths may use, each with the column that must narrow it down: an
// index that is only entered by tenant and environment reads everybody's rows. A statement that finds rows of these tables in
// any other way gets slower with each user, client or grant, and needs an index and a line here.
var hotIndexes = map[string]string{
	"users_pkey": "id",
	"users_tenant_id_environment_id_email_key": "email",
	"organizations_pkey":                       "id",
	"sessions_pkey":                            "token_hash",
	"clients_pkey":                             "id",
	"consents_pkey":                            "id",
	"consents_by_client":                       "user_id",
	"grants_pkey":                              "id",
	"grants_revoked":                           "revoked_at",
	"users_disabled":                           "disabled_at",
	"organizations_disabled":                   "disabled_at",
	"clients_disabled":                         "disabled_at",
	"rate_counters_pkey":                       "key_hash",
}

// planNode is a node of EXPLAIN (format json).
type planNode struct {
	Type     string     `json:"Node Type"`
	Relation string     `json:"Relation Name"`
	Index    string     `json:"Index Name"`
	Cond     string     `json:"Index Cond"`
	Plans    []planNode `json:"Plans"`
}

// populated tables are those that grow with users, clients and grants.
var populated = []string{"users", "organizations", "sessions", "clients", "consents", "grants", "rate_counters"}

func (n planNode) check(t *testing.T, sql string) {
	t.Helper()
	for _, child := range n.Plans {
		child.check(t, sql)
	}
	switch n.Type {
	case "Seq Scan":
		if slices.Contains(populated, n.Relation) {
			t.Errorf("reads all of %s:\n%s", n.Relation, sql)
		}
	case "Index Scan", "Index Only Scan", "Bitmap Index Scan":
		column, listed := hotIndexes[n.Index]
		switch {
		case n.Relation != "" && !slices.Contains(populated, n.Relation):
		case !listed:
			t.Errorf("uses %s, which is not listed in hotIndexes:\n%s", n.Index, sql)
		case !strings.Contains(n.Cond, "("+column+" = ") && !strings.Contains(n.Cond, "("+column+" > "):
			t.Errorf("enters %s without %s (%s):\n%s", n.Index, column, n.Cond, sql)
		}
	}
}

// forget leaves only what is sent from now on to be explained.
func (w *watched) forget() {
	w.seenMu.Lock()
	defer w.seenMu.Unlock()
	clear(w.seen)
}

// explainSeen explains the statements about tables that grow, and fails when one with such a part was not sent.
func (w *watched) explainSeen(t *testing.T, parts ...string) int {
	t.Helper()
	w.seenMu.Lock()
	seen := maps.Clone(w.seen)
	w.seenMu.Unlock()
	explained := 0
	for sql, args := range seen {
		verb, _, _ := strings.Cut(strings.ToLower(sql), " ")
		if !slices.Contains([]string{"select", "insert", "update", "delete", "with"}, verb) || !isHot(sql) {
			continue
		}
		explained++
		parts = slices.DeleteFunc(parts, func(part string) bool { return strings.Contains(sql, part) })
		w.explain(t, sql, args).check(t, sql)
	}
	for _, part := range parts {
		t.Errorf("no statement with %q was sent", part)
	}
	return explained
}

const (
	machineID     = "nightly-export"
	machineSecret = "a-secret-of-at-least-32-characters-that-is-random"
	documentID    = "https://app.example/oauth/client.json"
	document      = `{"client_id":"` + documentID + `","client_name":"App","redirect_uris":["` + host.WebRedirect + `"],
		"token_endpoint_auth_method":"none"}`
)

func withMachine(f *apply.File) {
	e := &f.Environments[0]
	e.Clients = append(e.Clients, apply.Client{
		ID: machineID, Name: "Nightly export", Auth: apply.AuthSecret, Secret: machineSecret,
		Machine: &apply.Machine{Resource: e.Resources[0].Identifier, Scopes: []string{"data:read"}},
	})
}

// Every statement that the hot paths send is caught as it is sent, and explained on tables that have rows.
func TestPlan_HotStatementsUseAnIndex(t *testing.T) {
	t.Parallel()
	w := watch(t, host.WithFile(withMachine), host.WithClientDocument(documentID, document))
	c, b, tokens := w.webClient(t)
	w.populate(t, c)
	w.forget()

	w.code(t, b, c.Authorize("data:read"))
	a := c.Authorize("data:read")
	code := w.code(t, b, a)
	for _, want := range []int{http.StatusOK, http.StatusBadRequest} { // the second time it revokes
		if answer := a.Redeem(t, code); answer.Status != want {
			t.Fatalf("token: %d %s", answer.Status, answer.Raw)
		}
	}
	for range 2 { // the second time the predecessor is used
		if answer := c.Refresh(t, tokens.Refresh); answer.Status != http.StatusOK {
			t.Fatalf("refresh: %d %s", answer.Status, answer.Raw)
		}
	}
	w.Connect(t, host.NewBrowser(t), w.Acme, w.Register(t, w.Acme, nil).Authorize("data:read"), "data:read")
	w.decideOnWebHosts(t, b, c)
	w.actForItself(t)
	b.Open(t, w.Acme.Issuer+"/authorize?client_id=nobody")
	w.introspect(t, tokens.Access)
	if answer := host.Get(t, w.Acme.Issuer+"/resources/"+w.Acme.ResourceID+"/revocations"); answer.Status != http.StatusOK {
		t.Fatalf("feed: %d %s", answer.Status, answer.Raw)
	}
	w.age(t)
	w.code(t, b, c.Authorize("data:read")) // marks the session as seen

	explained := w.explainSeen(t, "insert into consents", "order by c.created_at desc limit 1), '')", "source = 'metadata_document'",
		"metadata->>'machine_grant'")
	if explained < 17 {
		t.Errorf("only %d statements were caught", explained)
	}
}

// decideOnWebHosts has the user decide where decisions are remembered: for a client that is new, for more than was allowed
// before, and for one with a metadata document, which then refreshes.
func (w *watched) decideOnWebHosts(t *testing.T, b *host.Browser, c *host.Client) {
	t.Helper()
	another := w.Register(t, w.Acme, map[string]any{"client_name": "Another", "redirect_uris": []string{host.WebRedirect}})
	w.Connect(t, b, w.Acme, another.Authorize("data:read"), "data:read")
	if tokens := w.Connect(t, b, w.Acme, c.Authorize("data:read", "signals:write"), "signals:write"); len(strings.Fields(tokens.Scope)) != 2 {
		t.Fatalf("the decision did not go on from the one before: %q", tokens.Scope)
	}
	documented := *c
	documented.ID = documentID
	tokens := w.Connect(t, b, w.Acme, documented.Authorize("data:read"), "data:read")
	if answer := documented.Refresh(t, tokens.Refresh); answer.Status != http.StatusOK {
		t.Fatalf("refresh of a client with a document: %d %s", answer.Status, answer.Raw)
	}
}

// actForItself gets a token as a client without users.
func (w *watched) actForItself(t *testing.T) {
	t.Helper()
	answer := host.PostForm(t, w.Acme.Issuer+"/token", url.Values{
		"grant_type": {"client_credentials"}, "client_id": {machineID}, "client_secret": {machineSecret},
	})
	if answer.Status != http.StatusOK {
		t.Fatalf("client_credentials: %d %s", answer.Status, answer.Raw)
	}
}

// Who asks too often is looked up as well, by an index: a flood must not cost more where there is more to read.
func TestPlan_TooManyRequestsUseAnIndex(t *testing.T) {
	t.Parallel()
	w := watch(t, host.WithRateLimit(5))
	c, _, tokens := w.webClient(t)
	w.populate(t, c)
	w.forget()
	for n := 0; ; n++ {
		answer := c.Refresh(t, tokens.Refresh)
		if answer.Status == http.StatusTooManyRequests {
			break
		}
		if answer.Status != http.StatusOK || n > 100 {
			t.Fatalf("refresh %d: %d %s", n, answer.Status, answer.Raw)
		}
		tokens.Refresh = answer.Str("refresh_token")
	}
	w.explainSeen(t, "coalesce(g.refresh_expires_at <= $4, true)")
}

// isHot reports whether a statement is about tables that grow, and not one of those that load an issuer's snapshot: that
// happens twice a minute, not per request.
func isHot(sql string) bool {
	if strings.Contains(sql, "disabled_at is not null") && !strings.Contains(sql, "from grants") {
		return false
	}
	return slices.ContainsFunc(populated, func(table string) bool { return strings.Contains(sql, table) })
}

// introspect asks about a token as the MCP server it is for, as soon as the issuer has heard of its credential.
func (w *watched) introspect(t *testing.T, token string) {
	t.Helper()
	made, text, err := w.Resources.CreateCredential(w.Acme.Operator(), tenants.NewCredential{ResourceID: w.Acme.ResourceID, Name: "main"})
	if err != nil {
		t.Fatal(err)
	}
	form := url.Values{"token": {token}, "client_id": {made.ID}, "client_secret": {text}}
	for deadline := time.Now().Add(20 * time.Second); ; {
		answer := host.PostForm(t, w.Acme.Issuer+"/introspect", form)
		if answer.Body["active"] == true {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("introspection: %d %s", answer.Status, answer.Raw)
		}
	}
}

// age makes every session one that was last seen ten minutes ago.
func (w *watched) age(t *testing.T) {
	t.Helper()
	err := w.DB.Pipe(w.Acme.Context(), func(b *pgx.Batch) {
		b.Queue(`update sessions set last_seen_at = now() - interval '10 minutes'`)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (w *watched) explain(t *testing.T, sql string, args []any) planNode {
	t.Helper()
	var plans []struct {
		Plan planNode `json:"Plan"`
	}
	err := w.DB.Pipe(w.Acme.Context(), func(b *pgx.Batch) {
		b.Queue("explain (format json) "+sql, args...).QueryRow(func(row pgx.Row) error {
			var raw []byte
			if err := row.Scan(&raw); err != nil {
				return err
			}
			return json.Unmarshal(raw, &plans)
		})
	})
	if err != nil || len(plans) != 1 {
		t.Fatalf("explain: %v\n%s", err, sql)
	}
	return plans[0].Plan
}

// populate loads rows as the benchmark does.
func (w *watched) populate(t *testing.T, c *host.Client) {
	t.Helper()
	u, err := url.Parse(apptest.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	own, err := url.Parse(w.Database.AppURL)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = own.Path
	conn, err := pgx.Connect(t.Context(), u.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	s := &stand{rows: 5000, clients: []string{c.ID}, tenant: tenantIDs{
		TenantID: w.Acme.ID, EnvironmentID: w.Acme.EnvironmentID, ResourceID: w.Acme.ResourceID,
	}}
	for name, statement := range s.loads("no password") {
		if strings.HasPrefix(name, "clients of the consents") {
			continue // this one has its row already
		}
		if _, err := conn.Exec(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	if _, err := conn.Exec(t.Context(), "vacuum (analyze)"); err != nil {
		t.Fatal(err)
	}
}
