package gate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/ostiary/ostiary/app/policy"
)

// toolsOf lists the names in a tools/list answer.
func toolsOf(t testing.TB, raw string) []string {
	t.Helper()
	var m struct {
		Result struct{ Tools []struct{ Name string } }
	}
	if err := json.Unmarshal([]byte(raw), &m); err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	var names []string
	for _, tool := range m.Result.Tools {
		names = append(names, tool.Name)
	}
	return names
}

const allTools = `[{"name":"read_data","inputSchema":{"type":"object","x":1.50}}, {"name":"write_data"},` +
	`{"inputSchema":{},"name":"delete_data"},` +
	`{"name":"merge_data"},{"name":"unmapped"},{"name":"never_heard_of"},{"title":"nameless"},"odd",null]`

func TestToolsList_ShowsWhatTheTokenAllows(t *testing.T) {
	t.Parallel()
	logs := new(logBuffer)
	w := newWorld(t, func(o *Options) { o.Logger = textLogger(logs) })
	w.upstream.answer = listAnswer(
		"application/json",
		`{"jsonrpc":"2.0","id":1,"result":{"tools":`+allTools+`,"nextCursor":"abc"}}`,
	)
	for scopes, want := range map[string][]string{
		"":                     nil,
		"data:read":            {"read_data"},
		"data:read data:write": {"read_data", "write_data", "merge_data"},
		"data:admin":           {"write_data", "delete_data"},
		"data:read data:admin": {"read_data", "write_data", "delete_data", "merge_data"},
	} {
		a := w.call(t, http.MethodPost, "/mcp", w.token(scopes), listBody).want(t, http.StatusOK)
		if got := toolsOf(t, a.body); !slices.Equal(got, want) {
			t.Errorf("%q sees %v, want %v", scopes, got, want)
		}
		if !strings.Contains(a.body, `"nextCursor":"abc"`) {
			t.Error("the cursor is gone")
		}
		if a.header.Get("Cache-Control") != "no-store" || a.header.Get("Vary") != "Authorization" {
			t.Errorf("headers %v", a.header)
		}
	}
	if got := strings.Count(logs.String(), "offers what the policy does not map"); got != 3 {
		t.Errorf("flagged %d times, want once each for unmapped, never_heard_of and the nameless: %s", got, logs)
	}
}

func TestToolsList_LeavesTheRestByteForByte(t *testing.T) {
	t.Parallel()
	f := filterOf("data:read")
	for name, tc := range map[string]struct{ in, want string }{
		"kept tools are untouched": {
			` {"id":1e0 , "result": { "tools" : ` +
				`[ {"name":"r\u0065ad_data","n":1.50} ,{"name":"write_data"}, {"name":"read_data","z":"\/"} ], "x":1.0}} `,
			` {"id":1e0 , "result": { "tools" : [{"name":"r\u0065ad_data","n":1.50},{"name":"read_data","z":"\/"}], "x":1.0}} `},
		"public becomes private": {`{"result":{"cacheScope":"public","tools":[],"ttlMs":5}}`,
			`{"result":{"cacheScope":"private","tools":[],"ttlMs":5}}`},
		"silence becomes private": {`{"result":{"tools":[],"ttlMs":5}}`,
			`{"result":{"cacheScope":"private","tools":[],"ttlMs":5}}`},
		"not cacheable stays so": {`{"result":{"tools":[]}}`, `{"result":{"tools":[]}}`},
		"other results": {`{"result":{"content":[{"name":"write_data"}],"cacheScope":"public"}}`,
			`{"result":{"content":[{"name":"write_data"}],"cacheScope":"public"}}`},
		"errors": {`{"error":{"code":1,"data":{"tools":[{"name":"write_data"}]}}}`,
			`{"error":{"code":1,"data":{"tools":[{"name":"write_data"}]}}}`},
		"tools that are no list": {`{"result":{"tools":{"name":"write_data"}}}`,
			`{"result":{"tools":{"name":"write_data"}}}`},
		"batch": {`[{"result":{"tools":[{"name":"write_data"}]}},{"result":{}},{"result":{"tools":[{"name":"read_data"}]}}]`,
			`[{"result":{"tools":[]}},{"result":{}},{"result":{"tools":[{"name":"read_data"}]}}]`},
		"escaped keys": {`{"r\u0065sult":{"t\u006fols":[{"n\u0061me":"write_data"}]}}`,
			`{"r\u0065sult":{"t\u006fols":[]}}`},
		"empty result":             {`{"result":{}}`, `{"result":{}}`},
		"a name that is no string": {`{"result":{"tools":[{"name":1},{"name":null}]}}`, `{"result":{"tools":[]}}`},
	} {
		got, err := f.json([]byte(tc.in))
		if err != nil || string(got) != tc.want {
			t.Errorf("%s:\n got %s\nwant %s (%v)", name, got, tc.want, err)
		}
	}
}

func filterOf(scopes ...string) *listFilter {
	v, err := newView(testDocument("https://mcp.acme.example/mcp"), "https://issuer.example", "")
	if err != nil {
		panic(err)
	}
	return &listFilter{kinds: listKinds{tools: true}, post: true, flag: func(policy.Target, policy.Reason) {},
		rules: func() rulebook {
			return rulebook{view: v, granted: v.rules.Granted(scopes), now: StaticFeed(nil).Current()}
		}}
}

func TestToolsList_UnreadableIsNotPassedOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	for name, answer := range map[string]http.HandlerFunc{
		"not JSON":        listAnswer("application/json", `hello delete_data`),
		"duplicate tools": listAnswer("application/json", `{"id":1,"result":{"tools":[],"tools":[{"name":"delete_data"}]}}`),
		"another type":    listAnswer("text/html", `<p>delete_data`),
		"compressed": func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Encoding", "br")
			listAnswer("application/json", "delete_data")(rw, nil)
		},
		"compressed events": func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Encoding", "gzip")
			listAnswer("text/event-stream", "data: delete_data\n\n")(rw, nil)
		},
	} {
		w.upstream.answer = answer
		a := w.call(t, http.MethodPost, "/mcp", w.token("data:read"), listBody, "Accept-Encoding: br")
		var got rpcAnswer
		if err := json.Unmarshal([]byte(a.body), &got); a.status != http.StatusBadGateway || err != nil ||
			string(got.ID) != "1" {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
		if r, _ := w.upstream.last(t); r.Header.Get("Accept-Encoding") != "" {
			t.Errorf("%s: compression was offered: %q", name, r.Header.Get("Accept-Encoding"))
		}
	}
	// No list at all is fine.
	w.upstream.answer = func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusAccepted) }
	w.call(t, http.MethodPost, "/mcp", w.token("data:read"), listBody).want(t, http.StatusAccepted)
	w.upstream.answer = func(rw http.ResponseWriter, _ *http.Request) { http.Error(rw, "no", http.StatusNotFound) }
	w.call(t, http.MethodPost, "/mcp", w.token("data:read"), listBody).want(t, http.StatusNotFound)
}

func TestToolsList_BatchIsFiltered(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.upstream.answer = listAnswer(
		"application/json",
		`[{"jsonrpc":"2.0","id":2,"result":{"content":[]}},{"jsonrpc":"2.0","id":1,"result":{"tools":`+allTools+`}}]`,
	)
	a := w.call(t, http.MethodPost, "/mcp", w.token("data:read"), "["+listBody+","+callBody(2, "read_data")+"]").
		want(t, http.StatusOK)
	if strings.Contains(a.body, "write_data") || !strings.Contains(a.body, "read_data") ||
		!strings.Contains(a.body, `"content"`) {
		t.Errorf("%s", a.body)
	}
}

// eventStream is a list of tools among other events, in every form the SSE specification allows.
func eventStream(end string) (in, want string) {
	lines := func(parts ...string) string { return strings.Join(parts, end) + end + end }
	before := ": hello" + end + end + lines(
		"event: message",
		`data: {"jsonrpc":"2.0","method":"notifications/message","params":{"tools":"x"}}`,
	) +
		lines(
			"id: 7",
			"retry: 5",
			"data:",
		) + ":" + end
	after := lines(
		"",
		`data: {"jsonrpc":"2.0","id":2,"result":{"content":[{"type":"text","text":"tools"}]}}`,
	) + ": bye" + end
	full := `{"jsonrpc":"2.0","id":1,"result":{"tools":[` +
		`{"name":"write_data"},{"name":"read_data"},{"name":"delete_data"}]}}`
	left := `{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"read_data"}]}}`
	in = before + lines(
		"event: message",
		"id: 8",
		"data: "+full,
	) + lines(
		"data:"+full[:42],
		"data: "+full[42:],
		": inside",
	) + after
	half := strings.Join([]string{full[:42], full[42:]}, "\n")
	cut := strings.Replace(strings.Replace(half, `{"name":"write_data"},`, "", 1), `,{"name":"delete_data"}`, "", 1)
	want = before + "event: message\nid: 8\ndata: " + left + "\n\n" + "data: " + strings.ReplaceAll(
		cut,
		"\n",
		"\ndata: ",
	) + "\n: inside\n\n" + after
	return in, want
}

func TestEvents_OnlyListsOfToolsAreTouched(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]string{"LF": "\n", "CRLF": "\r\n", "CR": "\r"} {
		in, want := eventStream(end)
		for size := 1; size <= len(in); size += 1 + size/7 {
			f := newEventFilter(filterOf("data:read"))
			var got []byte
			for part := range slices.Chunk([]byte(in), size) {
				out, err := f.feed(part)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, out...)
			}
			rest, err := f.end()
			if err != nil {
				t.Fatal(err)
			}
			if got = append(got, rest...); string(got) != want {
				t.Fatalf("%s in pieces of %d:\n got %q\nwant %q", name, size, got, want)
			}
		}
	}
}

func TestEvents_UntouchedOnesKeepTheirLineEnds(t *testing.T) {
	t.Parallel()
	in := "\ufeff: hi\r\n\r\nevent: a\r\ndata: x tools\r\n\r\n\r\ndata: y\rdata: z\r\r\n\n\r"
	for size := 1; size <= len(in); size++ {
		f := newEventFilter(filterOf("data:read"))
		var got []byte
		for part := range slices.Chunk([]byte(in), size) {
			out, _ := f.feed(part)
			got = append(got, out...)
		}
		rest, _ := f.end()
		if got = append(got, rest...); string(got) != in {
			t.Fatalf("in pieces of %d: %q", size, got)
		}
	}
}

func TestEvents_AnUnfinishedOneIsFilteredToo(t *testing.T) {
	t.Parallel()
	for _, in := range []string{
		`data: {"result":{"tools":[{"name":"delete_data"}]}}`,
		"data: {\"result\":{\"tools\":[{\"name\":\"delete_data\"}]}}\n",
		"\ufeffdata: {\"result\":{\"tools\":[{\"name\":\"delete_data\"}]}}\n\n",
		"data\n" + "data:{\"result\":{\"t\\u006fols\":[{\"name\":\"delete_data\"}]}}\n\n",
	} {
		f := newEventFilter(filterOf("data:read"))
		out, err := f.feed([]byte(in))
		if err != nil {
			t.Fatal(err)
		}
		rest, err := f.end()
		if err != nil || bytes.Contains(append(out, rest...), []byte("delete_data")) {
			t.Errorf("%q became %q %q, %v", in, out, rest, err)
		}
	}
}

func TestEvents_SizeIsBounded(t *testing.T) {
	t.Parallel()
	f := newEventFilter(filterOf("data:read"))
	var err error
	for i := 0; i < maxEvent/1024+2 && err == nil; i++ {
		_, err = f.feed(bytes.Repeat([]byte("a"), 1024))
	}
	if err == nil {
		t.Fatal("an endless event was collected")
	}
}

// FuzzEvents feeds a stream in pieces: the cuts must not matter, and no list may come out with a tool that is not allowed.
func FuzzEvents(f *testing.F) {
	for _, end := range []string{"\n", "\r\n", "\r"} {
		in, _ := eventStream(end)
		f.Add([]byte(in), 7)
	}
	f.Add([]byte("data: {\"result\":{\"tools\":[{\"name\":\"delete_data\"}]}}"), 1)
	f.Fuzz(func(t *testing.T, in []byte, size int) {
		run := func(size int) (string, bool) {
			e := newEventFilter(filterOf("data:read"))
			var out []byte
			for part := range slices.Chunk(in, size) {
				o, err := e.feed(part)
				if out = append(out, o...); err != nil {
					return string(out), false
				}
			}
			o, err := e.end()
			return string(append(out, o...)), err == nil
		}
		whole, ok := run(len(in) + 1)
		pieces, ok2 := run(max(1, size%50))
		if ok != ok2 || ok && whole != pieces {
			t.Fatalf("whole %q %v, in pieces %q %v", whole, ok, pieces, ok2)
		}
		if !ok {
			return
		}
		// Whatever a client would read as a list must be one the filter has nothing left to take out of.
		for _, data := range eventData(whole) {
			again, err := filterOf("data:read").json([]byte(data))
			if err == nil && string(again) != data {
				t.Fatalf("%q came out of %q", data, in)
			}
		}
	})
}

// eventData reads a stream as the SSE specification says.
func eventData(s string) []string {
	s = strings.TrimPrefix(s, "\ufeff")
	s = strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
	var out, data []string
	for _, line := range append(strings.Split(s, "\n"), "") {
		if line == "" {
			if len(data) > 0 {
				out = append(out, strings.Join(data, "\n"))
			}
			data = nil
			continue
		}
		if rest, ok := strings.CutPrefix(line, "data:"); ok {
			data = append(data, strings.TrimPrefix(rest, " "))
		}
	}
	return out
}

func TestToolsList_InEvents(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	in, _ := eventStream("\n")
	w.upstream.answer = listAnswer("text/event-stream", in)
	// A GET stream replays what was lost.
	for method, body := range map[string]string{http.MethodPost: listBody, http.MethodGet: ""} {
		a := w.call(t, method, "/mcp", w.token("data:read"), body).want(t, http.StatusOK)
		if strings.Contains(a.body, "delete_data") || strings.Count(a.body, "read_data") != 2 {
			t.Errorf("%s: %s", method, a.body)
		}
		if a.header.Get("Content-Type") != "text/event-stream" || a.header.Get("X-Accel-Buffering") != "no" ||
			a.header.Get("Cache-Control") != "no-store, no-transform" {
			t.Errorf("%s: %v", method, a.header)
		}
	}
	// Streams of other calls pass as they are.
	a := w.call(t, http.MethodPost, "/mcp", w.token("data:read"), callBody(1, "read_data")).want(t, http.StatusOK)
	if a.body != in {
		t.Error("a stream that lists nothing was changed")
	}
}

func FuzzListFilter(f *testing.F) {
	f.Add([]byte(`{"id":1,"result":{"tools":` + allTools + `,"cacheScope":"public"}}`))
	f.Add([]byte(fmt.Sprintf("[%s,%s]", `{"result":{"tools":[],"ttlMs":1}}`, `{"error":{}}`)))
	f.Fuzz(func(t *testing.T, raw []byte) {
		out, err := filterOf("data:read").json(raw)
		if err != nil {
			return
		}
		if err := checkJSON(out, maxResponseDepth); err != nil {
			t.Fatalf("%q became %q: %v", raw, out, err)
		}
		again, err := filterOf("data:read").json(out)
		if err != nil || !bytes.Equal(again, out) {
			t.Fatalf("%q became %q, then %q", raw, out, again)
		}
	})
}
