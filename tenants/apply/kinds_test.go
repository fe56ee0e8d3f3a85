package apply_test

import (
	"strings"
	"testing"

	"github.com/ostiary/ostiary/tenants/tenanttest"
)

// server is a tenant file with one MCP server, which more is added to.
func server(more string) string {
	return `tenant: {slug: acme, name: Acme}
environments:
  - slug: acme-dev
    name: Development
    kind: development
    resources:
      - identifier: http://localhost:8090/mcp
        name: Acme Data
        scopes: [{name: "data:read", risk: read, title: Read data}]
        tools: [{name: run_query, scopes: ["data:read"], audited: [dataset]}]
` + more
}

func TestParse_PromptsContentsAndTimesAtTheirPlaces(t *testing.T) {
	t.Parallel()
	f, problems := parse(t, server(`        prompts: [{name: report, scopes: ["data:read"], audited: [topic]}]
        contents: [{uri: "acme://reports/*", scopes: ["data:read"]}]
        offline: {read: 2d, destructive: 90s}
`))
	if problems != nil {
		t.Fatalf("%v", problems)
	}
	if r := f.Environments[0].Resources[0]; len(r.Prompts) != 1 || r.Contents[0].URI != "acme://reports/*" || r.Offline.Read.String() != "2d" ||
		r.Offline.Write != nil || r.Tools[0].Audited[0] != "dataset" {
		t.Errorf("read %+v", r)
	}
	for more, want := range map[string]string{
		`offline: {read: 30s, write: 30s, destructive: 30s}`: "11:25: environments[0].resources[0].offline.read: This is between a minute and seven days.",
		`offline: {destructive: 0s}`:                         "offline.destructive: This is between a minute and seven days.",
		`offline: {destructive: 2h}`:                         "What does more harm stops no later than what does less.",
		`offline: {reads: 1d}`:                               "There is no such key",
		`offline: {read: soon}`:                              "is not a duration",
		`prompts: [{name: a, scopes: [ghost]}]`:              `prompts[0].scopes: There is no scope "ghost".`,
		`contents: [{uri: "acme://a"}, {uri: "acme://a"}]`:   "There are two contents with this name.",
		`contents: [{name: a}]`:                              "There is no such key",
		`prompts: [{wording: a}]`:                            "prompts[0]",
	} {
		_, problems := parse(t, server("        "+more+"\n"))
		found := false
		for _, p := range problems {
			found = found || strings.Contains(p.String(), want)
		}
		if !found {
			t.Errorf("%s: %v, want %q", more, problems, want)
		}
	}
}

// The same file twice changes nothing, and another one says what.
func TestApply_PromptsContentsAndTimes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	applied := func(more string) string {
		t.Helper()
		f, problems := parse(t, strings.ReplaceAll(server(more), "slug: acme", "slug: kinds"))
		if problems != nil {
			t.Fatal(problems)
		}
		plan, err := w.Applier.Plan(tenanttest.Operator(), f)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Applier.Apply(tenanttest.Operator(), plan); err != nil {
			t.Fatal(err)
		}
		return plan.String()
	}
	const full = `        prompts: [{name: run_query, scopes: ["data:read"]}]
        contents: [{uri: "acme://reports/*", scopes: ["data:read"]}]
        offline: {destructive: 90s}
`
	applied(full)
	if again := applied(full); strings.Contains(again, "publish") {
		t.Errorf("the same file: %s", again)
	}
	less := applied("        prompts: [{name: run_query, scopes: [\"data:read\"], audited: [topic]}]\n")
	for _, want := range []string{
		"prompt run_query: calls keep the values of topic", "content acme://reports/*: removed", "time without contact 1d/1h/1m30s → 1d/1h/5m",
		"publish Acme Data as revision 2",
	} {
		if !strings.Contains(less, want) {
			t.Errorf("no %q in %s", want, less)
		}
	}
}
