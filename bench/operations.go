package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// operation is one thing that clients do.
type operation struct {
	name  string
	about string
	// begin returns what one worker repeats against one side. It is nil for what alone measures itself.
	begin func(b *bench, s *side, w *worker) (step, error)
	// alone measures what no driver repeats over HTTP. Its note says what the table has no column for.
	alone func(b *bench, ctx context.Context) (m measured, note string, err error)
	// sides says where the two sides are, when not at the server and its limit. A limit that is "" is not measured.
	sides func(b *bench) (product, limit string, err error)
	// prepare makes what the operation needs on a side, once; nil when it needs nothing.
	prepare func(b *bench, s *side, workers []*worker) error
}

// step does an operation once.
type step func() error

// operations are all there are, in the order they are measured in.
func operations() []operation {
	return []operation{
		{name: "code", about: "code flow, login and consent remembered: GET /authorize, POST /token", begin: beginCode},
		{name: "login", about: "code flow with login and consent each time: 5 requests, password hashing made cheap", begin: beginLogin},
		{name: "refresh", about: "refresh with rotation: POST /token", begin: beginRefresh, prepare: prepareRefresh},
		{name: "machine", about: "client_credentials: POST /token, secret in the form", begin: beginMachine},
		{name: "introspect", about: "introspection of a user's token: POST /introspect", begin: beginIntrospect, prepare: prepareRefresh},
		{name: "register", about: "dynamic client registration: POST /register", begin: beginRegister},
		{name: "discovery", about: "metadata: GET /.well-known/oauth-authorization-server", begin: beginDocument((tenantIDs).discoveryPath)},
		{name: "jwks", about: "keys: GET /.well-known/jwks.json", begin: beginDocument((tenantIDs).jwksPath)},
		{name: "policy", about: "signed policy of one MCP server: GET /resources/…/policy", begin: beginDocument((tenantIDs).policyPath)},
		{name: "calls", about: "a gate's report of 200 calls: POST /resources/…/calls", begin: beginCalls, sides: (*bench).unlimited},
		{name: "gate", about: "one decision of the gate on a tool call, in process, token seen before", alone: (*bench).gate},
		{name: "proxy", about: "a tool call through the gate as a proxy; the limit is httputil.ReverseProxy alone, before the same server",
			begin: beginProxied(""), sides: (*bench).proxies},
		{name: "events", about: "the same, answered by 20 server-sent events", begin: beginProxied(eventsQuery), sides: (*bench).proxies},
		{name: "million", about: "a million calls on one gate, in process: what its memory grows by", alone: (*bench).million},
		{name: "stop", about: "a user is stopped: from before the commit to the denial at each of 100 gates", alone: (*bench).stop},
	}
}

func (t tenantIDs) discoveryPath() string {
	return "/.well-known/oauth-authorization-server" + t.BasePath
}
func (t tenantIDs) jwksPath() string   { return t.BasePath + "/.well-known/jwks.json" }
func (t tenantIDs) policyPath() string { return t.BasePath + "/resources/" + t.ResourceID + "/policy" }

func operationNames() string {
	var names []string
	for _, op := range operations() {
		names = append(names, op.name)
	}
	return strings.Join(names, ", ")
}

// choose returns the operations that a comma-separated list names; all of them when it is empty.
func choose(list string) ([]operation, error) {
	all := operations()
	if list == "" {
		return all, nil
	}
	var chosen []operation
	for name := range strings.SplitSeq(list, ",") {
		at := slices.IndexFunc(all, func(op operation) bool { return op.name == strings.TrimSpace(name) })
		if at < 0 {
			return nil, fmt.Errorf("there is no operation %q, only %s", name, operationNames())
		}
		chosen = append(chosen, all[at])
	}
	return chosen, nil
}

// beginDocument reads a public document, as every client does.
func beginDocument(path func(tenantIDs) string) func(*bench, *side, *worker) (step, error) {
	return func(b *bench, _ *side, w *worker) (step, error) {
		r := request{path: path(b.stand.tenant), host: b.stand.tenant.Host}
		return func() error {
			r.address = w.newAddress()
			if err := w.do(r); err != nil {
				return err
			}
			return w.expect(200)
		}, nil
	}
}

// beginRegister registers a client with a name of its own.
func beginRegister(b *bench, _ *side, w *worker) (step, error) {
	n := 0
	return func() error {
		n++
		_, err := registerClient(w, b.stand.tenant, fmt.Sprintf("Host %d.%d", w.index, n), webRedirect)
		return err
	}, nil
}

// registerClient returns the id of a new client.
func registerClient(w *worker, t tenantIDs, name, redirect string) (string, error) {
	body := `{"client_name":"` + name + `","redirect_uris":["` + redirect + `"],"token_endpoint_auth_method":"none",` +
		`"grant_types":["authorization_code","refresh_token"],"response_types":["code"]}`
	err := w.do(request{
		post: true, path: t.BasePath + "/register", host: t.Host, address: w.newAddress(), contentType: jsonType, body: []byte(body),
	})
	if err != nil {
		return "", err
	}
	if err := w.expect(201); err != nil {
		return "", err
	}
	id := between(w.body, `"client_id":"`, `"`)
	if len(id) == 0 {
		return "", fmt.Errorf("no client_id in %s", w.body)
	}
	return string(id), nil
}
