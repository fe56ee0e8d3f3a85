package gate

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/ostiary/ostiary/app/calls"
	"github.com/ostiary/ostiary/app/policy"
)

func recordingWorld(t *testing.T, is *testIssuer) (*world, <-chan calls.Record) {
	t.Helper()
	seen := make(chan calls.Record, 100)
	return newWorldAt(t, is, func(o *Options) { o.Observe = observing(seen) }), seen
}

func TestObserve_ARecordHoldsWhatTheDecisionWasMadeFrom(t *testing.T) {
	t.Parallel()
	is := newIssuer(t)
	is.doc.Tools["write_data"] = policy.Tool{Scopes: []string{"data:write"}, Match: policy.MatchAll,
		Audited: []string{"table", "row", "big", "absent"}}
	w, seen := recordingWorld(t, is)
	w.upstream.answer = func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusAccepted) }
	body := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"write_data","arguments":`+
		`{"secret":"hunter2","t\u0061ble":"accounts","row":{"id": 7},"big":%q}}}`, strings.Repeat("x", calls.MaxArgumentBytes))
	before := is.clock.now()
	w.call(t, http.MethodPost, "/mcp", w.token("data:read data:write", map[string]any{"host": "claude-code"}), body).
		want(t, http.StatusAccepted)
	got := <-seen
	if !strings.HasPrefix(got.ID, "call_") || got.At.Before(before) || got.LatencyUS <= 0 {
		t.Errorf("id %q, at %v, latency %d", got.ID, got.At, got.LatencyUS)
	}
	if want := map[string]json.RawMessage{"table": []byte(`"accounts"`), "row": []byte(`{"id": 7}`)}; !maps.EqualFunc(
		got.Arguments, want, func(a, b json.RawMessage) bool { return string(a) == string(b) }) {
		t.Errorf("arguments %s", got.Arguments)
	}
	if !slices.Equal(got.Scopes, []string{"data:read", "data:write"}) {
		t.Errorf("scopes %v", got.Scopes)
	}
	got.ID, got.At, got.LatencyUS, got.Arguments, got.Scopes, got.Silence = "", is.clock.now(), 0, nil, nil, 0
	want := calls.Record{At: got.At, Kind: policy.TargetTool, Tool: "write_data", User: "usr_ann", Organization: "org_globex",
		Client: "cli_claude", Host: "claude-code", Grant: "grt_1", Proof: calls.ProofToken, Allowed: true,
		Reason: policy.ReasonAllowed, Revision: 1, Sequence: got.Sequence, Status: http.StatusAccepted,
		Risk: policy.RiskWrite}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("recorded\n%+v, want\n%+v", got, want)
	}
}

func TestObserve_NothingButCallsIsRecorded(t *testing.T) {
	t.Parallel()
	w, seen := recordingWorld(t, newIssuer(t))
	token := w.token("data:read")
	w.call(t, http.MethodPost, "/mcp", token, listBody).want(t, http.StatusOK)
	w.call(t, http.MethodPost, "/mcp", "", callBody(1, "read_data")).want(t, http.StatusUnauthorized)
	w.call(t, http.MethodPost, "/mcp", token, "nonsense").want(t, http.StatusBadRequest)
	w.call(t, http.MethodGet, "/mcp", token, "").want(t, http.StatusOK)
	w.call(t, http.MethodPost, "/mcp", token, callBody(1, strings.Repeat("long ", 9999))).want(t, http.StatusOK)
	if got := <-seen; len(got.Tool) != recordedTarget || got.Reason != policy.ReasonUnknownTool || got.Arguments != nil ||
		got.Risk != "" {
		t.Errorf("recorded %+v", got)
	}
	if len(seen) != 0 {
		t.Errorf("recorded %+v", <-seen)
	}
}

func TestObserve_SaysHowACallWasAnswered(t *testing.T) {
	t.Parallel()
	w, seen := recordingWorld(t, newIssuer(t))
	token := w.token("data:read")
	w.upstream.answer = func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusTeapot) }
	w.tool(t, token, "read_data").want(t, http.StatusTeapot)
	w.tool(t, token, "write_data").want(t, http.StatusForbidden)
	w.upstream.answer = func(rw http.ResponseWriter, r *http.Request) { http.Redirect(rw, r, "/x", http.StatusFound) }
	w.tool(t, token, "read_data").want(t, http.StatusBadGateway)
	for _, want := range []int{http.StatusTeapot, http.StatusForbidden, http.StatusBadGateway} {
		if got := <-seen; got.Status != want {
			t.Errorf("recorded %d, want %d", got.Status, want)
		}
	}
}
