package gate

import (
	"bytes"
	"encoding/json"
	"net/http"

	"github.com/ostiary/ostiary/app/policy"
)

// hostChatGPT is the host that reads permissions where no specification puts them: on each tool, and in the result of a call.
const hostChatGPT = "chatgpt"

// Members of that dialect.
const (
	memberSchemes   = "securitySchemes"
	memberMeta      = "_meta"
	memberChallenge = "mcp/www_authenticate"
)

// speaksDialect reports whether who asks reads permissions the way ChatGPT does. The issuer has checked which host it is.
func speaksDialect(s policy.Subject) bool { return s.Host == hostChatGPT }

// insufficientInResult asks for more in a tool result: the host shows its user a button for it, which it does not on a 403. Only
// a lone tools/call can be answered so; nil otherwise.
func insufficientInResult(b body, c challenge) *denial {
	if b.batch || len(b.messages) != 1 || b.messages[0].method != methodCall || b.messages[0].kind != request {
		return nil
	}
	return &denial{status: http.StatusOK, body: map[string]any{
		"jsonrpc": "2.0", "id": json.RawMessage(b.messages[0].id),
		"result": map[string]any{
			"isError": true,
			"content": []map[string]string{{"type": "text", "text": c.description}},
			"_meta":   map[string]any{memberChallenge: []string{c.header()}},
		},
	}}
}

// withSchemes returns a tool of a list that says which scopes it needs. What the MCP server says about that itself is left out:
// the policy decides.
func withSchemes(raw []byte, required []string) []byte {
	schemes, err := json.Marshal([]map[string]any{{"type": "oauth2", "scopes": required}})
	if err != nil {
		return raw
	}
	var members [][]byte
	meta := [][]byte{memberOf(memberSchemes, schemes)}
	_ = eachMember(raw, 0, func(key []byte, from, to int) error {
		switch string(key) {
		case memberSchemes:
		case memberMeta:
			if raw[from] == '{' {
				_ = eachMember(raw, from, func(key []byte, from, to int) error {
					if string(key) != memberSchemes {
						meta = append(meta, memberOf(string(key), raw[from:to]))
					}
					return nil
				})
			}
		default:
			members = append(members, memberOf(string(key), raw[from:to]))
		}
		return nil
	})
	members = append(members, memberOf(memberSchemes, schemes), memberOf(memberMeta, joined(meta)))
	return joined(members)
}

func memberOf(key string, value []byte) []byte {
	quoted, err := json.Marshal(key)
	if err != nil { // a string always has a form
		quoted = []byte(`""`)
	}
	return append(append(quoted, ':'), value...)
}

func joined(members [][]byte) []byte {
	return append(append([]byte{'{'}, bytes.Join(members, []byte{','})...), '}')
}
