package gate

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/oauthex"

	"github.com/ostiary/ostiary/app/calls"
	"github.com/ostiary/ostiary/app/policy"
)

const listBody = `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`

func textLogger(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func observing(seen chan<- calls.Record) func(context.Context, calls.Record) {
	return func(_ context.Context, c calls.Record) { seen <- c }
}

func listAnswer(contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		_, _ = io.WriteString(w, body)
	}
}

// challengeOf parses the one WWW-Authenticate line of an answer.
func challengeOf(t *testing.T, a answer) map[string]string {
	t.Helper()
	values := a.header.Values("WWW-Authenticate")
	if len(values) != 1 || !strings.HasPrefix(values[0], "Bearer ") {
		t.Fatalf("challenges %q, want one that begins with Bearer", values)
	}
	parsed, err := oauthex.ParseWWWAuthenticate(values)
	if err != nil || len(parsed) != 1 {
		t.Fatalf("%q: %v %v", values, parsed, err)
	}
	return parsed[0].Params
}

func TestChallenge_FirstRequestIsToldWhereToGo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	const want = `Bearer resource_metadata="https://mcp.acme.example/.well-known/oauth-protected-resource/mcp", scope="data:read data:list"`
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodDelete} {
		a := w.call(t, method, "/mcp", "", "").want(t, http.StatusUnauthorized)
		if got := a.header.Values("WWW-Authenticate"); len(got) != 1 || got[0] != want {
			t.Errorf("%s: challenge %q, want %q", method, got, want)
		}
		for name, value := range map[string]string{
			"Cache-Control": "no-store", "Access-Control-Allow-Origin": "*", "Vary": "Authorization",
			"Access-Control-Expose-Headers": "WWW-Authenticate, Mcp-Session-Id",
		} {
			if got := a.header.Get(name); got != value {
				t.Errorf("%s: %s is %q, want %q", method, name, got, value)
			}
		}
	}
	if w.upstream.count() != 0 {
		t.Error("an anonymous request reached the MCP server")
	}
}

func TestChallenge_NoBaselineMeansNoScope(t *testing.T) {
	t.Parallel()
	is := newIssuer(t)
	is.doc.Scopes = map[string]policy.Scope{"data:read": {Risk: policy.RiskRead}}
	w := newWorldAt(t, is, nil)
	a := w.tool(t, "", "read_data").want(t, http.StatusUnauthorized)
	if _, has := challengeOf(t, a)["scope"]; has {
		t.Error("an empty scope was asked for")
	}
	prm := w.call(t, http.MethodGet, "/.well-known/oauth-protected-resource/mcp", "", "").want(t, http.StatusOK)
	if strings.Contains(prm.body, "scopes_supported") {
		t.Error("empty scopes_supported")
	}
}

func TestChallenge_InsufficientScopeNamesEverythingTheCallNeeds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	a := w.tool(t, w.token("data:read"), "merge_data").want(t, http.StatusForbidden)
	const want = `Bearer error="insufficient_scope", scope="data:read data:write", ` +
		`resource_metadata="https://mcp.acme.example/.well-known/oauth-protected-resource/mcp", ` +
		`error_description="This call needs the permission data:read, data:write"`
	if got := a.header.Get("WWW-Authenticate"); got != want {
		t.Errorf("challenge\n%q, want\n%q", got, want)
	}
	var body struct {
		ID    int `json:"id"`
		Error struct {
			Code int
			Data struct{ Error, Scope string }
		}
	}
	if err := json.Unmarshal([]byte(a.body), &body); err != nil || body.ID != 1 ||
		body.Error.Data.Scope != "data:read data:write" {
		t.Errorf("body %s: %v", a.body, err)
	}
	if w.upstream.count() != 0 {
		t.Error("the denied call reached the MCP server")
	}
	w.tool(t, w.token("data:read data:admin"), "merge_data").want(t, http.StatusOK)
}

func TestUnknownTool_IsAnsweredNotChallenged(t *testing.T) {
	t.Parallel()
	logs := new(logBuffer)
	w := newWorld(t, func(o *Options) { o.Logger = textLogger(logs) })
	token := w.token("data:read data:admin")
	for _, tool := range []string{"unmapped", "never_heard_of", "READ_DATA", "read_data ", "read_data\u0000", "réad"} {
		a := w.call(
			t,
			http.MethodPost,
			"/mcp",
			token,
			string(
				mustJSON(
					t,
					map[string]any{"jsonrpc": "2.0", "id": "a", "method": "tools/call", "params": map[string]any{"name": tool}},
				),
			),
		)
		a.want(t, http.StatusOK)
		var got rpcAnswer
		if err := json.Unmarshal([]byte(a.body), &got); err != nil || got.Error.Code != rpcInvalidParams ||
			string(got.ID) != `"a"` {
			t.Errorf("%q: %s", tool, a.body)
		}
		if a.header.Get("WWW-Authenticate") != "" {
			t.Errorf("%q: challenged", tool)
		}
	}
	// Without an id there is nobody to answer; it must not be accepted either.
	w.call(t, http.MethodPost, "/mcp", token, `{"jsonrpc":"2.0","method":"tools/call","params":{"name":"x"}}`).
		want(t, http.StatusBadRequest)
	if w.upstream.count() != 0 {
		t.Error("an unknown tool reached the MCP server")
	}
	if !strings.Contains(logs.String(), "level=WARN msg=\"call denied\" kind=tool name=unmapped") {
		t.Errorf("the unmapped tool was not flagged: %s", logs)
	}
}

func TestNotifications_RunToolsTooSoTheyAreDecided(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	body := `{"jsonrpc":"2.0","method":"tools/call","params":{"name":"delete_data"}}`
	w.call(t, http.MethodPost, "/mcp", w.token("data:read"), body).want(t, http.StatusForbidden)
	if w.upstream.count() != 0 {
		t.Error("a call without an id went round the policy")
	}
}

func TestBatch_OneDeniedCallDeniesAll(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	token := w.token("data:read")
	batch := func(tools ...string) string {
		var parts []string
		for i, tool := range tools {
			parts = append(parts, callBody(i, tool))
		}
		return "[" + strings.Join(parts, ",") + `,{"jsonrpc":"2.0","method":"notifications/initialized"}]`
	}
	w.call(t, http.MethodPost, "/mcp", token, batch("read_data", "read_data")).want(t, http.StatusOK)
	a := w.call(t, http.MethodPost, "/mcp", token, batch("read_data", "write_data", "delete_data", "merge_data")).
		want(t, http.StatusForbidden)
	if got := challengeOf(t, a)["scope"]; got != "data:write data:delete data:read" {
		t.Errorf("scope %q", got)
	}
	a = w.call(t, http.MethodPost, "/mcp", token, batch("read_data", "unmapped", "write_data")).want(t, http.StatusOK)
	var answers []rpcAnswer
	if err := json.Unmarshal([]byte(a.body), &answers); err != nil || len(answers) != 3 {
		t.Fatalf("%s: %v", a.body, err)
	}
	for i, code := range []int{rpcBatchRefused, rpcInvalidParams, rpcBatchRefused} {
		if answers[i].Error.Code != code || string(answers[i].ID) != fmt.Sprint(i) {
			t.Errorf("answer %d: %+v", i, answers[i])
		}
	}
	if w.upstream.count() != 1 {
		t.Errorf("%d batches reached the MCP server, want 1", w.upstream.count())
	}
}

func TestOtherMethods_PassForAnyValidToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	token := w.token("")
	for _, body := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{}}}`,
		`{"jsonrpc":"2.0","id":1,"method":"server/discover","params":` +
			`{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}`,
		`{"jsonrpc":"2.0","method":"notifications/initialized"}`,
		`{"jsonrpc":"2.0","id":"x","method":"ping","params":null}`,
		`{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"file:///a"}}`,
		`{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{"name":"p"}}`,
		`{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{}}`,
		`{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{}}`,
		`{"jsonrpc":"2.0","id":4,"result":{"action":"accept"}}`,
		`{"jsonrpc":"2.0","id":4,"error":{"code":-1,"message":"no"}}`,
		`[{"jsonrpc":"2.0","id":4,"result":{}},{"jsonrpc":"2.0","id":5,"method":"ping"}]`,
	} {
		w.call(t, http.MethodPost, "/mcp", token, body).want(t, http.StatusOK)
		if _, got := w.upstream.last(t); got != body {
			t.Errorf("sent %s, arrived %s", body, got)
		}
	}
}

func TestToken_InQueryIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	token := w.token("data:read")
	for _, query := range []string{"access_token=" + token, "a=b&access_token=x", "%61ccess_token=x", "ACCESS_TOKEN=x",
		"a;access_token=x", "access_token"} {
		w.call(t, http.MethodPost, "/mcp?"+query, "", callBody(1, "read_data")).want(t, http.StatusBadRequest)
		w.call(t, http.MethodPost, "/mcp?"+query, token, callBody(1, "read_data")).want(t, http.StatusBadRequest)
	}
	w.call(t, http.MethodPost, "/mcp?tenant=1", token, callBody(1, "read_data")).want(t, http.StatusOK)
	if r, _ := w.upstream.last(t); r.URL.RawQuery != "tenant=1" {
		t.Errorf("query %q", r.URL.RawQuery)
	}
}

func TestHeaders_MustAgreeWithTheBody(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	token := w.token("data:read data:admin")
	read := callBody(7, "read_data")
	for name, tc := range map[string]struct {
		body    string
		headers []string
		status  int
	}{
		"both right":           {read, []string{"Mcp-Method: tools/call", "Mcp-Name: read_data"}, 200},
		"method only":          {read, []string{"Mcp-Method: tools/call"}, 200},
		"encoded name":         {read, []string{"Mcp-Method: tools/call", "Mcp-Name: =?base64?cmVhZF9kYXRh?="}, 200},
		"any case of the name": {read, []string{"mCP-meTHod: tools/call"}, 200},
		"uri": {`{"jsonrpc":"2.0","id":7,"method":"resources/read","params":{"uri":"file:///a"}}`,
			[]string{"Mcp-Method: resources/read", "Mcp-Name: file:///a"}, 200},
		"name of another kind": {`{"jsonrpc":"2.0","id":7,"method":"tasks/get","params":{"taskId":"t"}}`,
			[]string{"Mcp-Method: tasks/get", "Mcp-Name: t"}, 200},
		"old client": {read, nil, 200},
		"other tool": {read, []string{"Mcp-Method: tools/call", "Mcp-Name: delete_data"}, 400},
		"body runs another tool": {callBody(7, "delete_data"),
			[]string{"Mcp-Method: tools/call", "Mcp-Name: read_data"}, 400},
		"other tool, name alone":   {read, []string{"Mcp-Name: delete_data"}, 400},
		"other method":             {read, []string{"Mcp-Method: tools/list"}, 400},
		"body calls, header lists": {callBody(7, "delete_data"), []string{"Mcp-Method: ping"}, 400},
		"method in capitals":       {read, []string{"Mcp-Method: Tools/Call"}, 400},
		"two methods":              {read, []string{"Mcp-Method: tools/call", "mcp-method: tools/list"}, 400},
		"two names":                {read, []string{"Mcp-Name: read_data", "mcp-name: delete_data"}, 400},
		"bad encoding":             {read, []string{"Mcp-Name: =?base64?***?="}, 400},
		"encoded other":            {read, []string{"Mcp-Name: =?base64?ZGVsZXRlX2RhdGE=?="}, 400},
		"empty method":             {read, []string{"Mcp-Method: "}, 400},
		"batch":                    {"[" + read + "]", []string{"Mcp-Method: tools/call"}, 400},
		"response":                 {`{"jsonrpc":"2.0","id":7,"result":{}}`, []string{"Mcp-Method: tools/call"}, 400},
	} {
		t.Run(name, func(t *testing.T) {
			before := w.upstream.count()
			a := w.call(t, http.MethodPost, "/mcp", token, tc.body, tc.headers...).want(t, tc.status)
			if tc.status == 200 {
				return
			}
			var got rpcAnswer
			if err := json.Unmarshal([]byte(a.body), &got); err != nil || got.Error.Code != -32020 {
				t.Errorf("body %s", a.body)
			}
			if w.upstream.count() != before {
				t.Error("it reached the MCP server")
			}
		})
	}
}

func TestBody_NoOtherMediaTypeOrEncoding(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	token := w.token("data:read")
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = z.Write([]byte(callBody(1, "delete_data")))
	_ = z.Close()
	for name, tc := range map[string]struct {
		body    string
		headers []string
		status  int
	}{
		"charset utf-8": {callBody(1, "read_data"), []string{"Content-Type: application/json; charset=UTF-8"}, 200},
		"identity":      {callBody(1, "read_data"), []string{"Content-Encoding: identity"}, 200},
		"text":          {callBody(1, "read_data"), []string{"Content-Type: text/plain"}, 415},
		"form":          {"access_token=" + token, []string{"Content-Type: application/x-www-form-urlencoded"}, 415},
		"two types": {callBody(1, "read_data"),
			[]string{"Content-Type: application/json", "content-type: text/plain"}, 415},
		"utf-16":            {callBody(1, "read_data"), []string{"Content-Type: application/json; charset=utf-16"}, 415},
		"utf-7":             {callBody(1, "read_data"), []string{"Content-Type: application/json; charset=utf-7"}, 415},
		"gzip":              {zipped.String(), []string{"Content-Encoding: gzip"}, 415},
		"gzip, said oddly":  {zipped.String(), []string{"Content-Encoding: identity", "content-encoding: gzip"}, 415},
		"gzip without word": {zipped.String(), nil, 400},
		"too large": {`{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":"` +
			strings.Repeat("a", defaultMaxBody) + `"}}`, nil, 413},
		"nothing": {"", nil, 400},
	} {
		t.Run(name, func(t *testing.T) {
			w.call(t, http.MethodPost, "/mcp", token, tc.body, tc.headers...).want(t, tc.status)
		})
	}
	if got := w.upstream.count(); got != 2 {
		t.Errorf("%d requests reached the MCP server, want 2", got)
	}
}

func TestBody_TooLargeWithoutSayingSo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *Options) { o.MaxBody = 1000 })
	pr, pw := io.Pipe()
	go func() {
		_, err := io.WriteString(
			pw,
			`{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":"`+strings.Repeat("a", 5000)+`"}}`,
		)
		pw.CloseWithError(err)
	}()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url+"/mcp", pr)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+w.token("data:read"))
	req.Header.Set("Content-Type", "application/json")
	send(t, http.DefaultClient, req).want(t, http.StatusRequestEntityTooLarge)
}

func TestIdentity_ReachesTheServerAndCannotBeSpoofed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.call(t, http.MethodPost, "/mcp", w.token("data:read"), callBody(1, "read_data"),
		"Ostiary-User: usr_root", "Ostiary-Scopes: data:delete", "ostiary-organization: org_victim", "Ostiary-Future: x",
		"Ostiary_User: usr_root", "OSTIARY_SCOPES: data:delete", "Ostiary-Grant: grt_x", "Ostiary-Client: cli_x",
		"Connection: Ostiary-User, Ostiary-Scopes", "X-HTTP-Method-Override: DELETE", "X_Http_Method_Override: DELETE",
		"Origin: https://hosts.example", "X-Forwarded-For: 1.2.3.4", "Forwarded: for=1.2.3.4", "Proxy-Authorization: Basic x",
	).want(t, http.StatusOK)
	r, _ := w.upstream.last(t)
	want := map[string]string{HeaderUser: "usr_ann", HeaderOrganization: "org_globex", HeaderClient: "cli_claude",
		HeaderGrant: "grt_1", HeaderScopes: "data:read"}
	for name, values := range r.Header {
		if plain := strings.ToLower(strings.ReplaceAll(name, "_", "-")); strings.HasPrefix(plain, "ostiary-") {
			if len(values) != 1 || want[name] != values[0] {
				t.Errorf("%s: %q", name, values)
			}
			delete(want, name)
		}
	}
	if len(want) > 0 {
		t.Errorf("missing %v", want)
	}
	for _, name := range []string{"Authorization", "Proxy-Authorization", "X-Http-Method-Override",
		"X_Http_Method_Override", "Origin", "Forwarded"} {
		if r.Header.Get(name) != "" {
			t.Errorf("%s reached the MCP server: %q", name, r.Header.Get(name))
		}
	}
	if strings.Contains(r.Header.Get("X-Forwarded-For"), "1.2.3.4") {
		t.Error("a made-up client address reached the MCP server")
	}
}

func TestIdentity_WithoutOrganizationSendsNone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	token := w.token("data:read", map[string]any{"org_id": nil, "grant_id": nil})
	w.call(t, http.MethodPost, "/mcp", token, callBody(1, "read_data"),
		"Ostiary-Organization: org_victim").
		want(t, http.StatusOK)
	r, _ := w.upstream.last(t)
	if r.Header.Get(HeaderOrganization) != "" || r.Header.Get(HeaderGrant) != "" {
		t.Errorf("%v", r.Header)
	}
}

func TestBodies_OutsidePostDoNotTravel(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	token := w.token("data:read")
	for _, method := range []string{http.MethodGet, http.MethodDelete} {
		w.call(t, method, "/mcp", token, callBody(1, "delete_data"), "Content-Type: application/json").
			want(t, http.StatusBadRequest)
		w.call(t, method, "/mcp", token, "").want(t, http.StatusOK)
		if r, _ := w.upstream.last(t); r.Method != method {
			t.Errorf("%s reached the MCP server as %s", method, r.Method)
		}
	}
	if w.upstream.count() != 2 {
		t.Errorf("%d requests reached the MCP server, want 2", w.upstream.count())
	}
	for _, method := range []string{http.MethodPut, http.MethodPatch, http.MethodTrace, "PROPFIND"} {
		a := w.call(t, method, "/mcp", token, callBody(1, "delete_data")).want(t, http.StatusMethodNotAllowed)
		if a.header.Get("Allow") == "" {
			t.Errorf("%s: no Allow", method)
		}
	}
}

func TestUpgrade_DoesNotOpenATunnel(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.upstream.answer = func(rw http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" || r.Header.Get("Connection") == "Upgrade" {
			rw.WriteHeader(http.StatusSwitchingProtocols)
			return
		}
		rw.WriteHeader(http.StatusMethodNotAllowed)
	}
	w.call(t, http.MethodGet, "/mcp", w.token("data:read"), "", "Connection: Upgrade", "Upgrade: websocket").
		want(t, http.StatusMethodNotAllowed)
}

func TestSmuggling_ConflictingLengthsNeverReachTheServer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	token := w.token("data:read")
	hidden := "POST /mcp HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
	for name, framing := range map[string]string{
		"length and chunked":     "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"two lengths":            "Content-Length: 5\r\nContent-Length: 50\r\n\r\n{}   ",
		"chunked, spelled oddly": "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
	} {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(w.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = fmt.Fprintf(
			conn,
			"POST /mcp HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\n%s%s",
			token,
			framing,
			hidden,
		)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err == nil && resp.StatusCode < 400 {
			t.Errorf("%s: %s", name, resp.Status)
		}
		_ = conn.Close()
	}
	if w.upstream.count() != 0 {
		t.Errorf("%d requests reached the MCP server", w.upstream.count())
	}
}

func TestPreflight_IsAnsweredWithoutAToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	for _, path := range []string{"/mcp", "/mcp/", "/.well-known/oauth-protected-resource/mcp"} {
		a := w.call(t, http.MethodOptions, path, "", "", "Origin: https://hosts.example", "Access-Control-Request-Method: POST",
			"Access-Control-Request-Headers: authorization,mcp-param-region,x-evil,mcp-param-bad name").
			want(t, http.StatusNoContent)
		allowed := strings.Split(a.header.Get("Access-Control-Allow-Headers"), ", ")
		for _, name := range []string{"Authorization", "Content-Type", "Accept", "MCP-Protocol-Version", "Mcp-Method",
			"Mcp-Name", "Mcp-Session-Id", "Last-Event-ID", "mcp-param-region"} {
			if !slices.Contains(allowed, name) {
				t.Errorf("%s: %s is not allowed", path, name)
			}
		}
		if len(allowed) != 9 {
			t.Errorf("%s: allows %q", path, allowed)
		}
		for name, value := range map[string]string{"Access-Control-Allow-Origin": "*", "Access-Control-Max-Age": "86400",
			"Access-Control-Allow-Methods": allowedMethods, "Access-Control-Allow-Credentials": ""} {
			if got := a.header.Get(name); got != value {
				t.Errorf("%s: %s is %q", path, name, got)
			}
		}
	}
	if w.upstream.count() != 0 {
		t.Error("a preflight reached the MCP server")
	}
}

func TestSession_CannotBeUsedWithSomebodyElsesToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.upstream.answer = func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Mcp-Session-Id", "session-of-ann")
		listAnswer("application/json", `{"jsonrpc":"2.0","id":1,"result":{}}`)(rw, nil)
	}
	ann := w.token("data:read")
	a := w.call(t, http.MethodPost, "/mcp", ann, `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}`).
		want(t, http.StatusOK)
	if a.header.Get("Mcp-Session-Id") != "session-of-ann" {
		t.Fatal("the session id did not travel")
	}
	const session = "Mcp-Session-Id: session-of-ann"
	w.call(t, http.MethodPost, "/mcp", ann, callBody(1, "read_data"), session).want(t, http.StatusOK)
	w.call(t, http.MethodPost, "/mcp", w.token("data:read data:write"), callBody(1, "read_data"), session).
		want(t, http.StatusOK)
	before := w.upstream.count()
	for name, claim := range map[string]map[string]any{
		"another user":         {"sub": "usr_bob"},
		"another organization": {"org_id": "org_other"},
		"another client":       {"client_id": "cli_other"},
	} {
		for method, body := range map[string]string{
			http.MethodPost: callBody(1, "read_data"), http.MethodGet: "", http.MethodDelete: ""} {
			a := w.call(t, method, "/mcp", w.token("data:read", claim), body, session)
			if a.status != http.StatusNotFound {
				t.Errorf("%s, %s: %d", name, method, a.status)
			}
		}
	}
	// Two sessions in one request: the gate would look at one, the server might take the other.
	w.call(t, http.MethodPost, "/mcp", w.token("data:read", map[string]any{"sub": "usr_bob"}), callBody(1, "read_data"),
		"Mcp-Session-Id: session-of-bob", "mcp-session-id: session-of-ann").want(t, http.StatusNotFound)
	w.call(t, http.MethodPost, "/mcp", ann, callBody(1, "read_data"), "Mcp_Session_Id: x").want(t, http.StatusOK)
	if r, _ := w.upstream.last(t); r.Header.Get("Mcp_Session_Id") != "" || w.upstream.count() != before+1 {
		t.Errorf("%d requests reached the MCP server, the last with %v", w.upstream.count()-before, r.Header)
	}
}

func TestLogs_NeverShowTokens(t *testing.T) {
	t.Parallel()
	logs := new(logBuffer)
	w := newWorld(t, func(o *Options) { o.Logger = textLogger(logs) })
	token := w.token("data:read")
	w.tool(t, token, "delete_data").want(t, http.StatusForbidden)
	w.tool(t, token+"x", "read_data").want(t, http.StatusUnauthorized)
	w.call(t, http.MethodPost, "/mcp?access_token="+token, "", "").want(t, http.StatusBadRequest)
	w.call(t, http.MethodPost, "/mcp", token, `{"a":1,"a":"`+token+`"}`).want(t, http.StatusBadRequest)
	if s := logs.String(); s == "" || strings.Contains(s, token[len(token)-20:]) ||
		strings.Contains(s, strings.Split(token, ".")[1]) {
		t.Errorf("log: %s", s)
	}
}

// dial sends raw bytes to the gate and returns the connection.
func (w *world) dial(t *testing.T, raw string) net.Conn {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(w.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := io.WriteString(conn, raw); err != nil {
		t.Fatal(err)
	}
	return conn
}

// head begins a request with a token; the length of its body is to follow.
func (w *world) head() string {
	return "POST /mcp HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + w.token("data:read") +
		"\r\nContent-Type: application/json\r\nContent-Length: "
}

func TestSlowClients_AreNotWaitedForEndlessly(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.gate.bodyTimeout = 50 * time.Millisecond
	// One that does not send what it announced.
	conn := w.dial(t, w.head()+"500\r\n\r\n{")
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || resp.StatusCode != http.StatusRequestTimeout {
		t.Errorf("a body that does not come: %v %v", resp, err)
	}
	// One without a token that announces a body, too.
	conn = w.dial(t, "POST /mcp HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n{")
	resp, err = http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("an anonymous body that does not come: %v %v", resp, err)
	}
	if w.upstream.count() != 0 {
		t.Error("half a body reached the MCP server")
	}
}

func TestSlowClients_ThatGoAwayHoldNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.gate.writeTimeout = 50 * time.Millisecond
	// One that goes away in the middle.
	conn := w.dial(t, w.head()+"500\r\n\r\n{")
	_ = conn.(*net.TCPConn).CloseWrite()
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || resp.StatusCode != http.StatusBadRequest {
		t.Errorf("half a body: %v %v", resp, err)
	}
	if w.upstream.count() != 0 {
		t.Error("half a body reached the MCP server")
	}
	// One that does not read what it asked for.
	ended := make(chan struct{})
	w.upstream.answer = func(rw http.ResponseWriter, r *http.Request) {
		defer close(ended)
		for r.Context().Err() == nil {
			if _, err := rw.Write(make([]byte, 1<<20)); err != nil {
				return
			}
		}
	}
	body := callBody(1, "read_data")
	w.dial(t, w.head()+fmt.Sprintf("%d\r\n\r\n%s", len(body), body))
	<-ended
}
