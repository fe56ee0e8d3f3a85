package catalogue

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
)

// Tool is one MCP tool as its server describes it.
type Tool struct {
	Name         string          `json:"name"`
	Title        string          `json:"title,omitempty"`
	Description  string          `json:"description,omitempty"`
	InputSchema  json.RawMessage `json:"inputSchema,omitempty"`
	OutputSchema json.RawMessage `json:"outputSchema,omitempty"`
	Annotations  *Annotations    `json:"annotations,omitempty"`
}

// Annotations are a server's hints about a tool. They decide nothing; a proposal starts from them.
type Annotations struct {
	Title       string `json:"title,omitempty"`
	ReadOnly    bool   `json:"readOnlyHint,omitempty"`    // absent means false
	Destructive *bool  `json:"destructiveHint,omitempty"` // absent means true, unless ReadOnly
	OpenWorld   *bool  `json:"openWorldHint,omitempty"`   // absent means true
}

// Fingerprint names a tool's name, description and schemas exactly: when one of them changes, so does it. It does not depend
// on the order of members nor on white space. The text is "sha256:" and 43 characters.
func (t Tool) Fingerprint() (string, error) {
	members := map[string]any{"name": t.Name, "description": t.Description}
	for name, schema := range map[string]json.RawMessage{"inputSchema": t.InputSchema, "outputSchema": t.OutputSchema} {
		if len(schema) == 0 {
			continue
		}
		var value any
		if err := json.Unmarshal(schema, &value); err != nil {
			return "", fmt.Errorf("%s of tool %q: %w", name, t.Name, err)
		}
		members[name] = value
	}
	// Members sorted, numbers by value, nothing escaped that need not be: in the spirit of RFC 8785.
	var canonical bytes.Buffer
	enc := json.NewEncoder(&canonical)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(members); err != nil {
		return "", fmt.Errorf("tool %q: %w", t.Name, err)
	}
	sum := sha256.Sum256(bytes.TrimSuffix(canonical.Bytes(), []byte("\n")))
	return "sha256:" + base64.RawURLEncoding.EncodeToString(sum[:]), nil
}
