package gate

import (
	"github.com/ostiary/ostiary/app/policy"
)

// nameKey is the member of params that Mcp-Name repeats (MCP 2026-07-28, standard request headers).
func nameKey(method string) string {
	switch method {
	case methodCall, methodPrompt:
		return "name"
	case methodRead:
		return "uri"
	default:
		return ""
	}
}

// aboutSomething reports whether a method names what the policy decides about.
func aboutSomething(method string) bool {
	return nameKey(method) != "" || method == methodSubscribe || method == methodComplete || method == methodListen
}

// findTargets reads what a message is about. The error is a *refusal.
func (m *message) findTargets() error {
	switch m.method {
	case methodCall:
		return m.one(policy.TargetTool, "name")
	case methodPrompt:
		return m.one(policy.TargetPrompt, "name")
	case methodRead, methodSubscribe:
		return m.one(policy.TargetContent, "uri")
	case methodComplete:
		return m.completion()
	case methodListen:
		return m.subscriptions()
	default:
		return nil
	}
}

// one reads the member of params that names the only target.
func (m *message) one(kind policy.TargetKind, key string) error {
	if m.params == nil {
		return badBody(rpcInvalidParams, "%s needs params.%s", m.method, key)
	}
	value, err := member(m.params, key)
	if err != nil {
		return err
	}
	name, ok := textOf(value)
	if !ok || name == "" {
		return badBody(rpcInvalidParams, "%s needs params.%s", m.method, key)
	}
	if nameKey(m.method) != "" {
		m.name = name
	}
	m.targets = []policy.Target{{Kind: kind, Name: name}}
	return nil
}

// completion reads params.ref: the arguments of a prompt or of a content's URI template are as secret as they are.
// Without a ref there is nothing to complete, and no server does.
func (m *message) completion() error {
	ref, err := object(m.params, "ref")
	if ref == nil || err != nil {
		return err
	}
	var parts [3]string
	for i, key := range [...]string{"type", "name", "uri"} {
		value, err := member(ref, key)
		if err != nil {
			return err
		}
		parts[i], _ = textOf(value)
	}
	switch kind, name, uri := parts[0], parts[1], parts[2]; {
	case kind == "ref/prompt" && name != "":
		m.targets = []policy.Target{{Kind: policy.TargetPrompt, Name: name}}
	case kind == "ref/resource" && uri != "":
		m.targets = []policy.Target{{Kind: policy.TargetContent, Name: uri}}
	default:
		return badBody(rpcInvalidParams, "%s has a params.ref that is neither a prompt nor a resource", m.method)
	}
	return nil
}

// subscriptions reads params.notifications.resourceSubscriptions, a list of URIs.
func (m *message) subscriptions() error {
	wanted, err := object(m.params, "notifications")
	if wanted == nil || err != nil {
		return err
	}
	const key = "resourceSubscriptions"
	list, err := member(wanted, key)
	if list == nil || err != nil || string(list) == "null" {
		return err
	}
	malformed := badBody(rpcInvalidParams, "%s has a params.notifications.%s that is not a list of URIs", m.method, key)
	if list[0] != '[' {
		return malformed
	}
	return eachElement(list, 0, func(start, end int) error {
		uri, ok := textOf(list[start:end])
		if !ok || uri == "" || len(m.targets) == maxBatch {
			return malformed
		}
		m.targets = append(m.targets, policy.Target{Kind: policy.TargetContent, Name: uri})
		return nil
	})
}

// object returns the member of params that is an object, nil when it is absent or null.
func object(params []byte, key string) ([]byte, error) {
	if len(params) == 0 || params[0] != '{' {
		return nil, nil
	}
	value, err := member(params, key)
	if err != nil || value == nil || string(value) == "null" {
		return nil, err
	}
	if value[0] != '{' {
		return nil, badBody(rpcInvalidParams, "params.%s is not an object", key)
	}
	return value, nil
}

// member returns the value of a key, nil when it is absent. A key that differs from it only in case is refused.
func member(object []byte, wanted string) ([]byte, error) {
	var value []byte
	err := eachMember(object, 0, func(key []byte, start, end int) error {
		switch {
		case string(key) == wanted:
			value = object[start:end]
		case foldsInto(key, wanted):
			return badBody(rpcInvalidParams, "the params have a key in unusual case")
		}
		return nil
	})
	return value, err
}
