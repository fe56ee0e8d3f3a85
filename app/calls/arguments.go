package calls

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
)

const (
	maxDepth    = 32
	maxExponent = 300 // of a number: within what every reader can hold
	notKept     = `"(not kept)"`
)

// cleanArguments replaces values that would be refused by a note, and leaves out what there is no room for.
func (r *Record) cleanArguments() {
	if len(r.Arguments) == 0 {
		return
	}
	room := MaxArgumentBytes - len("{")
	for _, name := range slices.Sorted(maps.Keys(r.Arguments)) {
		value, ok := canonical(r.Arguments[name])
		if !ok || cost(name, value) > room {
			value = json.RawMessage(notKept)
		}
		if cost(name, value) > room || !isPlain(name) {
			delete(r.Arguments, name)
			continue
		}
		room -= cost(name, value)
		r.Arguments[name] = value
	}
}

func cost(name string, value json.RawMessage) int { return len(name) + len(value) + len(`"":,`) }

// checkArguments puts arguments into a form that Postgres takes, and says what is wrong when there is none.
func (r *Record) checkArguments() (problem string) {
	total := len("{")
	for name, raw := range r.Arguments {
		value, ok := canonical(raw)
		if !ok || !isPlain(name) {
			return "hold a value that cannot be kept"
		}
		if total += cost(name, value); total > MaxArgumentBytes {
			return "are longer than 4096 bytes"
		}
		r.Arguments[name] = value
	}
	return ""
}

// canonical writes a JSON value anew. It is false for what jsonb does not take: U+0000, numbers out of any range; and for
// what is nested without end.
func canonical(raw json.RawMessage) (json.RawMessage, bool) {
	if len(raw) > 4*MaxArgumentBytes {
		return nil, false
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var v any
	if decoder.Decode(&v) != nil || !keepable(v, maxDepth) {
		return nil, false
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if encoder.Encode(v) != nil {
		return nil, false
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), true
}

func keepable(v any, depth int) bool {
	if depth == 0 {
		return false
	}
	switch v := v.(type) {
	case string:
		return !strings.Contains(v, "\x00")
	case json.Number:
		return isModest(v.String())
	case []any:
		for _, e := range v {
			if !keepable(e, depth-1) {
				return false
			}
		}
	case map[string]any:
		for name, e := range v {
			if strings.Contains(name, "\x00") || !keepable(e, depth-1) {
				return false
			}
		}
	}
	return true
}

func isModest(number string) bool {
	at := strings.IndexAny(number, "eE")
	if at < 0 {
		return true
	}
	exponent, err := strconv.Atoi(number[at+1:])
	return err == nil && exponent <= maxExponent && exponent >= -maxExponent
}
