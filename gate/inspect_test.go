package gate

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/ostiary/ostiary/app/policy"
)

func nested(open, closing string, n int) string {
	return strings.Repeat(open, n) + "1" + strings.Repeat(closing, n)
}

// smuggled are bodies that some JSON parser or MCP server would read as a call of delete_data.
func smuggled() map[string]string {
	const head = `{"jsonrpc":"2.0","id":1,`
	const call = head + `"method":"tools/call",`
	return map[string]string{
		"method twice":               head + `"method":"tools/list","method":"tools/call","params":{"name":"delete_data"}}`,
		"method twice, one escaped":  head + `"method":"ping","meth\u006fd":"tools/call","params":{"name":"delete_data"}}`,
		"method in capitals too":     head + `"method":"ping","METHOD":"tools/call","params":{"name":"delete_data"}}`,
		"method in capitals only":    head + `"Method":"tools/call","params":{"name":"delete_data"}}`,
		"params twice":               call + `"params":{"name":"read_data"},"params":{"name":"delete_data"}}`,
		"params in capitals too":     call + `"params":{"name":"read_data"},"Params":{"name":"delete_data"}}`,
		"name twice":                 head + `"method":"tools/call","params":{"name":"read_data","name":"delete_data"}}`,
		"name twice, one escaped":    head + `"method":"tools/call","params":{"name":"read_data","n\u0061me":"delete_data"}}`,
		"name in capitals too":       head + `"method":"tools/call","params":{"name":"read_data","Name":"delete_data"}}`,
		"name in capitals only":      head + `"method":"tools/call","params":{"NAME":"delete_data"}}`,
		"method with long s":         call + `"param\u017f":{"name":"delete_data"},"params":{"name":"read_data"}}`,
		"duplicate in arguments":     call + `"params":{"name":"read_data","arguments":{"id":1,"id":2}}}`,
		"duplicate deep down":        head + `"method":"ping","params":{"a":[{"b":{"c":1,"c":2}}]}}`,
		"duplicate among many":       head + `"method":"ping","params":{` + manyMembers(100) + `,"k7":1}}`,
		"two values":                 head + `"method":"ping"}` + callBody(1, "delete_data"),
		"two values on two lines":    head + `"method":"ping"}` + "\n" + callBody(1, "delete_data"),
		"garbage behind":             head + `"method":"ping"}x`,
		"NUL behind":                 head + `"method":"ping"}` + "\x00",
		"byte order mark":            "\ufeff" + callBody(1, "delete_data"),
		"comment":                    head + `/*"method":"ping",*/"method":"tools/call","params":{"name":"delete_data"}}`,
		"trailing comma":             head + `"method":"ping",}`,
		"single quotes":              `{'jsonrpc':'2.0','id':1,'method':'tools/call','params':{'name':'delete_data'}}`,
		"NaN":                        head + `"method":"ping","params":{"x":NaN}}`,
		"leading zero":               head + `"method":"ping","params":{"x":01}}`,
		"plus sign":                  head + `"method":"ping","params":{"x":+1}}`,
		"bare dot":                   head + `"method":"ping","params":{"x":1.}}`,
		"raw control character":      head + "\"method\":\"ping\",\"params\":{\"x\":\"a\nb\"}}",
		"raw NUL":                    head + "\"method\":\"ping\x00\"}",
		"unknown escape":             head + `"method":"pin\g"}`,
		"short escape":               head + `"method":"ping","params":{"x":"\u12"}}`,
		"invalid UTF-8":              head + "\"method\":\"ping\",\"params\":{\"x\":\"\xff\"}}",
		"overlong UTF-8":             head + "\"method\":\"tools\xc0\xafcall\",\"params\":{\"name\":\"delete_data\"}}",
		"surrogate in UTF-8":         head + "\"method\":\"ping\",\"params\":{\"x\":\"\xed\xa0\x80\"}}",
		"lone surrogate in a key":    head + `"method":"ping","params":{"\ud800":1}}`,
		"lone surrogate in a name":   head + `"method":"tools/call","params":{"name":"delete_data\udfff"}}`,
		"lone surrogate in a method": head + `"method":"tools/call\ud800","params":{"name":"delete_data"}}`,
		"deep arrays":                head + `"method":"ping","params":{"x":` + nested("[", "]", 200) + `}}`,
		"deep objects":               head + `"method":"ping","params":{"x":` + nested(`{"a":`, "}", 200) + `}}`,
		"very deep":                  strings.Repeat("[", 1<<20),
		"unclosed":                   head + `"method":"ping"`,
		"unclosed string":            head + `"method":"ping`,
		"empty object":               `{}`,
		"a string":                   `"tools/call"`,
		"a number":                   `1`,
		"null":                       `null`,
		"no version":                 `{"id":1,"method":"tools/call","params":{"name":"delete_data"}}`,
		"version 1":                  `{"jsonrpc":"1.0","id":1,"method":"tools/call","params":{"name":"delete_data"}}`,
		"version as a number":        `{"jsonrpc":2.0,"id":1,"method":"tools/call","params":{"name":"delete_data"}}`,
		"version in capitals":        `{"JSONRPC":"2.0","id":1,"method":"tools/call","params":{"name":"delete_data"}}`,
		"method is a list":           head + `"method":["tools/call"],"params":{"name":"delete_data"}}`,
		"method is null":             head + `"method":null,"params":{"name":"delete_data"}}`,
		"method is empty":            head + `"method":"","params":{"name":"delete_data"}}`,
		"method with space":          head + `"method":" tools/call","params":{"name":"delete_data"}}`,
		"method with capitals":       head + `"method":"Tools/Call","params":{"name":"delete_data"}}`,
		"method with slash":          head + `"method":"tools/call/","params":{"name":"delete_data"}}`,
		"list with capitals":         head + `"method":"TOOLS/LIST"}`,
		"method with NUL":            head + `"method":"tools/call\u0000","params":{"name":"delete_data"}}`,
		"method is endless":          head + `"method":"` + strings.Repeat("a", 200) + `"}`,
		"params are a list":          head + `"method":"tools/call","params":["delete_data"]}`,
		"params are a list, ping":    head + `"method":"ping","params":[1]}`,
		"params are a string":        head + `"method":"tools/call","params":"delete_data"}`,
		"params are null":            head + `"method":"tools/call","params":null}`,
		"no params":                  head + `"method":"tools/call"}`,
		"no name":                    head + `"method":"tools/call","params":{"arguments":{}}}`,
		"name is empty":              head + `"method":"tools/call","params":{"name":""}}`,
		"name is a list":             head + `"method":"tools/call","params":{"name":["delete_data"]}}`,
		"name is null":               head + `"method":"tools/call","params":{"name":null}}`,
		"id is an object":            `{"jsonrpc":"2.0","id":{},"method":"ping"}`,
		"id is a list":               `{"jsonrpc":"2.0","id":[1],"method":"ping"}`,
		"id is true":                 `{"jsonrpc":"2.0","id":true,"method":"ping"}`,
		"request and response":       head + `"method":"tools/call","params":{"name":"delete_data"},"result":{}}`,
		"request and error":          head + `"method":"tools/call","params":{"name":"delete_data"},"error":{}}`,
		"response with params":       head + `"result":{},"params":{"name":"delete_data"}}`,
		"result and error":           head + `"result":{},"error":{}}`,
		"response without id":        `{"jsonrpc":"2.0","result":{}}`,
		"only an id":                 `{"jsonrpc":"2.0","id":1}`,
		"empty batch":                `[]`,
		"batch in a batch":           `[[` + callBody(1, "delete_data") + `]]`,
		"batch with a string":        `[` + callBody(1, "read_data") + `,"x"]`,
		"batch with null":            `[null]`,
		"batch with a bad one": `[` + callBody(
			1,
			"read_data",
		) + `,{"jsonrpc":"2.0","id":1,"Method":"tools/call","params":{"name":"delete_data"}}]`,
		"batch beyond the limit": `[` + strings.Repeat(
			callBody(1, "read_data")+",",
			maxBatch,
		) + callBody(
			1,
			"read_data",
		) + `]`,
	}
}

func manyMembers(n int) string {
	var parts []string
	for i := range n {
		parts = append(parts, fmt.Sprintf(`"k%d":%d`, i, i))
	}
	return strings.Join(parts, ",")
}

func TestInspect_RefusesWhatTwoParsersCouldReadDifferently(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	token := w.token("data:read")
	for name, body := range smuggled() {
		t.Run(name, func(t *testing.T) {
			a := w.call(t, http.MethodPost, "/mcp", token, body)
			a.want(t, http.StatusBadRequest)
			var got rpcAnswer
			if err := json.Unmarshal([]byte(a.body), &got); err != nil || got.Error.Code == 0 || got.Error.Message == "" {
				t.Errorf("answered %s", a.body)
			}
		})
	}
	if w.upstream.count() != 0 {
		t.Errorf("%d of them reached the MCP server", w.upstream.count())
	}
}

func TestInspect_ReadsWhatClientsSend(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		body string
		want message
	}{
		"call": {callBody(3, "read_data"), message{kind: request, method: "tools/call", name: "read_data", id: []byte("3")}},
		"escaped name": {`{"jsonrpc":"2.0","id":"a","method":"tools\/call","params":{"name":"r\u0065ad_data"}}`,
			message{kind: request, method: "tools/call", name: "read_data", id: []byte(`"a"`)}},
		"emoji name": {`{"jsonrpc":"2.0","id":-1.5e3,"method":"tools/call","params":{"name":"\ud83d\ude00"}}`,
			message{kind: request, method: "tools/call", name: "😀", id: []byte("-1.5e3")}},
		"name comes last": {`{"params":{"arguments":{"name":"x","deep":[{"name":"y"}]},"name":"read_data"},` +
			`"method":"tools/call","id":1,"jsonrpc":"2.0"}`,
			message{kind: request, method: "tools/call", name: "read_data", id: []byte("1")}},
		"white space": {" \r\n\t{ \"jsonrpc\" : \"2.0\" , \"id\" : 1 , \"method\" : \"tools/list\" } \n",
			message{kind: request, method: "tools/list", name: "", id: []byte("1")}},
		"null id": {`{"jsonrpc":"2.0","id":null,"method":"ping"}`, message{kind: request, method: "ping", name: "", id: []byte("null")}},
		"notification": {`{"jsonrpc":"2.0","method":"notifications/initialized"}`,
			message{kind: notification, method: "notifications/initialized", name: "", id: nil}},
		"response":   {`{"jsonrpc":"2.0","id":9,"result":null}`, message{kind: reply, method: "", name: "", id: []byte("9")}},
		"null error": {`{"jsonrpc":"2.0","id":9,"result":{},"error":null}`, message{kind: reply, method: "", name: "", id: []byte("9")}},
		"extra members": {`{"jsonrpc":"2.0","id":1,"method":"ping","x-trace":{"a":1,"A":2}}`,
			message{kind: request, method: "ping", name: "", id: []byte("1")}},
		"lone surrogate in an argument": {`{"jsonrpc":"2.0",` +
			`"id":1,"method":"tools/call","params":{"name":"a","arguments":{"x":"\ud800"}}}`,
			message{kind: request, method: "tools/call", name: "a", id: []byte("1")}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, err := inspect([]byte(tc.body))
			if err != nil || b.batch || len(b.messages) != 1 {
				t.Fatalf("%+v, %v", b, err)
			}
			got := b.messages[0]
			if got.kind != tc.want.kind || got.method != tc.want.method || got.name != tc.want.name ||
				!bytes.Equal(got.id, tc.want.id) {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
		})
	}
}

func TestCheckJSON_ManyKeysStayLinear(t *testing.T) {
	t.Parallel()
	// Comparing every key with every other would take minutes here, not milliseconds.
	if err := checkJSON([]byte("{"+manyMembers(300_000)+"}"), 10); err != nil {
		t.Fatal(err)
	}
}

// FuzzInspect holds the inspection to what other parsers read: whatever it accepts means the same to encoding/json, which
// matches keys without regard to case and takes the last of two.
func FuzzInspect(f *testing.F) {
	for _, body := range smuggled() {
		if len(body) < 4096 {
			f.Add([]byte(body))
		}
	}
	f.Add([]byte(callBody(1, "read_data")))
	f.Add([]byte("[" + callBody(1, "read_data") + "," + listBody + "]"))
	f.Add([]byte(`{"jsonrpc":"2.0","id":9,"result":{"a":"\ud83d\ude00"}}`))
	for _, body := range []string{promptBody("draft"), readBody("file:///a"), completeBody("ref/prompt", "name", "draft"),
		completeBody("ref/resource", "uri", "file:///{x}"), listenBody("file:///a", "file:///b")} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		b, err := inspect(raw)
		if err != nil {
			if _, ok := errors.AsType[*refusal](err); !ok {
				t.Fatalf("not a refusal: %v", err)
			}
			return
		}
		if !json.Valid(raw) || !utf8.Valid(raw) {
			t.Fatalf("accepted invalid JSON: %q", raw)
		}
		type wire struct {
			Method string
			Params json.RawMessage
		}
		var all []wire
		if b.batch {
			err = json.Unmarshal(raw, &all)
		} else {
			all = make([]wire, 1)
			err = json.Unmarshal(raw, &all[0])
		}
		if err != nil || len(all) != len(b.messages) {
			t.Fatalf("%q: %d messages, encoding/json has %d and %v", raw, len(b.messages), len(all), err)
		}
		for i, m := range b.messages {
			if all[i].Method != m.method {
				t.Fatalf("%q: method %q, encoding/json reads %q", raw, m.method, all[i].Method)
			}
			if !aboutSomething(m.method) {
				continue
			}
			var params wireParams
			if err := json.Unmarshal(all[i].Params, &params); err != nil && all[i].Params != nil {
				t.Fatalf("%q: %v", raw, err)
			}
			if want := params.targets(m.method); !slices.Equal(m.targets, want) {
				t.Fatalf("%q: targets %v, encoding/json reads %v", raw, m.targets, want)
			}
		}
	})
}

// wireParams are those that name what a method is about, as encoding/json reads them.
type wireParams struct {
	Name, URI     any
	Ref           *struct{ Type, Name, URI any }
	Notifications *struct{ ResourceSubscriptions []string }
}

func (p wireParams) targets(method string) []policy.Target {
	switch method {
	case methodCall:
		return []policy.Target{{Kind: policy.TargetTool, Name: p.Name.(string)}}
	case methodPrompt:
		return []policy.Target{{Kind: policy.TargetPrompt, Name: p.Name.(string)}}
	case methodRead, methodSubscribe:
		return []policy.Target{{Kind: policy.TargetContent, Name: p.URI.(string)}}
	}
	var targets []policy.Target
	switch {
	case method == methodComplete && p.Ref != nil && p.Ref.Type == "ref/prompt":
		targets = append(targets, policy.Target{Kind: policy.TargetPrompt, Name: p.Ref.Name.(string)})
	case method == methodComplete && p.Ref != nil:
		targets = append(targets, policy.Target{Kind: policy.TargetContent, Name: p.Ref.URI.(string)})
	case method == methodListen && p.Notifications != nil:
		for _, uri := range p.Notifications.ResourceSubscriptions {
			targets = append(targets, policy.Target{Kind: policy.TargetContent, Name: uri})
		}
	}
	return targets
}

// FuzzCheckJSON compares the checker with encoding/json in both directions.
func FuzzCheckJSON(f *testing.F) {
	for _, s := range []string{`{"a":[1,2.5e-3,true,null,"x\u00e9"],"b":{}}`,
		`[]`, `"\ud83d\ude00"`, `-0`, `{"a":1,"a":2}`, `[1,]`, ` 1 `} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		err := checkJSON(raw, 100)
		if err == nil && !json.Valid(raw) {
			t.Fatalf("accepted %q", raw)
		}
		if errors.Is(err, errJSONSyntax) && json.Valid(raw) {
			t.Fatalf("refused %q", raw)
		}
		if err != nil {
			return
		}
		// The walkers must not leave the value.
		at := skipSpace(raw, 0)
		if end := skipValue(raw, at); len(bytes.TrimSpace(raw[end:])) != 0 {
			t.Fatalf("%q: the value ends at %d", raw, end)
		}
	})
}
