package catalogue

import (
	"encoding/json"
	"slices"

	"github.com/ostiary/ostiary/app/policy"
)

// Hidden lists where a tool has characters that people do not see but models read: "name", "title", "description", "schema".
// Line breaks and tabs are seen.
func (t Tool) Hidden() []string {
	var places []string
	for _, text := range [...]struct{ place, value string }{
		{"name", t.Name}, {"title", t.Title}, {"description", t.Description},
	} {
		if policy.HasHidden(text.value) {
			places = append(places, text.place)
		}
	}
	if t.Annotations != nil && policy.HasHidden(t.Annotations.Title) && !slices.Contains(places, "title") {
		places = append(places, "title")
	}
	if schemaHides(t.InputSchema) || schemaHides(t.OutputSchema) {
		places = append(places, "schema")
	}
	return places
}

func schemaHides(raw json.RawMessage) bool {
	var value any
	if len(raw) == 0 || json.Unmarshal(raw, &value) != nil {
		return false
	}
	return valueHides(value)
}

func valueHides(value any) bool {
	switch v := value.(type) {
	case string:
		return policy.HasHidden(v)
	case []any:
		return slices.ContainsFunc(v, valueHides)
	case map[string]any:
		for key, member := range v {
			if policy.HasHidden(key) || valueHides(member) {
				return true
			}
		}
	}
	return false
}
