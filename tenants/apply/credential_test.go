package apply_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/ostiary/ostiary/app/secret"
	"github.com/ostiary/ostiary/tenants/apply"
	"github.com/ostiary/ostiary/tenants/tenanttest"
)

func withCredentials(f apply.File, list ...apply.Credential) apply.File {
	f.Environments = slices.Clone(f.Environments)
	f.Environments[0].Resources = slices.Clone(f.Environments[0].Resources)
	f.Environments[0].Resources[0].Credentials = append([]apply.Credential{}, list...)
	return f
}

func TestApply_CredentialsAreMadeAndReplacedWithoutAGap(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	given := strings.Repeat("k", 40)
	steps := []struct {
		file  apply.File
		plan  []string
		made  int    // credentials
		shown int    // secrets among them
		live  string // names
	}{
		{withCredentials(w.Acme.File, apply.Credential{Name: "one"}), []string{"+ MCP server Acme Data: credential one added"}, 1, 1, "one"},
		{withCredentials(w.Acme.File, apply.Credential{Name: "one"}), nil, 0, 0, "one"},
		{w.Acme.File, nil, 0, 0, "one"}, // no such key: left alone
		{
			withCredentials(w.Acme.File, apply.Credential{Name: "one"}, apply.Credential{Name: "two", Secret: given}),
			[]string{"+ MCP server Acme Data: credential two added"}, 1, 0, "one two",
		},
		{
			withCredentials(w.Acme.File, apply.Credential{Name: "two", Secret: given}, apply.Credential{Name: "three"}),
			[]string{"- MCP server Acme Data: credential one revoked", "+ MCP server Acme Data: credential three added"}, 1, 1, "two three",
		},
		{
			withCredentials(w.Acme.File, apply.Credential{Name: "two", Secret: given + "!"}, apply.Credential{Name: "three"}),
			[]string{"- MCP server Acme Data: credential two revoked", "+ MCP server Acme Data: credential two added"}, 1, 0, "three two",
		},
		{
			withCredentials(w.Acme.File),
			[]string{"- MCP server Acme Data: credential three revoked", "- MCP server Acme Data: credential two revoked"}, 0, 0, "",
		},
	}
	for i, step := range steps {
		p := plan(t, w, step.file)
		wantLines(t, p, step.plan...)
		result, err := w.Applier.Apply(tenanttest.Operator(), p)
		if err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
		shown := 0
		for _, c := range result.Credentials {
			if c.Secret != "" {
				shown++
			}
		}
		if len(result.Credentials) != step.made || shown != step.shown {
			t.Errorf("step %d made %d credentials and shows %d secrets", i, len(result.Credentials), shown)
		}
		live, err := w.Resources.Credentials(w.Acme.Context())
		if err != nil {
			t.Fatal(err)
		}
		names := make([]string, len(live))
		for j, c := range live {
			names[j] = c.Name
			if c.Name == "two" && i == 3 && !bytes.Equal(c.SecretHash, secret.Hash(given)) {
				t.Error("the given secret is not the one")
			}
		}
		if got := strings.Join(names, " "); got != step.live {
			t.Errorf("step %d: live %q, want %q", i, got, step.live)
		}
		if w.Clock.Advance(1e9); strings.Contains(p.String(), given) {
			t.Error("the plan prints a secret")
		}
	}
}

func TestParse_MachineClientsAndCredentials(t *testing.T) {
	t.Parallel()
	const head = `tenant: {slug: acme, name: Acme}
environments:
  - slug: dev
    name: Development
    kind: development
    resources:
      - identifier: http://localhost:8090/mcp
        name: Data
        credentials: [{name: main}]
        scopes: [{name: "data:read", risk: read, title: Read}]
        tools: [{name: run, scopes: ["data:read"]}]
    clients:
      - id: export
        name: Export
        auth: secret
`
	f, err := apply.Parse(strings.NewReader(head + `        grant_types: [client_credentials]
        machine: {resource: "http://localhost:8090/mcp", scopes: ["data:read"]}
`))
	if err != nil {
		t.Fatal(err)
	}
	if m := f.Environments[0].Clients[0].Machine; m == nil || !slices.Equal(m.Scopes, []string{"data:read"}) {
		t.Errorf("%+v", m)
	}
	for rest, want := range map[string]string{
		"        machine: {resource: \"http://localhost:8090/mcp\", scopes: [\"data:write\"]}\n":                                         "no permission",
		"        machine: {resource: \"http://localhost:8090/mcp\", scopes: [openid]}\n":                                                 "meaning of its own",
		"        machine: {resource: \"http://localhost:8090/mcp\", scopes: []}\n":                                                       "at least one permission",
		"        machine: {resource: nonsense, scopes: [\"data:read\"]}\n":                                                               "machine.resource",
		"        machine: {resource: \"http://localhost:8090/mcp\", scopes: [\"data:read\"]}\n        grant_types: [refresh_token]\n":    "client_credentials only",
		"        machine: {resource: \"http://localhost:8090/mcp\", scopes: [\"data:read\"]}\n        redirect_uris: [https://x.test]\n": "sends nobody anywhere",
		"        redirect_uris: [https://x.test]\n        grant_types: [client_credentials]\n":                                           "Say under machine",
		"        previous_secret: a-secret-that-nothing-takes-the-place-of\n        redirect_uris: [https://x.test]\n":                   "Name the secret that takes its place",
	} {
		_, err := apply.Parse(strings.NewReader(head + rest))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", strings.TrimSpace(rest), err, want)
		}
	}
	public := strings.Replace(head, "        auth: secret\n", "", 1) + "        machine: {resource: \"http://localhost:8090/mcp\", scopes: [\"data:read\"]}\n"
	if _, err := apply.Parse(strings.NewReader(public)); err == nil || !strings.Contains(err.Error(), "proves itself") {
		t.Errorf("a public machine client: %v", err)
	}
}
