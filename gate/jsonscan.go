package gate

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"unicode/utf8"
)

// The gate decides on a body that another program, in another language, then reads again. Whatever two JSON parsers could
// read differently is therefore refused, not interpreted: duplicate keys (first or last wins?), lone surrogates in keys,
// invalid UTF-8, byte order marks, several values in a row, nesting that only some parsers survive.

var (
	errJSONSyntax    = errors.New("the body is not valid JSON")
	errJSONDuplicate = errors.New("the body repeats a key within an object")
	errJSONDepth     = errors.New("the body is nested too deeply")
	errJSONText      = errors.New("the body contains text that is not valid Unicode")
)

// checkJSON accepts exactly one strict JSON value (RFC 8259) nested at most maxDepth levels.
func checkJSON(b []byte, maxDepth int) error {
	if !utf8.Valid(b) {
		return errJSONText
	}
	var room [32]span // more keys than open objects of most bodies have
	c := jsonChecker{b: b, maxDepth: maxDepth, keys: room[:0]}
	if err := c.value(0); err != nil {
		return err
	}
	c.space()
	if c.i != len(b) {
		return errJSONSyntax
	}
	return nil
}

type jsonChecker struct {
	b        []byte
	i        int
	maxDepth int
	keys     []span // of the objects that are open, innermost last
}

// span is where a quoted key stands.
type span struct{ start, end int }

func (c *jsonChecker) space() {
	for c.i < len(c.b) && (c.b[c.i] == ' ' || c.b[c.i] == '\t' || c.b[c.i] == '\n' || c.b[c.i] == '\r') {
		c.i++
	}
}

// next skips space and consumes one byte if it is ch.
func (c *jsonChecker) next(ch byte) bool {
	c.space()
	if c.i >= len(c.b) || c.b[c.i] != ch {
		return false
	}
	c.i++
	return true
}

func (c *jsonChecker) value(depth int) error {
	c.space()
	if c.i >= len(c.b) {
		return errJSONSyntax
	}
	switch ch := c.b[c.i]; ch {
	case '{', '[':
		if depth >= c.maxDepth {
			return errJSONDepth
		}
		c.i++
		if ch == '{' {
			return c.object(depth + 1)
		}
		return c.array(depth + 1)
	case '"':
		_, err := c.text()
		return err
	case 't':
		return c.literal("true")
	case 'f':
		return c.literal("false")
	case 'n':
		return c.literal("null")
	default:
		return c.number()
	}
}

func (c *jsonChecker) array(depth int) error {
	if c.next(']') {
		return nil
	}
	for {
		if err := c.value(depth); err != nil {
			return err
		}
		if c.next(']') {
			return nil
		}
		if !c.next(',') {
			return errJSONSyntax
		}
	}
}

// manyKeys is from where a map finds duplicates faster than looking at all keys, and cannot be made quadratic.
const manyKeys = 24

func (c *jsonChecker) object(depth int) error {
	if c.next('}') {
		return nil
	}
	base := len(c.keys)
	defer func() { c.keys = c.keys[:base] }()
	var seen map[string]struct{}
	for {
		c.space()
		key, err := c.text()
		if err != nil {
			return err
		}
		if loneSurrogate(c.b[key.start:key.end]) {
			return errJSONText
		}
		if seen, err = c.remember(base, seen, key); err != nil {
			return err
		}
		if !c.next(':') {
			return errJSONSyntax
		}
		if err := c.value(depth); err != nil {
			return err
		}
		if c.next('}') {
			return nil
		}
		if !c.next(',') {
			return errJSONSyntax
		}
	}
}

// remember notes a key of the innermost object, in the list while there are few, in seen once there are many.
func (c *jsonChecker) remember(base int, seen map[string]struct{}, key span) (map[string]struct{}, error) {
	if seen == nil {
		for _, known := range c.keys[base:] {
			if c.sameKey(known, key) {
				return nil, errJSONDuplicate
			}
		}
		c.keys = append(c.keys, key)
		if len(c.keys)-base <= manyKeys {
			return nil, nil
		}
		seen = make(map[string]struct{}, 4*manyKeys)
		for _, known := range c.keys[base:] {
			seen[c.name(known)] = struct{}{}
		}
		return seen, nil
	}
	name := c.name(key)
	if _, known := seen[name]; known {
		return seen, errJSONDuplicate
	}
	seen[name] = struct{}{}
	return seen, nil
}

// sameKey compares keys as the text they stand for.
func (c *jsonChecker) sameKey(a, b span) bool {
	ka, kb := c.b[a.start:a.end], c.b[b.start:b.end]
	if bytes.Equal(ka, kb) {
		return true
	}
	if bytes.IndexByte(ka, '\\') < 0 && bytes.IndexByte(kb, '\\') < 0 {
		return false
	}
	return c.name(a) == c.name(b)
}

func (c *jsonChecker) name(key span) string {
	name, _ := unquote(c.b[key.start:key.end]) // it has no lone surrogate, which is all that could fail
	return string(name)
}

// text consumes a string and returns where it stands, quotes included.
func (c *jsonChecker) text() (span, error) {
	if c.i >= len(c.b) || c.b[c.i] != '"' {
		return span{}, errJSONSyntax
	}
	start := c.i
	for c.i++; c.i < len(c.b); c.i++ {
		switch ch := c.b[c.i]; {
		case ch == '"':
			c.i++
			return span{start, c.i}, nil
		case ch < ' ':
			return span{}, errJSONSyntax
		case ch == '\\':
			if err := c.escape(); err != nil {
				return span{}, err
			}
		}
	}
	return span{}, errJSONSyntax
}

// escape checks what follows a backslash and stops on its last byte.
func (c *jsonChecker) escape() error {
	c.i++
	if c.i >= len(c.b) {
		return errJSONSyntax
	}
	switch c.b[c.i] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return nil
	case 'u':
		if _, ok := hex4(c.b[c.i+1:]); !ok {
			return errJSONSyntax
		}
		c.i += 4
		return nil
	default:
		return errJSONSyntax
	}
}

func (c *jsonChecker) literal(word string) error {
	if !bytes.HasPrefix(c.b[c.i:], []byte(word)) {
		return errJSONSyntax
	}
	c.i += len(word)
	return nil
}

func (c *jsonChecker) number() error {
	c.byteIn("-")
	if !c.byteIn("0") && c.digits() == 0 {
		return errJSONSyntax
	}
	if c.byteIn(".") && c.digits() == 0 {
		return errJSONSyntax
	}
	if c.byteIn("eE") {
		c.byteIn("+-")
		if c.digits() == 0 {
			return errJSONSyntax
		}
	}
	return nil
}

func (c *jsonChecker) byteIn(set string) bool {
	if c.i < len(c.b) && strings.IndexByte(set, c.b[c.i]) >= 0 {
		c.i++
		return true
	}
	return false
}

func (c *jsonChecker) digits() int {
	start := c.i
	for c.i < len(c.b) && c.b[c.i] >= '0' && c.b[c.i] <= '9' {
		c.i++
	}
	return c.i - start
}

func hex4(b []byte) (rune, bool) {
	if len(b) < 4 {
		return 0, false
	}
	var r rune
	for _, ch := range b[:4] {
		switch {
		case ch >= '0' && ch <= '9':
			r = r<<4 | rune(ch-'0')
		case ch >= 'a' && ch <= 'f':
			r = r<<4 | rune(ch-'a'+10)
		case ch >= 'A' && ch <= 'F':
			r = r<<4 | rune(ch-'A'+10)
		default:
			return 0, false
		}
	}
	return r, true
}

// unquote returns the text of a checked JSON string. It fails on lone surrogates, which no two languages treat alike.
func unquote(quoted []byte) ([]byte, bool) {
	inner := quoted[1 : len(quoted)-1]
	if bytes.IndexByte(inner, '\\') < 0 {
		return inner, true
	}
	if loneSurrogate(inner) {
		return nil, false
	}
	var s string
	if err := json.Unmarshal(quoted, &s); err != nil {
		return nil, false
	}
	return []byte(s), true
}

func loneSurrogate(inner []byte) bool {
	for i := 0; i < len(inner); i++ {
		if inner[i] != '\\' {
			continue
		}
		i++
		if inner[i] != 'u' {
			continue
		}
		r, _ := hex4(inner[i+1:])
		i += 4
		if r < 0xd800 || r > 0xdfff {
			continue
		}
		if r > 0xdbff || i+6 >= len(inner) || inner[i+1] != '\\' || inner[i+2] != 'u' {
			return true
		}
		low, _ := hex4(inner[i+3:])
		if low < 0xdc00 || low > 0xdfff {
			return true
		}
		i += 6
	}
	return false
}

// The walkers below read JSON that checkJSON has accepted; positions are offsets into the whole buffer, so that an answer can
// be edited in place.

// skipSpace returns the first position at or after i that is not space.
func skipSpace(b []byte, i int) int {
	for b[i] == ' ' || b[i] == '\t' || b[i] == '\n' || b[i] == '\r' {
		i++
	}
	return i
}

// skipValue returns the position after the value at i.
func skipValue(b []byte, i int) int {
	switch b[i] {
	case '"':
		return skipText(b, i)
	case '{', '[':
		depth := 0
		for {
			switch b[i] {
			case '"':
				i = skipText(b, i)
				continue
			case '{', '[':
				depth++
			case '}', ']':
				depth--
			}
			i++
			if depth == 0 {
				return i
			}
		}
	default:
		for i < len(b) && strings.IndexByte(",]} \t\r\n", b[i]) < 0 {
			i++
		}
		return i
	}
}

func skipText(b []byte, i int) int {
	for i++; b[i] != '"'; i++ {
		if b[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// eachMember calls f with every key of the object at i and the range of its value.
func eachMember(b []byte, i int, f func(key []byte, start, end int) error) error {
	i = skipSpace(b, i+1)
	for b[i] != '}' {
		end := skipText(b, i)
		key, _ := unquote(b[i:end]) // checkJSON has accepted it
		start := skipSpace(b, skipSpace(b, end)+1)
		end = skipValue(b, start)
		if err := f(key, start, end); err != nil {
			return err
		}
		if i = skipSpace(b, end); b[i] == ',' {
			i = skipSpace(b, i+1)
		}
	}
	return nil
}

// eachElement calls f with the range of every element of the array at i.
func eachElement(b []byte, i int, f func(start, end int) error) error {
	i = skipSpace(b, i+1)
	for b[i] != ']' {
		end := skipValue(b, i)
		if err := f(i, end); err != nil {
			return err
		}
		if i = skipSpace(b, end); b[i] == ',' {
			i = skipSpace(b, i+1)
		}
	}
	return nil
}
