package acmedata_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/ostiary/ostiary/examples/acmedata"
)

// asUser adds what a gate in front would say.
type asUser string

func (u asUser) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Ostiary-User", string(u))
	return http.DefaultTransport.RoundTrip(r)
}

func connect(t *testing.T) *mcp.ClientSession {
	t.Helper()
	srv := httptest.NewServer(acmedata.Handler())
	t.Cleanup(srv.Close)
	session, err := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil).Connect(t.Context(),
		&mcp.StreamableClientTransport{Endpoint: srv.URL, HTTPClient: &http.Client{Transport: asUser("usr_ann")}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = session.Close() })
	return session
}

// call runs a tool and decodes its structured result; a failed call returns its message.
func call[Out any](t *testing.T, s *mcp.ClientSession, tool string, args map[string]any) (Out, string) {
	t.Helper()
	var out Out
	result, err := s.CallTool(context.Background(), &mcp.CallToolParams{Name: tool, Arguments: args})
	if err != nil {
		t.Fatalf("%s: %v", tool, err)
	}
	if result.IsError {
		return out, result.Content[0].(*mcp.TextContent).Text
	}
	raw, err := json.Marshal(result.StructuredContent)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	return out, ""
}

func TestTools_AreDescribed(t *testing.T) {
	t.Parallel()
	s := connect(t)
	list, err := s.ListTools(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	scopes := acmedata.Scopes()
	if len(list.Tools) != 7 || len(scopes) != 7 {
		t.Fatalf("%d tools, %d scopes", len(list.Tools), len(scopes))
	}
	for _, tool := range list.Tools {
		scope := scopes[tool.Name]
		a := tool.Annotations
		if tool.Title == "" || tool.Description == "" || tool.OutputSchema == nil || a == nil || a.OpenWorldHint == nil {
			t.Errorf("%s is not described: %+v", tool.Name, tool)
			continue
		}
		if a.ReadOnlyHint != strings.HasSuffix(scope, ":read") {
			t.Errorf("%s needs %s and says read-only %v", tool.Name, scope, a.ReadOnlyHint)
		}
		if !a.ReadOnlyHint && *a.DestructiveHint != strings.HasSuffix(scope, ":delete") {
			t.Errorf("%s needs %s and says destructive %v", tool.Name, scope, *a.DestructiveHint)
		}
		if *a.OpenWorldHint != (tool.Name == "route_signal") {
			t.Errorf("%s: open world %v", tool.Name, *a.OpenWorldHint)
		}
	}
}

func TestData_IsTheSameOnEveryStart(t *testing.T) {
	t.Parallel()
	one, _ := call[acmedata.AccountsOutput](t, connect(t), "search_accounts", map[string]any{"limit": 100})
	two, _ := call[acmedata.AccountsOutput](t, connect(t), "search_accounts", map[string]any{"limit": 100})
	if one.Total != 60 || !reflect.DeepEqual(one, two) {
		t.Errorf("%d accounts, equal %v", one.Total, reflect.DeepEqual(one, two))
	}
	names := map[string]bool{}
	for _, a := range one.Accounts {
		names[a.Name] = true
	}
	if len(names) != 60 {
		t.Errorf("%d different names", len(names))
	}
}

func TestStory_FromQueryToDeletion(t *testing.T) {
	t.Parallel()
	s := connect(t)
	sets, _ := call[acmedata.DatasetsOutput](t, s, "list_datasets", nil)
	if len(sets.Datasets) != 5 {
		t.Errorf("%d datasets", len(sets.Datasets))
	}
	weak, _ := call[acmedata.QueryOutput](
		t,
		s,
		"run_query",
		map[string]any{"dataset": "accounts", "order_by": "health", "limit": 3,
			"where": []any{map[string]any{"column": "health", "operator": "<", "value": 0.45}}},
	)
	if len(weak.Rows) != 3 || weak.Total < 3 {
		t.Fatalf("%+v", weak)
	}
	id, _ := weak.Rows[0]["account_id"].(string)
	profile, _ := call[acmedata.ProfileOutput](t, s, "analyze_profile", map[string]any{"account_id": id})
	if profile.ChurnRisk != "high" || len(profile.Usage) != 6 || profile.Usage[5] > profile.Usage[0] {
		t.Errorf("%+v", profile)
	}
	signal, _ := call[acmedata.Signal](
		t,
		s,
		"route_signal",
		map[string]any{"account_id": id, "kind": "churn_risk", "channel": "success"},
	)
	if signal.ID != "sig_0001" || signal.RequestedBy != "usr_ann" {
		t.Errorf("%+v", signal)
	}
	segment, _ := call[acmedata.Segment](
		t,
		s,
		"update_segment",
		map[string]any{"segment_id": "seg_enterprise", "name": "Big ones", "add_account_ids": []string{id}},
	)
	if segment.Name != "Big ones" || !strings.Contains(strings.Join(segment.Accounts, " "), id) {
		t.Errorf("%+v", segment)
	}
	gone, _ := call[acmedata.DeleteOutput](t, s, "delete_segment", map[string]any{"segment_id": "seg_enterprise"})
	if gone.Deleted != "Big ones" || gone.Left != 3 {
		t.Errorf("%+v", gone)
	}
	left, _ := call[acmedata.QueryOutput](t, s, "run_query", map[string]any{"dataset": "segments"})
	if left.Total != 3 {
		t.Errorf("%+v", left)
	}
}

func where(column, operator string) []any {
	return []any{map[string]any{"column": column, "operator": operator, "value": 1}}
}

func TestMistakes_AreExplained(t *testing.T) {
	t.Parallel()
	s := connect(t)
	for _, tc := range []struct {
		tool, says string
		args       map[string]any
	}{
		{"run_query", "list_datasets", map[string]any{"dataset": "secrets"}},
		{"run_query", "no column", map[string]any{"dataset": "accounts", "order_by": "shoe_size"}},
		{"run_query", "no column", map[string]any{"dataset": "accounts", "where": where("x", "=")}},
		{"run_query", "no operator", map[string]any{"dataset": "accounts", "where": where("name", "~")}},
		{"analyze_profile", "search_accounts", map[string]any{"account_id": "acc_999"}},
		{"route_signal", "no channel", map[string]any{"account_id": "acc_001", "kind": "upsell", "channel": "smoke"}},
		{"route_signal", "no kind", map[string]any{"account_id": "acc_001", "kind": "rumour", "channel": "sales"}},
		{"update_segment", "nothing to change", map[string]any{"segment_id": "seg_risk"}},
		{"update_segment", "no account", map[string]any{"segment_id": "seg_risk", "add_account_ids": []string{"acc_999"}}},
		{"delete_segment", "no segment", map[string]any{"segment_id": "seg_none"}},
	} {
		if _, message := call[map[string]any](t, s, tc.tool, tc.args); !strings.Contains(message, tc.says) {
			t.Errorf("%s %v: %q, want %q", tc.tool, tc.args, message, tc.says)
		}
	}
}

func TestHandler_SpeaksBothErasOfTheProtocol(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(acmedata.Handler())
	t.Cleanup(srv.Close)
	post := func(version, session, body string) *http.Response {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Accept", "application/json, text/event-stream")
		for name, value := range map[string]string{"Mcp-Protocol-Version": version, "Mcp-Session-Id": session} {
			if value != "" {
				req.Header.Set(name, value)
			}
		}
		if version >= "2026" {
			req.Header.Set("Mcp-Method", "tools/list")
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = resp.Body.Close() })
		return resp
	}
	for _, version := range []string{"2025-03-26", "2025-06-18", "2025-11-25"} {
		resp := post("", "", `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"`+version+
			`","capabilities":{},"clientInfo":{"name":"old","version":"1"}}}`)
		session := resp.Header.Get("Mcp-Session-Id")
		if raw, _ := io.ReadAll(resp.Body); session == "" || !strings.Contains(string(raw), version) {
			t.Fatalf("%s: session %q, %s", version, session, raw)
		}
		resp = post(version, session, `{"jsonrpc":"2.0","method":"notifications/initialized"}`)
		if resp.StatusCode != http.StatusAccepted {
			t.Errorf("%s: %s", version, resp.Status)
		}
		raw, _ := io.ReadAll(post(version, session, `{"jsonrpc":"2.0","id":2,"method":"tools/list"}`).Body)
		if !strings.Contains(string(raw), "run_query") {
			t.Errorf("%s: %s", version, raw)
		}
	}
	resp := post("2026-07-28", "", `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{
		"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},
		"io.modelcontextprotocol/clientInfo":{"name":"new","version":"1"}}}}`)
	raw, _ := io.ReadAll(resp.Body)
	if !strings.Contains(string(raw), "run_query") || resp.Header.Get("Mcp-Session-Id") != "" {
		t.Errorf("2026-07-28: %s %s", resp.Status, raw)
	}
}
