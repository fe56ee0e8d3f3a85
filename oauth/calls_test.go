package oauth_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ostiary/ostiary/app/apptest/host"
	"github.com/ostiary/ostiary/app/calls"
	"github.com/ostiary/ostiary/app/clock"
	"github.com/ostiary/ostiary/app/policy"
	"github.com/ostiary/ostiary/app/secret"
	"github.com/ostiary/ostiary/oauth/ratelimit"
	"github.com/ostiary/ostiary/tenants"
	"github.com/ostiary/ostiary/tenants/calllog"
	"github.com/ostiary/ostiary/tenants/tenanttest"
)

func (a asker) header() http.Header {
	return http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(a.id+":"+a.secret))}}
}

// tell reports calls as the MCP server a.
func (a asker) tell(t *testing.T, resourceID string, list ...calls.Record) host.Answer {
	t.Helper()
	body, err := json.Marshal(calls.Batch{Calls: list})
	if err != nil {
		t.Fatal(err)
	}
	return host.Post(t, a.issuer+"/resources/"+resourceID+"/calls", "application/json", body, a.header())
}

func someCall() calls.Record {
	return calls.Record{
		ID: secret.NewID("call"), At: clock.System().UTC(), Kind: policy.TargetTool, Tool: "run_query", User: "usr_somebody",
		Client: "https://host.example/client", Proof: calls.ProofToken, Scopes: []string{"data:read"}, Allowed: true,
		Reason: policy.ReasonAllowed, Revision: 1, Status: 200, LatencyUS: 900,
	}
}

// kept returns the ids of the calls that a tenant sees.
func kept(t *testing.T, s *host.Stack, tenant *tenanttest.Tenant) []string {
	t.Helper()
	var ids []string
	filter := calllog.Filter{Limit: 100}
	for {
		page, err := calllog.New(s.Deps).List(tenant.Member(tenants.RoleViewer), filter)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range page.Calls {
			ids = append(ids, c.ID)
			filter.Before = c.Cursor()
		}
		if !page.Older {
			return ids
		}
	}
}

func TestCalls_AreKeptOnceForTheServerThatReports(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	server := credential(t, s, s.Acme, s.Acme.ResourceID, "main").knows(t)
	first, second := someCall(), someCall()
	for range 2 { // the answer to the first report was lost
		answer := server.tell(t, s.Acme.ResourceID, first, second)
		if answer.Status != http.StatusOK || answer.Body["accepted"] != float64(2) || answer.Body["refused"] != nil {
			t.Fatalf("%d %s", answer.Status, answer.Raw)
		}
		if answer.Header.Get("Cache-Control") != "no-store" || answer.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%v", answer.Header)
		}
	}
	if ids := kept(t, s, s.Acme); len(ids) != 2 {
		t.Errorf("kept %v", ids)
	}
	if ids := kept(t, s, s.Neighbour); len(ids) != 0 {
		t.Errorf("the neighbour sees %v", ids)
	}
}

func TestCalls_OnlyByTheServersOwnCredential(t *testing.T) {
	t.Parallel()
	s := host.New(t, host.WithFile(twoServers))
	list, _, err := s.Resources.List(s.Acme.Operator(), tenants.ResourceFilter{Search: "Second"})
	if err != nil || len(list) != 1 {
		t.Fatal(len(list), err)
	}
	second := credential(t, s, s.Acme, list[0].ID, "main").knows(t)
	neighbour := credential(t, s, s.Neighbour, s.Neighbour.ResourceID, "main").knows(t)
	client := s.Register(t, s.Acme, map[string]any{"token_endpoint_auth_method": "client_secret_basic"})
	abroad := neighbour
	abroad.issuer = s.Acme.Issuer
	for name, a := range map[string]asker{
		"another server's":        second,
		"another tenant's":        abroad,
		"a client's":              {s.Acme.Issuer, client.ID, client.Secret},
		"nobody's":                {s.Acme.Issuer, "rcr_NOBODY", "secret"},
		"a wrong secret":          {s.Acme.Issuer, second.id, "wrong"},
		"none":                    {s.Acme.Issuer, "", ""},
		"NUL in the name":         {s.Acme.Issuer, "rcr_\x00", "x"},
		"a secret for no account": {s.Acme.Issuer, "", second.secret},
	} {
		answer := a.tell(t, s.Acme.ResourceID, someCall())
		refused(t, name, answer, http.StatusUnauthorized, "invalid_client")
		if answer.Header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s: no challenge", name)
		}
	}
	if answer := neighbour.tell(t, s.Acme.ResourceID, someCall()); answer.Status != http.StatusUnauthorized {
		t.Errorf("the neighbour reports at its own issuer for Acme's server: %d", answer.Status)
	}
	if ids := append(kept(t, s, s.Acme), kept(t, s, s.Neighbour)...); len(ids) != 0 {
		t.Errorf("kept %v", ids)
	}
}

func TestCalls_RefusesWhatIsNoReport(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	server := credential(t, s, s.Acme, s.Acme.ResourceID, "main").knows(t)
	target := s.Acme.Issuer + "/resources/" + s.Acme.ResourceID + "/calls"
	many := calls.Batch{}
	for range calls.MaxBatch + 1 {
		many.Calls = append(many.Calls, someCall())
	}
	tooMany, err := json.Marshal(many)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		kind, body string
		status     int
	}{
		"a form":       {"application/x-www-form-urlencoded", "calls=1", 415},
		"no JSON":      {"application/json", "hello", 400},
		"no calls":     {"application/json", "{}", 400},
		"too many":     {"application/json", string(tooMany), 413},
		"too large":    {"application/json", `{"calls":[],"x":"` + strings.Repeat("x", calls.MaxBatchBytes) + `"}`, 413},
		"two batches":  {"application/json", `{"calls":[]}{"calls":[]}`, 400},
		"deep nesting": {"application/json", `{"calls":` + strings.Repeat("[", 100_000), 400},
	} {
		answer := host.Post(t, target, c.kind, []byte(c.body), server.header())
		refused(t, name, answer, c.status, "invalid_request")
	}
	large := someCall() // far beyond what other endpoints take, and fine here
	large.Arguments = map[string]json.RawMessage{"q": json.RawMessage(`"` + strings.Repeat("x", 4000) + `"`)}
	var list []calls.Record
	for range 100 {
		large.ID = secret.NewID("call")
		list = append(list, large)
	}
	if answer := server.tell(t, s.Acme.ResourceID, list...); answer.Body["accepted"] != float64(100) {
		t.Errorf("a large report: %d %s", answer.Status, answer.Raw)
	}
	if answer := host.Post(t, s.Acme.Issuer+"/token", "application/x-www-form-urlencoded",
		[]byte(strings.Repeat("x", 100_000)), nil); answer.Status != http.StatusRequestEntityTooLarge {
		t.Errorf("other endpoints take large bodies: %d", answer.Status)
	}
}

// One record that a hostile caller shaped takes no other with it.
func TestCalls_ABadRecordIsNamedTheOthersStay(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	server := credential(t, s, s.Acme, s.Acme.ResourceID, "main").knows(t)
	good, bad, late := someCall(), someCall(), someCall()
	bad.Tool = "run\x00query"
	late.At = late.At.Add(time.Hour)
	answer := server.tell(t, s.Acme.ResourceID, bad, good, late)
	if answer.Status != http.StatusOK || answer.Body["accepted"] != float64(1) || strings.Contains(answer.Raw, `\u0000`) {
		t.Fatalf("%d %s", answer.Status, answer.Raw)
	}
	var receipt calls.Receipt
	if err := json.Unmarshal([]byte(answer.Raw), &receipt); err != nil || len(receipt.Refused) != 2 ||
		receipt.Refused[0].Index != 0 || receipt.Refused[1].Index != 2 || receipt.Refused[1].Field != "at" {
		t.Errorf("%+v, %v", receipt, err)
	}
	if ids := kept(t, s, s.Acme); len(ids) != 1 || ids[0] != good.ID {
		t.Errorf("kept %v", ids)
	}
}

func TestCalls_WaitForPostgres(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	server := credential(t, s, s.Acme, s.Acme.ResourceID, "main").knows(t)
	call := someCall()
	s.Cable.Cut()
	answer := server.tell(t, s.Acme.ResourceID, call)
	refused(t, "Postgres away", answer, http.StatusServiceUnavailable, "temporarily_unavailable")
	if answer.Header.Get("Retry-After") == "" {
		t.Error("no word when to come back")
	}
	s.Cable.Mend()
	eventually(t, "the report", func() bool { return server.tell(t, s.Acme.ResourceID, call).Status == http.StatusOK })
	if ids := kept(t, s, s.Acme); len(ids) != 1 {
		t.Errorf("kept %v", ids)
	}
}

func TestCalls_TooManyReportsWait(t *testing.T) {
	t.Parallel()
	s := host.New(t, host.WithRateLimit(1)) // five reports a minute
	server := credential(t, s, s.Acme, s.Acme.ResourceID, "main").knows(t)
	last := host.Answer{}
	for range 11 { // a minute may begin in between
		last = server.tell(t, s.Acme.ResourceID, someCall())
	}
	if last.Status != http.StatusTooManyRequests || last.Header.Get("Retry-After") == "" {
		t.Errorf("%d %s", last.Status, last.Raw)
	}
}

// heavy is a report that fills a MiB.
func heavy() (report []calls.Record) {
	for range 200 {
		r := someCall()
		r.Arguments = map[string]json.RawMessage{"query": json.RawMessage(`"` + strings.Repeat("x", 4000) + `"`)}
		report = append(report, r)
	}
	return report
}

// What is not written uses up nothing: after an outage, or behind a neighbour who took every place, a report is as welcome as before.
func TestCalls_WhatIsNotWrittenWeighsNothing(t *testing.T) {
	t.Parallel()
	s := host.New(t, host.WithCallLimit(1), host.WithNodes(1))
	server := credential(t, s, s.Acme, s.Acme.ResourceID, "main").knows(t)
	neighbour := credential(t, s, s.Neighbour, s.Neighbour.ResourceID, "main").knows(t)
	s.Clock.BeginWindow(ratelimit.Window)
	report := heavy()
	s.Cable.Cut()
	for range 3 {
		answer := server.tell(t, s.Acme.ResourceID, report...)
		refused(t, "Postgres away", answer, http.StatusServiceUnavailable, "temporarily_unavailable")
	}
	s.Cable.Mend()
	eventually(t, "Postgres", func() bool { return neighbour.tell(t, s.Neighbour.ResourceID, someCall()).Status == http.StatusOK })

	unlock := lockCalls(t, s)
	free := make(chan struct{})
	busy := sync.WaitGroup{}
	for range 4 { // all that are written at a time
		busy.Go(func() {
			for waits := true; waits; {
				neighbour.tell(t, s.Neighbour.ResourceID, someCall())
				select {
				case <-free:
					waits = false
				default:
				}
			}
		})
	}
	eventually(t, "the neighbour's reports", func() bool { return waiting(t, s) == 4 })
	refused(t, "every place taken", server.tell(t, s.Acme.ResourceID, report...), http.StatusServiceUnavailable, "temporarily_unavailable")
	unlock()
	close(free)
	busy.Wait()
	if answer := server.tell(t, s.Acme.ResourceID, report...); answer.Status != http.StatusOK {
		t.Errorf("what was not written used up the minute: %d %s", answer.Status, answer.Raw)
	}
	if ids := kept(t, s, s.Acme); len(ids) != len(report) {
		t.Errorf("%d kept", len(ids))
	}
}

// Who hangs up while his report is written gets nothing back: it may have been written, and he could do so without end.
func TestCalls_HangingUpGivesNoWeightBack(t *testing.T) {
	t.Parallel()
	s := host.New(t, host.WithCallLimit(1), host.WithNodes(1))
	server := credential(t, s, s.Acme, s.Acme.ResourceID, "main").knows(t)
	s.Clock.BeginWindow(ratelimit.Window)
	body, err := json.Marshal(calls.Batch{Calls: heavy()})
	if err != nil {
		t.Fatal(err)
	}
	unlock := lockCalls(t, s)
	ctx, hangUp := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.Acme.Issuer+"/resources/"+s.Acme.ResourceID+"/calls", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header = server.header()
	r.Header.Set("Content-Type", "application/json")
	answered, client := make(chan error), host.NewBrowser(t).Client
	go func() {
		answer, err := client.Do(r)
		if err == nil {
			err = answer.Body.Close()
		}
		answered <- err
	}()
	eventually(t, "the report", func() bool { return waiting(t, s) == 1 })
	hangUp()
	if err := <-answered; err == nil {
		t.Error("it was answered")
	}
	eventually(t, "its end", func() bool { return waiting(t, s) == 0 })
	unlock()
	refused(t, "one more", server.tell(t, s.Acme.ResourceID, someCall()), http.StatusTooManyRequests, "temporarily_unavailable")
}

// callWeight, tenants/DECISIONS.md and docs/calls.md count on these indexes.
func TestCalls_AreWeighedWithTheirIndexes(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	var all, partial int
	err := s.DB.Pipe(s.Acme.Context(), func(b *pgx.Batch) {
		b.Queue(`select count(*), count(indpred) from pg_index where indrelid = 'tool_calls'::regclass`).
			QueryRow(func(row pgx.Row) error { return row.Scan(&all, &partial) })
	})
	if err != nil || all != 10 || partial != 3 {
		t.Errorf("%d indexes, %d of them partial, %v: weigh a call anew", all, partial, err)
	}
}

// lockCalls lets nobody write a call down.
func lockCalls(t *testing.T, s *host.Stack) (unlock func()) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.Database.OwnerURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.WithoutCancel(t.Context())) }) //nolint:errcheck // nothing is left to write
	tx, err := conn.Begin(t.Context())
	if err == nil {
		_, err = tx.Exec(t.Context(), `lock table tool_calls in exclusive mode`)
	}
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := tx.Rollback(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// waiting counts the reports that are held up so.
func waiting(t *testing.T, s *host.Stack) (n int) {
	t.Helper()
	err := s.DB.Pipe(s.Acme.Context(), func(b *pgx.Batch) {
		b.Queue(`select count(*) from pg_locks where relation = 'tool_calls'::regclass and not granted`).
			QueryRow(func(row pgx.Row) error { return row.Scan(&n) })
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Few large reports fill a disk as well as many small ones: what an MCP server may report in a minute has a weight, and the others
// are not held up by it.
func TestCalls_TooMuchWaits(t *testing.T) {
	t.Parallel()
	s := host.New(t, host.WithCallLimit(1))
	server := credential(t, s, s.Acme, s.Acme.ResourceID, "main").knows(t)
	neighbour := credential(t, s, s.Neighbour, s.Neighbour.ResourceID, "main").knows(t)
	light := func() []calls.Record { return []calls.Record{someCall()} }
	accepted, held := 0, 0
	for n := range 8 { // on one or two nodes, and a minute may begin in between
		report := light()
		if n%2 == 0 {
			report = heavy()
		}
		switch answer := server.tell(t, s.Acme.ResourceID, report...); answer.Status {
		case http.StatusOK:
			accepted += len(report)
		case http.StatusTooManyRequests:
			held++
			if answer.Header.Get("Retry-After") == "" || !strings.Contains(answer.Raw, "more calls than are kept") {
				t.Errorf("%v %s", answer.Header, answer.Raw)
			}
		default:
			t.Errorf("%d %s", answer.Status, answer.Raw)
		}
	}
	if ids := kept(t, s, s.Acme); accepted == 0 || held == 0 || len(ids) != accepted {
		t.Errorf("%d accepted, %d held back, %d kept", accepted, held, len(ids))
	}
	if answer := neighbour.tell(t, s.Neighbour.ResourceID, someCall()); answer.Status != http.StatusOK {
		t.Errorf("the neighbour: %d %s", answer.Status, answer.Raw)
	}
}
