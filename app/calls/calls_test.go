package calls_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ostiary/ostiary/app/calls"
	"github.com/ostiary/ostiary/app/policy"
	"github.com/ostiary/ostiary/app/secret"
)

var noon = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

func bounds() calls.Bounds { return calls.Bounds{Now: noon, Oldest: noon.AddDate(0, 0, -90)} }

func good() calls.Record {
	return calls.Record{
		ID: secret.NewID("call"), At: noon, Kind: policy.TargetTool, Tool: "run_query", User: "usr_1", Client: "https://host.example/c",
		Proof: calls.ProofToken, Scopes: []string{"data:read"}, Allowed: true, Reason: policy.ReasonAllowed, Status: 200,
	}
}

func encode(t testing.TB, v any) []byte {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// One record that cannot be kept is named; those around it stay.
func TestDecode_RefusesARecordAndKeepsItsNeighbours(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*calls.Record)
		field  string
	}{
		"no id":                 {func(r *calls.Record) { r.ID = "" }, "id"},
		"id of something else":  {func(r *calls.Record) { r.ID = secret.NewID("usr") }, "id"},
		"id in lower case":      {func(r *calls.Record) { r.ID = strings.ToLower(r.ID) }, "id"},
		"id with a quote":       {func(r *calls.Record) { r.ID = r.ID[:30] + "'" }, "id"},
		"no time":               {func(r *calls.Record) { r.At = time.Time{} }, "at"},
		"time ahead":            {func(r *calls.Record) { r.At = noon.Add(calls.Ahead + time.Second) }, "at"},
		"time before retention": {func(r *calls.Record) { r.At = noon.AddDate(-1, 0, 0) }, "at"},
		"unknown kind":          {func(r *calls.Record) { r.Kind = "shell" }, "kind"},
		"unknown proof":         {func(r *calls.Record) { r.Proof = "trust me" }, "proof"},
		"reason with spaces":    {func(r *calls.Record) { r.Reason = "because of" }, "reason"},
		"no tool":               {func(r *calls.Record) { r.Tool = "" }, "tool"},
		"NUL in the tool":       {func(r *calls.Record) { r.Tool = "run\x00query" }, "tool"},
		"huge tool":             {func(r *calls.Record) { r.Tool = strings.Repeat("x", 1<<20) }, "tool"},
		"terminal codes":        {func(r *calls.Record) { r.User = "\x1b[2J" }, "user"},
		"no user":               {func(r *calls.Record) { r.User = "" }, "user"},
		"huge client":           {func(r *calls.Record) { r.Client = strings.Repeat("x", 3000) }, "client"},
		"scope with a space":    {func(r *calls.Record) { r.Scopes = []string{"a b"} }, "scopes"},
		"too many scopes":       {func(r *calls.Record) { r.Scopes = strings.Split(strings.Repeat("a,", 300)+"a", ",") }, "scopes"},
		"empty missing scope":   {func(r *calls.Record) { r.Missing = []string{""} }, "missing"},
		"negative revision":     {func(r *calls.Record) { r.Revision = -1 }, "revision"},
		"revision beyond int32": {func(r *calls.Record) { r.Revision = 1 << 40 }, "revision"},
		"negative sequence":     {func(r *calls.Record) { r.Sequence = -1 }, "seq"},
		"status 9999":           {func(r *calls.Record) { r.Status = 9999 }, "status"},
		"latency of a year":     {func(r *calls.Record) { r.LatencyUS = 365 * 86400e6 }, "latency_us"},
		"NUL in an argument":    {arguments(`{"q":"a\u0000b"}`), "arguments"},
		"number beyond any":     {arguments(`{"q":1e999999}`), "arguments"},
		"argument without end":  {arguments(`{"q":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`), "arguments"},
		"huge arguments":        {arguments(`{"q":"` + strings.Repeat("x", 5000) + `"}`), "arguments"},
		"NUL in a nested name":  {arguments(`{"q":{"a\u0000":1}}`), "arguments"},
	} {
		bad := good()
		c.change(&bad)
		batch, refused, err := calls.Decode(encode(t, calls.Batch{Calls: []calls.Record{good(), bad, good()}}), bounds())
		if err != nil || len(batch.Calls) != 2 || len(refused) != 1 {
			t.Errorf("%s: %d kept, %v refused, %v", name, len(batch.Calls), refused, err)
			continue
		}
		if refused[0].Index != 1 || refused[0].Field != c.field || len(refused[0].Problem) > 100 {
			t.Errorf("%s: refused as %+v, want field %s", name, refused[0], c.field)
		}
	}
}

func arguments(raw string) func(*calls.Record) {
	return func(r *calls.Record) {
		if err := json.Unmarshal([]byte(raw), &r.Arguments); err != nil {
			panic(err)
		}
	}
}

func TestDecode_WrongTypesAreNamedToo(t *testing.T) {
	t.Parallel()
	batch, refused, err := calls.Decode([]byte(`{"calls":[{"status":"ok"},7,{"at":"yesterday"},`+
		string(encode(t, good()))+`]}`), bounds())
	if err != nil || len(batch.Calls) != 1 || len(refused) != 3 || refused[0].Field != "status" || refused[2].Index != 2 {
		t.Errorf("%d kept, %+v refused, %v", len(batch.Calls), refused, err)
	}
}

func TestDecode_RefusesWhatIsNoBatch(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"nothing": "", "text": "hello", "list": "[]", "no calls": "{}", "null": `{"calls":null}`, "two": `{"calls":[]}{}`,
		"negative loss": `{"calls":[],"dropped":-1}`, "not UTF-8 keys": "{\"calls\xff\":[]}",
	} {
		if _, _, err := calls.Decode([]byte(body), bounds()); !errors.Is(err, calls.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	many := calls.Batch{}
	for range calls.MaxBatch + 1 {
		many.Calls = append(many.Calls, good())
	}
	if _, _, err := calls.Decode(encode(t, many), bounds()); !errors.Is(err, calls.ErrTooMany) {
		t.Errorf("too many: %v", err)
	}
}

// Whatever a caller sends, the record of it is kept: a call must not be able to hide.
func TestClean_MakesEveryRecordAcceptable(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*calls.Record){
		"as it is":        func(*calls.Record) {},
		"NUL":             func(r *calls.Record) { r.Tool = "a\x00b" },
		"no UTF-8":        func(r *calls.Record) { r.Tool = "\xff\xfe\xfd" },
		"cut in a letter": func(r *calls.Record) { r.Tool = strings.Repeat("é", 2000) },
		"huge":            func(r *calls.Record) { r.Tool = strings.Repeat("\x00", 1<<20) },
		"empty":           func(r *calls.Record) { r.Tool, r.User = "", "" },
		"scopes":          func(r *calls.Record) { r.Scopes = []string{"", "a b", "c\x00", "ok"} },
		"many scopes": func(r *calls.Record) {
			r.Scopes = strings.Split(strings.Repeat(strings.Repeat("s", 250)+",", 400), ",")
		},
		"arguments": func(r *calls.Record) {
			r.Arguments = map[string]json.RawMessage{"q": json.RawMessage(`"\u0000"`), "far": json.RawMessage(`1e999999`),
				"odd": json.RawMessage(`"\ud800"`), "name\x00": json.RawMessage(`1`)}
		},
		"numbers": func(r *calls.Record) { r.Silence, r.LatencyUS, r.Status, r.Revision = -9, 1<<60, 42, -1 },
	} {
		r := good()
		change(&r)
		r.Clean()
		batch, refused, err := calls.Decode(encode(t, calls.Batch{Calls: []calls.Record{r}}), bounds())
		if err != nil || len(refused) > 0 {
			t.Errorf("%s: %+v, %v", name, refused, err)
			continue
		}
		if len(batch.Calls[0].Tool) > 1024 {
			t.Errorf("%s: the tool has %d bytes", name, len(batch.Calls[0].Tool))
		}
		again := r
		if again.Clean(); !reflect.DeepEqual(again, r) {
			t.Errorf("%s: cleaned twice it is %+v, once %+v", name, again, r)
		}
	}
	kept, untouched := good(), good()
	untouched.ID = kept.ID
	if kept.Clean(); !reflect.DeepEqual(kept, untouched) {
		t.Errorf("a good record is changed: %+v", kept)
	}
}

func TestClean_BoundsArguments(t *testing.T) {
	t.Parallel()
	r := good()
	r.Arguments = map[string]json.RawMessage{
		"a": json.RawMessage(`"short"`), "long": json.RawMessage(`"` + strings.Repeat("x", calls.MaxArgumentBytes) + `"`),
		"nul": json.RawMessage(`"\u0000"`), "odd": json.RawMessage(`"\ud800"`), "broken": json.RawMessage(`{`),
		"exact": json.RawMessage(`1.50`), "name\x00": json.RawMessage(`1`), "far": json.RawMessage(`1e99999`),
	}
	for i := range 1000 {
		r.Arguments[fmt.Sprintf("field%d", i)] = json.RawMessage(`"0123456789"`)
	}
	r.Clean()
	if size := len(encode(t, r.Arguments)); size > calls.MaxArgumentBytes {
		t.Errorf("%d bytes are kept", size)
	}
	for name, want := range map[string]string{
		"a": `"short"`, "broken": `"(not kept)"`, "exact": "1.50", "far": `"(not kept)"`,
	} {
		if got := string(r.Arguments[name]); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	batch, refused, err := calls.Decode(encode(t, calls.Batch{Calls: []calls.Record{r}}), bounds())
	if err != nil || refused != nil || len(batch.Calls) != 1 {
		t.Errorf("%v, %v", refused, err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"calls":[{}]}`))
	f.Add(encode(f, calls.Batch{Calls: []calls.Record{good()}, Dropped: 3}))
	f.Add([]byte(`{"calls":[{"arguments":{"a":[1e9,"\u0000",{"b":null}]}}],"dropped":9223372036854775807}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		batch, refused, err := calls.Decode(raw, bounds())
		if err != nil {
			return
		}
		again, more, err := calls.Decode(encode(t, batch), bounds())
		if err != nil || len(more) > 0 || len(again.Calls) != len(batch.Calls) || len(refused)+len(batch.Calls) > calls.MaxBatch {
			t.Errorf("what was accepted is refused: %v, %v", more, err)
		}
	})
}
