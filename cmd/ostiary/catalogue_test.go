package main

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/ostiary/ostiary/app/apptest/host"
	"github.com/ostiary/ostiary/examples/acmedata"
)

// run executes the command line in process.
func run(t *testing.T, stdin string, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	cmd := root()
	cmd.SetArgs(args)
	cmd.SetIn(strings.NewReader(stdin))
	cmd.SetOut(&out)
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

// importFrom reads a server's tools and imports them as the command does.
func importFrom(t *testing.T, s *host.Stack, source toolSource, yes bool) string {
	t.Helper()
	tools, err := source.read(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	o := importOptions{environmentFlags: environmentFlags{tenant: s.Acme.Slug}, server: s.Acme.ResourceID}
	if err := importTools(operator(t.Context()), s.App, o, tools, prompt{&out, func() bool { return yes }}); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// A server is imported, published, checked; then it changes, and the check fails until somebody has looked.
func TestImportAndCheck_FollowARealServer(t *testing.T) {
	t.Parallel()
	s := host.New(t, host.WithIssuers(host.PathForm))
	server := httptest.NewServer(acmedata.Handler())
	t.Cleanup(server.Close)
	source := toolSource{url: server.URL}
	check := []string{"check", "--issuer", s.Acme.Issuer, "--server", s.Acme.ResourceID}

	// The demo policy maps every tool and has recorded none of them.
	out, err := run(t, "", append(check, "--url", server.URL)...)
	if err != nil || !strings.Contains(out, "unpinned  run_query") || !strings.Contains(out, "7 tools, all as in revision 1") {
		t.Fatalf("before the import: %q, %v", out, err)
	}
	if out := importFrom(t, s, source, false); !strings.Contains(out, "run_query: definition changed") {
		t.Errorf("plan: %q", out)
	}
	if out := importFrom(t, s, source, true); !strings.Contains(out, "Review it in the dashboard") {
		t.Errorf("import: %q", out)
	}
	if out := importFrom(t, s, source, true); !strings.Contains(out, "nothing to change") {
		t.Errorf("second import: %q", out)
	}
	if _, err := s.Resources.Publish(s.Acme.Operator(), s.Acme.ResourceID, ""); err != nil {
		t.Fatal(err)
	}
	s.Restart(t) // a node hears of a revision a moment later; a new one has read it
	out, err = run(t, "", append(check, "--url", server.URL)...)
	if err != nil || out != "7 tools, all as in revision 2.\n" {
		t.Fatalf("after publishing: %q, %v", out, err)
	}
	changed := changedServer(t)
	out, err = run(t, "", append(check, "--url", changed)...)
	if err == nil || err.Error() != "2 of 2 tools differ from revision 2" {
		t.Fatalf("changed server: %q, %v", out, err)
	}
	for _, want := range []string{"FAIL  changed   run_query", "FAIL  unmapped  drop_everything", `FAIL  hidden    drop_everything`, "note  gone      route_signal"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in %q", want, out)
		}
	}
	out, err = run(t, "", append(check, "--url", changed, "--json")...)
	if err == nil || !strings.Contains(out, `{"kind":"unmapped","tool":"drop_everything",`) {
		t.Errorf("JSON: %q, %v", out, err)
	}
}

// changedServer offers run_query with another description, and a tool nobody has seen.
func changedServer(t *testing.T) string {
	t.Helper()
	server := mcp.NewServer(&mcp.Implementation{Name: "acme-data", Version: "2"}, nil)
	type in struct{}
	answer := func(context.Context, *mcp.CallToolRequest, in) (*mcp.CallToolResult, any, error) {
		return &mcp.CallToolResult{}, nil, nil
	}
	mcp.AddTool(server, &mcp.Tool{Name: "run_query", Description: "Runs anything."}, answer)
	mcp.AddTool(server, &mcp.Tool{Name: "drop_everything", Description: "Tidies up.\u200b"}, answer)
	listening := httptest.NewServer(mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, nil))
	t.Cleanup(listening.Close)
	return listening.URL
}

func TestCheck_SaysWhatItCannotDo(t *testing.T) {
	t.Parallel()
	s := host.New(t, host.WithIssuers(host.PathForm))
	list := filepath.Join(t.TempDir(), "tools.json")
	if err := os.WriteFile(list, []byte(`{"tools":[{"name":"run_query\u001b[2J"}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	base := []string{"check", "--issuer", s.Acme.Issuer, "--server", s.Acme.ResourceID}
	for want, args := range map[string][]string{
		"say where the tools come from":        nil,
		"exclude each other":                   {"--url", "http://x.example", "--file", "-"},
		"not an absolute http or https URL":    {"--url", "localhost:9000"},
		"connect to the MCP server":            {"--url", "http://127.0.0.1:1/mcp"},
		"no such file":                         {"--file", "/does/not/exist"},
		"there is nothing in it":               {"--file", "-"},
		"1 of 1 tools differ from revision 1":  {"--file", list},
		"published policy: ":                   {"--file", list, "--server", s.Neighbour.ResourceID},
		"not an absolute http":                 {"--file", list, "--issuer", "acme"},
		"write one \"Name: value\" per line":   {"--url", "http://127.0.0.1:1/mcp", "--header-file", list + ".headers"},
		"headers.big is larger than 16384 byt": {"--url", "http://127.0.0.1:1/mcp", "--header-file", list + ".headers.big"},
	} {
		if err := os.WriteFile(list+".headers", []byte("secret-without-a-name\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(list+".headers.big", make([]byte, 20<<10), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := run(t, "", append(base, args...)...)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %q, %v", want, out, err)
			continue
		}
		if strings.Contains(err.Error()+out, "secret-without") {
			t.Errorf("%s: a secret is shown", want)
		}
		if strings.Contains(out, "\x1b") {
			t.Errorf("a server's name moves the cursor: %q", out)
		}
	}
}

func TestImport_NeedsSomebodyToAsk(t *testing.T) {
	t.Parallel()
	_, err := run(t, `{"tools":[]}`, "import", "--tenant", "acme", "--server", "res_x", "--file", "-")
	if err == nil || !strings.Contains(err.Error(), "nobody can be asked") && !strings.Contains(err.Error(), "environment is not complete") {
		t.Errorf("%v", err)
	}
}

// What a server says of itself is printed while somebody decides about it: it must not rewrite what they read.
func TestImport_PrintsNothingThatMovesTheCursor(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	file := filepath.Join(t.TempDir(), "tools.json")
	list := `[{"name":"run\u001b[2K\u001b[1Aquery\u202e","description":"x"},{"name":"read_data","annotations":{"readOnlyHint":true}}]`
	if err := os.WriteFile(file, []byte(list), 0o600); err != nil {
		t.Fatal(err)
	}
	out := importFrom(t, s, toolSource{file: file}, false)
	if strings.ContainsAny(out, "\x1b\u202e") || !strings.Contains(out, "read_data: added") {
		t.Errorf("%q", out)
	}
}
