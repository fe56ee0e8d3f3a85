package catalogue

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// Limits of what a server may offer; beyond them it is refused, not cut.
const (
	MaxTools = 2000
	MaxBytes = 16 << 20
	maxName  = 256
)

// Parse reads tools from JSON as people have it at hand: the answer to tools/list, its result, or the bare list.
func Parse(raw []byte) ([]Tool, error) {
	if len(raw) > MaxBytes {
		return nil, fmt.Errorf("the list is larger than %d bytes", MaxBytes)
	}
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 {
		return nil, errors.New("there is nothing in it")
	}
	var tools []Tool
	if raw[0] == '[' {
		if err := json.Unmarshal(raw, &tools); err != nil {
			return nil, fmt.Errorf("not a list of tools: %w", err)
		}
		return tools, checkTools(tools)
	}
	var answer struct {
		Tools  []Tool `json:"tools"`
		Result struct {
			Tools      []Tool `json:"tools"`
			NextCursor string `json:"nextCursor"`
		} `json:"result"`
		NextCursor string          `json:"nextCursor"`
		Error      json.RawMessage `json:"error"`
	}
	if err := json.Unmarshal(raw, &answer); err != nil {
		return nil, fmt.Errorf("not an answer to tools/list: %w", err)
	}
	switch {
	case len(answer.Error) > 0:
		return nil, errors.New("this is an error and not a list of tools")
	case answer.NextCursor != "" || answer.Result.NextCursor != "":
		return nil, errors.New("this is one page of several (it has a nextCursor): put all pages into one list")
	}
	tools = answer.Tools
	if tools == nil {
		tools = answer.Result.Tools
	}
	if tools == nil {
		return nil, errors.New("there are no tools in it: paste the answer to tools/list")
	}
	return tools, checkTools(tools)
}

// checkTools refuses what no policy could name.
func checkTools(tools []Tool) error {
	if len(tools) > MaxTools {
		return fmt.Errorf("there are %d tools; at most %d are taken", len(tools), MaxTools)
	}
	seen := make(map[string]bool, len(tools))
	for i, t := range tools {
		switch {
		case t.Name == "":
			return fmt.Errorf("tool %d has no name", i+1)
		case len(t.Name) > maxName:
			return fmt.Errorf("the name of tool %d is longer than %d bytes", i+1, maxName)
		case seen[t.Name]:
			return fmt.Errorf("the tool %q is there twice", t.Name)
		}
		seen[t.Name] = true
	}
	return nil
}
