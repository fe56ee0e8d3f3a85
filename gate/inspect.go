package gate

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"

	"github.com/ostiary/ostiary/app/policy"
)

const (
	maxRequestDepth = 128
	maxBatch        = 100
	maxMethodLength = 128
)

// Methods the gate treats specially; every other one passes for any valid token.
const (
	methodCall          = "tools/call"
	methodPrompt        = "prompts/get"
	methodRead          = "resources/read"
	methodSubscribe     = "resources/subscribe"
	methodListen        = "subscriptions/listen" // MCP 2026-07-28, in place of resources/subscribe
	methodComplete      = "completion/complete"
	methodListTools     = "tools/list"
	methodListPrompts   = "prompts/list"
	methodListContents  = "resources/list"
	methodListTemplates = "resources/templates/list"
)

// special reports whether the gate treats a method specially.
func special(method string) bool {
	switch method {
	case methodCall, methodPrompt, methodRead, methodSubscribe, methodListen, methodComplete, methodListTools, methodListPrompts,
		methodListContents, methodListTemplates:
		return true
	default:
		return false
	}
}

// JSON-RPC 2.0 §5.1 error codes, then those of MCP, then the gate's own (-32000 to -32019 are free for implementations).
const (
	rpcParseError      = -32700
	rpcInvalidRequest  = -32600
	rpcInvalidParams   = -32602
	rpcInternal        = -32603
	rpcHeaderMismatch  = -32020
	rpcSessionNotFound = -32001 // what the official SDKs answer with 404
	rpcInsufficient    = -32010
	rpcBatchRefused    = -32011
	rpcUpstreamFailed  = -32012
	rpcStopped         = -32013
	rpcOutOfContact    = -32014
)

// kind says which of the JSON-RPC messages one is.
type kind uint8

const (
	request      kind = iota + 1 // has a method and an id
	notification                 // has a method
	reply                        // has a result or an error: the answer of a client to a server's request
)

// message is what the gate needs to know of one JSON-RPC message.
type message struct {
	kind    kind
	method  string
	name    string          // what Mcp-Name says: params.name, or params.uri of resources/read
	targets []policy.Target // what the policy decides about: also of a notification, some servers do not mind
	params  []byte          // as they stand in the body; nil when absent
	id      []byte          // likewise
}

// body is an inspected request body.
type body struct {
	messages []message
	batch    bool
}

// id is that of the only message, for error answers.
func (b body) id() []byte {
	if b.batch || len(b.messages) != 1 {
		return nil
	}
	return b.messages[0].id
}

func (b body) has(method string) bool {
	for _, m := range b.messages {
		if m.method == method {
			return true
		}
	}
	return false
}

// refusal is a request the gate does not understand, or understands only too well.
type refusal struct {
	status  int
	code    int
	message string
	id      []byte
}

func (r *refusal) Error() string { return r.message }

func badBody(code int, format string, args ...any) *refusal {
	return &refusal{status: http.StatusBadRequest, code: code, message: fmt.Sprintf(format, args...)}
}

// inspect reads a request body. The error is a *refusal.
func inspect(raw []byte) (body, error) {
	if err := checkJSON(raw, maxRequestDepth); err != nil {
		return body{}, badBody(rpcParseError, "%s", err)
	}
	at := skipSpace(raw, 0)
	switch raw[at] {
	case '{':
		m, err := readMessage(raw, at)
		if err != nil {
			return body{}, err
		}
		return body{messages: []message{m}}, nil
	case '[':
		return readBatch(raw, at)
	default:
		return body{}, badBody(rpcInvalidRequest, "the body is not a JSON-RPC message")
	}
}

func readBatch(raw []byte, at int) (body, error) {
	b := body{batch: true}
	err := eachElement(raw, at, func(start, _ int) error {
		if raw[start] != '{' {
			return badBody(rpcInvalidRequest, "the batch contains something that is not a JSON-RPC message")
		}
		if len(b.messages) == maxBatch {
			return badBody(rpcInvalidRequest, "the batch has more than %d messages", maxBatch)
		}
		m, err := readMessage(raw, start)
		b.messages = append(b.messages, m)
		return err
	})
	if err != nil {
		return body{}, err
	}
	if len(b.messages) == 0 {
		return body{}, badBody(rpcInvalidRequest, "the batch is empty")
	}
	return b, nil
}

// envelope is the raw shape of a JSON-RPC message: where its members are.
type envelope struct {
	version, method, params, id []byte
	result, failed              bool
}

func readMessage(raw []byte, at int) (message, error) {
	e, err := readEnvelope(raw, at)
	if err != nil {
		return message{}, err
	}
	if string(e.version) != `"2.0"` {
		return message{}, badBody(rpcInvalidRequest, `the message does not say "jsonrpc": "2.0"`)
	}
	if e.id != nil && e.id[0] != '"' && e.id[0] != '-' && (e.id[0] < '0' || e.id[0] > '9') && string(e.id) != "null" {
		return message{}, badBody(rpcInvalidRequest, "the id is neither a string nor a number")
	}
	if e.method == nil {
		if e.result == e.failed || e.id == nil || e.params != nil {
			return message{}, badBody(rpcInvalidRequest, "the message is neither a request nor a response")
		}
		return message{kind: reply, id: e.id}, nil
	}
	if e.result || e.failed {
		return message{}, badBody(rpcInvalidRequest, "the message is a request and a response at once")
	}
	return readRequest(e)
}

// readEnvelope finds the members of a message. A key that differs from a known one only in case is refused: some parsers
// (Go's among them) would take it for the known one.
func readEnvelope(raw []byte, at int) (envelope, error) {
	var e envelope
	err := eachMember(raw, at, func(key []byte, start, end int) error {
		value := raw[start:end]
		switch string(key) {
		case "jsonrpc":
			e.version = value
		case "method":
			e.method = value
		case "params":
			e.params = value
		case "id":
			e.id = value
		case "result":
			e.result = true
		case "error":
			e.failed = string(value) != "null"
		default:
			if foldsInto(key, "jsonrpc", "method", "params", "id", "result", "error") {
				return badBody(rpcInvalidRequest, "the message has a key in unusual case")
			}
		}
		return nil
	})
	return e, err
}

func readRequest(e envelope) (message, error) {
	m := message{kind: request, id: e.id}
	if e.id == nil {
		m.kind = notification
	}
	method, ok := textOf(e.method)
	if !ok || !soundMethod(method) {
		return message{}, badBody(rpcInvalidRequest, "the method is not an MCP method")
	}
	m.method, m.params = method, e.params
	if e.params != nil && e.params[0] != '{' && (string(e.params) != "null" || aboutSomething(method)) {
		return message{}, badBody(rpcInvalidRequest, "the params are not an object")
	}
	return m, m.findTargets()
}

// soundMethod keeps methods to the characters MCP uses, and refuses a spelling of those that are decided that a lenient server
// would accept and the gate would not recognize.
func soundMethod(method string) bool {
	if method == "" || len(method) > maxMethodLength {
		return false
	}
	for _, c := range []byte(method) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && !strings.ContainsRune("/_-.$", rune(c)) {
			return false
		}
	}
	plain := strings.ToLower(strings.Trim(method, "/"))
	return plain == method || !special(plain)
}

func foldsInto(key []byte, known ...string) bool {
	for _, k := range known {
		if bytes.EqualFold(key, []byte(k)) {
			return true
		}
	}
	return false
}

// textOf returns the text of a JSON value if it is a string.
func textOf(value []byte) (string, bool) {
	if len(value) == 0 || value[0] != '"' {
		return "", false
	}
	s, ok := unquote(value)
	return string(s), ok
}

// checkMirror compares Mcp-Method and Mcp-Name, where sent, with the body (MCP 2026-07-28, server validation). Whoever routes
// or limits by them in front of the gate must be able to rely on them.
func checkMirror(h http.Header, b body) error {
	methods, names := h.Values("Mcp-Method"), h.Values("Mcp-Name")
	if len(methods) == 0 && len(names) == 0 {
		return nil
	}
	mismatch := func(what string) error {
		return &refusal{status: http.StatusBadRequest, code: rpcHeaderMismatch, id: b.id(),
			message: "Header mismatch: " + what}
	}
	if len(methods) > 1 || len(names) > 1 || b.batch {
		return mismatch("Mcp-Method and Mcp-Name describe exactly one message")
	}
	m := b.messages[0]
	if len(methods) == 1 && methods[0] != m.method {
		return mismatch("Mcp-Method does not match the body")
	}
	if len(names) == 0 || nameKey(m.method) == "" {
		return nil
	}
	if name, ok := decodeHeader(names[0]); !ok || name != m.name {
		return mismatch("Mcp-Name does not match the body")
	}
	return nil
}

// decodeHeader undoes the Base64 sentinel encoding (MCP 2026-07-28, value encoding).
func decodeHeader(value string) (string, bool) {
	encoded, ok := strings.CutPrefix(value, "=?base64?")
	if !ok || !strings.HasSuffix(encoded, "?=") {
		return value, true
	}
	decoded, err := base64.StdEncoding.DecodeString(strings.TrimSuffix(encoded, "?="))
	return string(decoded), err == nil
}
